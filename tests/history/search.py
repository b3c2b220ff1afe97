"""The slow way to tell whether a short history is linearizable: try every order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.history.identity import Mark, epoch_named_by, mark_of
from tests.history.operations import Asked, Conflict, Detokenize, Operation, ReadEpoch, Tokenize

Fact = tuple[str, int, Mark]


@dataclass(frozen=True)
class State:
    """A vault between two operations."""

    epochs: frozenset[tuple[str, int]] = frozenset()
    made: frozenset[Fact] = frozenset()

    def active(self, owner: str) -> int:
        return max((epoch for whose, epoch in self.epochs if whose == owner), default=1)


def is_linearizable(operations: Sequence[Operation]) -> bool:
    """Whether some order of the operations explains all their answers."""
    facts = _facts(operations)
    if facts is None:
        return False
    single = [part for operation in operations for part in _looks(operation)]
    return _Search(single, facts).finds(frozenset(range(len(single))), State())


def _facts(operations: Sequence[Operation]) -> dict[str, Fact] | None:
    """What each token stands for; None when the answers are at odds about that."""
    pairs: set[tuple[str, Fact]] = set()
    for operation in operations:
        what = operation.what
        if isinstance(what, Tokenize) and what.result is not None:
            epoch, tokens = what.result
            for value, token in zip(what.values, tokens, strict=True):
                if value is not None and token is not None:
                    if epoch_named_by(token) != epoch:
                        return None
                    pairs.add((token, (what.owner, epoch, mark_of(value))))
        elif isinstance(what, Detokenize) and what.result is not None:
            for token, value in zip(what.tokens, what.result, strict=True):
                if value is not None and token is not None:
                    named = epoch_named_by(token)
                    if named is None:
                        return None
                    pairs.add((token, (what.owner, named, mark_of(value))))
    facts = dict(pairs)
    is_one_to_one = len(facts) == len(pairs) == len(set(facts.values()))
    return facts if is_one_to_one else None


def _looks(operation: Operation) -> list[Operation]:
    """A detokenization as one for each epoch."""
    what = operation.what
    if not isinstance(what, Detokenize) or what.result is None:
        return [operation]
    rows = list(zip(what.tokens, what.result, strict=True))
    parts = []
    for epoch in {epoch_named_by(token or "") for token in what.tokens}:
        mine = [row for row in rows if epoch_named_by(row[0] or "") == epoch]
        part = replace(what, tokens=tuple(t for t, _ in mine), result=tuple(v for _, v in mine))
        parts.append(replace(operation, what=part))
    return parts


class _Search:
    def __init__(self, operations: Sequence[Operation], facts: dict[str, Fact]) -> None:
        self._operations = operations
        self._facts = facts
        self._failed: set[tuple[frozenset[int], State]] = set()

    def finds(self, left: frozenset[int], state: State) -> bool:
        """Whether what is left can follow from here."""
        deadline = min((self._operations[at].end for at in left), default=float("inf"))
        if all(self._operations[at].returned is None for at in left):
            return True
        if (left, state) in self._failed:
            return False
        for at in left:
            if self._operations[at].invoked <= deadline:
                following = self._after(self._operations[at], state)
                if following is not None and self.finds(left - {at}, following):
                    return True
        self._failed.add((left, state))
        return False

    def _after(self, operation: Operation, state: State) -> State | None:
        """The state after the operation; None when its answer cannot be given in this state."""
        what = operation.what
        assert isinstance(what, Asked), "it tries calls about tokens"
        active = state.active(what.owner)
        if isinstance(what, Tokenize):
            if what.result is not None and what.result[0] != active:
                return None
            made = {(what.owner, active, mark_of(value)) for value in what.values if value is not None}
            return replace(state, made=state.made | made)
        if isinstance(what, Detokenize):
            return state if self._sees(what, state) else None
        if isinstance(what, ReadEpoch):
            return state if what.result in {None, active} else None
        if what.result == "rotated" or what.result is None:
            if what.to == active + 1:
                return replace(state, epochs=state.epochs | {(what.owner, what.to)})
            return state if what.result is None else None
        if isinstance(what.result, Conflict):
            is_due = what.to not in {active, active + 1} and what.result.active == active
            return state if is_due else None
        return state if what.to == active else None

    def _sees(self, what: Detokenize, state: State) -> bool:
        for token, value in zip(what.tokens, what.result or (), strict=False):
            fact = self._facts.get(token or "")
            if fact is None or fact[0] != what.owner:
                continue
            if (fact in state.made) != (value is not None):
                return False
        return True
