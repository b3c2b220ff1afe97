"""Whether a history of client operations can be explained by one vault that does one thing at a time.

This is about tokens; calls about secrets share no state with them and are judged in `secret_check`.

Nothing in a vault ever goes away: a token exists from one moment on, an epoch is active from one moment
on until the next begins.  So every answer says of some moments that they came before it and of others
that they did not, and every such rule is "not before".  The earliest order that obeys them all (see
`schedule`) therefore decides exactly, in near-linear time, whether there is any: the check is complete
for linearizability.  Equal times count as overlapping.

The rules.  A tokenization takes effect whole at one moment within its interval, under the epoch active
then; afterwards its tokens exist.  The tokens of one epoch in one detokenization are looked up at one
moment; those of different epochs may be looked up at different ones.  A rotation leads from the epoch
before.  A call whose outcome is unknown may take effect once, under one epoch, at any time after it was
made, or never.  For each (owner, epoch, value) there is one token, and for each token one of these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.history.choices import Choices, GivenUp
from tests.history.identity import Identities, epoch_named_by
from tests.history.operations import (
    Conflict,
    Detokenize,
    Operation,
    ReadEpoch,
    Rotate,
    Tokenize,
)
from tests.history.schedule import Run, Schedule
from tests.history.secret_check import secret_violations
from tests.history.secret_operations import SecretAsked


def violations(operations: Sequence[Operation]) -> list[str]:
    """A line for each contradiction, naming the operations that contradict; none for a sound history.

    One fault may show in several lines, and hide others behind it: the verdict is whether there is any.
    """
    identities = Identities(operations)
    by_owner: defaultdict[str, list[Operation]] = defaultdict(list)
    secrets_of: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        owned = secrets_of if isinstance(operation.what, SecretAsked) else by_owner
        owned[operation.what.owner].append(operation)
    lines = identities.complaints
    for owner, about_tokens in by_owner.items():
        lines += _Owner(owner, about_tokens, identities).violations()
    for owner, about_secrets in secrets_of.items():
        lines += secret_violations(owner, about_secrets)
    return lines


class _Owner:
    """The moments of one owner's vault.  Owners share nothing but the identity of tokens."""

    def __init__(self, owner: str, operations: Sequence[Operation], identities: Identities) -> None:
        self._owner = owner
        self._operations = operations
        self._identities = identities
        self._schedule = Schedule()
        self._told: dict[int, Operation] = {}
        self._complaints: list[str] = []
        self._started: dict[int, int] = {}
        self._ended: dict[int, int] = {}
        self._open: dict[str, int] = {}
        self._made: dict[str, int] = {}
        self._tries: defaultdict[int, dict[int, int]] = defaultdict(dict)
        self._makers: dict[int, list[int]] = {}
        self._build()

    # Building.

    def _build(self) -> None:
        self._add_epochs()
        for operation in self._operations:
            if isinstance(operation.what, Detokenize) and operation.what.result is not None:
                self._add_looks(operation, operation.what)
        submitted = set()
        for number, operation in enumerate(self._operations):
            if isinstance(operation.what, Tokenize) and operation.what.result is None:
                submitted |= self._add_tries(number, operation, operation.what)
        for operation in self._operations:
            submitted |= self._add_answer(operation)
        for token, made in self._made.items():
            self._schedule.after(self._ended[self._identities.key_of[token].epoch], made)
            if token not in submitted:
                self._add_phantom(token, made)

    def _add_answer(self, operation: Operation) -> set[str]:
        """What an answer says of epochs, and the tokens it issued."""
        what = operation.what
        if isinstance(what, Tokenize) and what.result is not None:
            return self._add_issue(operation, what.result[0])
        if isinstance(what, ReadEpoch) and what.result is not None:
            self._add_epoch_seen(operation, what.result)
        elif isinstance(what, Rotate) and what.result == "already":
            self._add_epoch_seen(operation, what.to)
        elif isinstance(what, Rotate) and isinstance(what.result, Conflict):
            if what.to in {what.result.active, what.result.active + 1}:
                self._complaints.append(f"a conflict where there was none: {operation}")
            self._add_epoch_seen(operation, what.result.active)
        return set()

    def _act(self, operation: Operation, *, must: bool = True) -> int:
        act = self._schedule.act(operation.invoked, operation.end, must=must)
        self._told[act] = operation
        return act

    def _add_looks(self, operation: Operation, what: Detokenize) -> None:
        """One look for each epoch: what was found existed before it, what was missed did not."""
        key_of = self._identities.key_of
        found: defaultdict[int, list[str]] = defaultdict(list)
        for token in self._identities.found[id(operation)]:
            found[key_of[token].epoch].append(token)
        missed: defaultdict[int, set[str]] = defaultdict(set)
        for asked, value in zip(what.tokens, what.result or (), strict=False):
            if asked is not None and value is None:
                key = key_of.get(asked)
                if key is not None and key.owner == self._owner:
                    missed[key.epoch].add(asked)
        for epoch in sorted(found.keys() | missed.keys()):
            look = self._act(operation)
            for token in found[epoch]:
                self._schedule.after(look, self._made_moment(token))
            for token in sorted(missed[epoch]):
                self._schedule.after(self._open_moment(token), look)

    def _made_moment(self, token: str) -> int:
        """From then on the token exists."""
        if token not in self._made:
            made = self._made[token] = self._schedule.first_of()
            self._makers[made] = []
        return self._made[token]

    def _open_moment(self, token: str) -> int:
        """From then on the token may exist: whoever missed it has looked."""
        if token not in self._open:
            self._open[token] = self._schedule.all_of()
        return self._open[token]

    def _put_under(self, epoch: int, act: int, tokens: Sequence[str]) -> None:
        """The act takes place after the epoch's start and makes the tokens exist."""
        self._schedule.after(act, self._started[epoch])
        for token in tokens:
            if token in self._open:
                self._schedule.after(act, self._open[token])
            if token in self._made:
                self._schedule.after(self._made[token], act)
                self._makers[self._made[token]].append(act)

    def _add_tries(self, number: int, operation: Operation, what: Tokenize) -> set[str]:
        tried = set()
        for epoch, tokens in self._identities.tokens_by_epoch(what):
            act = self._act(operation, must=False)
            for token in tokens:
                self._made_moment(token)
            self._put_under(epoch, act, tokens)
            self._tries[number][epoch] = act
            tried.update(tokens)
        return tried

    def _add_issue(self, operation: Operation, epoch: int) -> set[str]:
        if epoch not in self._started:
            return set()
        issued = self._identities.issued[id(operation)]
        act = self._act(operation)
        self._put_under(epoch, act, issued)
        self._schedule.after(self._ended[epoch], act)
        return set(issued)

    def _add_epoch_seen(self, operation: Operation, epoch: int) -> None:
        if epoch in self._started:
            act = self._act(operation)
            self._schedule.after(act, self._started[epoch])
            self._schedule.after(self._ended[epoch], act)

    def _add_phantom(self, token: str, made: int) -> None:
        witness = next(op for op in self._operations if token in self._identities.found.get(id(op), ()))
        self._complaints.append(f"{self._owner} never submitted the value of {token}: {witness}")
        self._schedule.after(made, self._schedule.all_of())

    # Epochs.

    def _add_epochs(self) -> None:
        rotated: dict[int, Operation] = {}
        tried: defaultdict[int, list[Operation]] = defaultdict(list)
        for operation in self._operations:
            what = operation.what
            if isinstance(what, Rotate) and what.result is None:
                tried[what.to].append(operation)
            elif isinstance(what, Rotate) and what.result == "rotated":
                first = rotated.setdefault(what.to, operation)
                if first is not operation:
                    self._complaints.append(f"two rotations to one epoch: {first}; {operation}")
        self._start_after(None, 1)
        previous = 1
        for epoch in sorted(self._epochs_there(rotated, tried)):
            starts = [rotated[epoch]] if epoch in rotated else tried[epoch]
            self._start_after(previous, epoch)
            for operation in starts:
                act = self._act(operation, must=epoch in rotated)
                self._schedule.after(act, self._ended[previous])
                self._schedule.after(self._started[epoch], act)
            if not starts:
                self._schedule.after(self._started[epoch], self._ended[previous])
            previous = epoch

    def _start_after(self, previous: int | None, epoch: int) -> None:
        schedule = self._schedule
        self._started[epoch] = schedule.all_of() if previous is None else schedule.first_of()
        self._ended[epoch] = schedule.all_of()
        schedule.after(self._ended[epoch], self._started[epoch])

    def _epochs_there(
        self, rotated: dict[int, Operation], tried: defaultdict[int, list[Operation]]
    ) -> set[int]:
        """The epochs beyond the first that some answer names, and those that lead to them."""
        there: set[int] = set()
        for epoch, operation in self._epochs_named():
            if epoch < 1 or (epoch == 1 and rotated.get(1) is operation):
                self._complaints.append(f"there is no such epoch to come to: {operation}")
                continue
            at = epoch
            while at > 1 and at not in there:
                there.add(at)
                if at not in rotated and not tried[at]:
                    why = f"nobody rotated {self._owner} to epoch {at}"
                    self._complaints.append(f"{why}: {operation}")
                    break
                at -= 1
        return there

    def _epochs_named(self) -> Iterator[tuple[int, Operation]]:
        for operation in self._operations:
            what = operation.what
            if isinstance(what, Tokenize) and what.result is not None:
                yield what.result[0], operation
            elif isinstance(what, ReadEpoch) and what.result is not None:
                yield what.result, operation
            elif isinstance(what, Rotate) and isinstance(what.result, Conflict):
                yield what.result.active, operation
            elif isinstance(what, Rotate) and what.result is not None:
                yield what.to, operation
            elif isinstance(what, Detokenize):
                for token in self._identities.found[id(operation)]:
                    yield epoch_named_by(token) or 0, operation

    # Judging.

    def violations(self) -> list[str]:
        """A line for each contradiction."""
        run = self._schedule.run()
        return self._complaints + self._told_of(run) or self._told_of_choices(run)

    def _told_of(self, run: Run) -> list[str]:
        lines = [
            f"the first was over before the second began, and yet must come after it: "
            f"{self._told[late]}; {self._told[culprit]}"
            for late, culprit in run.late
        ]
        circle = self._schedule.circle(run)
        if circle:
            round_about = list(dict.fromkeys(str(self._told[at]) for at in circle if at in self._told))
            lines.append(
                f"each of these must come before the one named before it: {'; '.join(round_about)}"
            )
        return lines

    def _told_of_choices(self, run: Run) -> list[str]:
        """Unknown tokenizations may be of use under several epochs; each is allowed one."""
        choices = Choices(self._schedule, self._tries, self._makers)
        torn = choices.torn(run, {})
        told = "; ".join(str(self._operations[number]) for number in list(torn)[:4])
        try:
            if not torn or choices.are_possible({}):
                return []
        except GivenUp:
            return [f"too many unknown tokenizations to tell; make the history shorter: {told}"]
        return [f"some of these must have taken effect under more than one epoch: {told}"]
