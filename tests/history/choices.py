"""Under which epoch each tokenization of unknown outcome took effect, if it did.

It may have done so under one epoch only.  That is the one rule of a history that is not of the form "not
before", so it is looked at last: a run that lets each take effect under every epoch finds nearly all
contradictions.  Only when none is found, and some tokenization was the first to issue tokens under two
epochs, must epochs be chosen: what is forced first, then by a good guess, then by trying.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.history.schedule import Run, Schedule

MOST_STEPS = 50_000_000
"""How many moments the runs may look at, in all, before the search gives up."""


class GivenUp(Exception):
    """There are too many ways to choose."""


@dataclass
class Choices:
    """`tries` holds the act of each unknown tokenization under each epoch; `makers` the acts of which
    the first makes a moment come."""

    schedule: Schedule
    tries: Mapping[int, Mapping[int, int]]
    makers: Mapping[int, list[int]]
    most_steps: int = MOST_STEPS
    _try_of: dict[int, tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self._try_of = {
            act: (number, epoch) for number, acts in self.tries.items() for epoch, act in acts.items()
        }

    def torn(self, run: Run, chosen: Mapping[int, int]) -> dict[int, list[int]]:
        """The tokenizations not yet chosen for that were the first to issue tokens under several epochs,
        and these."""
        uses: defaultdict[int, set[int]] = defaultdict(set)
        for made in self.makers:
            used = self._try_of.get(run.brought[made])
            if used is not None and used[0] not in chosen:
                uses[used[0]].add(used[1])
        return {number: sorted(epochs) for number, epochs in uses.items() if len(epochs) > 1}

    def are_possible(self, chosen: Mapping[int, int]) -> bool:
        """Whether there are epochs for all, given some, under which everything comes in time.

        Raises `GivenUp`.
        """
        settled = dict(chosen)
        while True:
            run = self._run(settled)
            if self._is_bad(run):
                return False
            torn = self.torn(run, settled)
            if not torn:
                return True
            forced = self._forced(run, torn)
            if forced is None:
                return False
            if not forced:
                break
            settled |= forced
        guess = dict(settled)
        while torn:
            guess |= self._guess(run, torn)
            run = self._run(guess)
            if self._is_bad(run):
                number = self._suspect(run, sorted(guess.keys() - settled.keys()))
                epochs = sorted(self.tries[number])
                return any(self.are_possible({**settled, number: epoch}) for epoch in epochs)
            torn = self.torn(run, guess)
        return True

    def _run(self, chosen: Mapping[int, int]) -> Run:
        without = {
            act
            for number, epoch in chosen.items()
            for other, act in self.tries[number].items()
            if other != epoch
        }
        run = self.schedule.run(without)
        self.most_steps -= len(run.came)
        if self.most_steps < 0:
            raise GivenUp
        return run

    def _is_bad(self, run: Run) -> bool:
        return bool(run.late) or self.schedule.is_stuck(run)

    def _forced(self, run: Run, torn: Mapping[int, list[int]]) -> dict[int, int] | None:
        """Those that are needed under one epoch because all other makers come too late; None when one
        is needed under two."""
        latest = self.schedule.latest(run)
        forced = {}
        for number, epochs in torn.items():
            needed = [
                epoch
                for epoch in epochs
                if self._slack(run, latest, self.tries[number][epoch], firm=False) < 0
            ]
            if len(needed) > 1:
                return None
            if needed:
                forced[number] = needed[0]
        return forced

    def _guess(self, run: Run, torn: Mapping[int, list[int]]) -> dict[int, int]:
        """The epoch under which each would be missed most."""
        latest = self.schedule.latest(run)

        def slack(number: int, epoch: int) -> float:
            return self._slack(run, latest, self.tries[number][epoch], firm=True)

        return {
            number: min((slack(number, epoch), epoch) for epoch in epochs)[1]
            for number, epochs in torn.items()
        }

    def _slack(self, run: Run, latest: list[float], act: int, *, firm: bool) -> float:
        """How long before its latest moment everything would be made that the act has made, without it;
        by whoever else may, or `firm` by those alone whose outcome is known."""
        least = math.inf
        for made in self._served(act):
            if run.brought[made] == act:
                others = (
                    run.at[maker]
                    for maker in self.makers[made]
                    if maker != act and not (firm and maker in self._try_of)
                )
                second = min(others, default=math.inf)
                least = min(least, latest[made] - second if second < math.inf else -math.inf)
        return least

    def _served(self, act: int) -> Iterable[int]:
        return (made for made in self.schedule.following(act) if made in self.makers)

    def _suspect(self, run: Run, numbers: list[int]) -> int:
        """The one of these that had most likely better been chosen otherwise."""
        at_fault = set(self.schedule.circle(run))
        for late, _ in run.late:
            at_fault.update(self.schedule.path_to(run, late))
        for number in numbers:
            for act in self.tries[number].values():
                if act in at_fault or any(made in at_fault for made in self._served(act)):
                    return number
        return numbers[0]
