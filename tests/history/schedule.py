"""The earliest order of moments that wait for one another and for the clock.

A moment comes as soon as what it waits for has come: all of it, or the first of it.  Every rule is
"not before", so one order is at least as early for all moments as any other.  Whoever is late in it,
or never comes, is so in every order: that makes a check by this order exact and needs no search.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

NOTHING: frozenset[int] = frozenset()


@dataclass
class Run:
    """How it went: for each moment whether it came, when, and which one it waited for last (-1: none);
    all that came, in order.  `late` holds pairs (act, culprit): the act was over before the culprit
    began, yet may only come after it; one pair a culprit.
    """

    came: bytearray
    at: list[float]
    brought: list[int]
    order: list[int] = field(default_factory=list)
    late: list[tuple[int, int]] = field(default_factory=list)


class Schedule:
    """Moments, by number."""

    def __init__(self) -> None:
        self._waits: list[int] = []
        self._first: list[bool] = []
        self._end: list[float] = []
        self._next: list[list[int]] = []
        self._begins: list[tuple[float, int]] = []
        self._musts: list[int] = []

    def all_of(self) -> int:
        """A moment that waits for all it is put after: for nothing, at first."""
        self._waits.append(0)
        self._first.append(False)
        self._end.append(math.inf)
        self._next.append([])
        return len(self._waits) - 1

    def first_of(self) -> int:
        """A moment that waits for the first of those it is put after."""
        moment = self.all_of()
        self._first[moment] = True
        self._waits[moment] = 1
        return moment

    def act(self, begin: float, end: float, *, must: bool) -> int:
        """A moment not before `begin` that, if it `must`, has to come by `end`."""
        moment = self.all_of()
        self._waits[moment] = 1
        self._begins.append((begin, moment))
        if must:
            self._end[moment] = end
            self._musts.append(moment)
        return moment

    def after(self, later: int, earlier: int) -> None:
        """`later` waits for `earlier`, strictly."""
        self._next[earlier].append(later)
        if not self._first[later]:
            self._waits[later] += 1

    def run(self, without: Collection[int] = NOTHING) -> Run:
        """Let everything come as early as it may; the acts in `without` never begin."""
        waits = self._waits.copy()
        run = Run(bytearray(len(waits)), [math.inf] * len(waits), [-1] * len(waits))
        self._spread([moment for moment, count in enumerate(waits) if count == 0], waits, run)
        for begin, act in sorted(self._begins):
            if act in without:
                continue
            waits[act] -= 1
            if waits[act] == 0:
                late = self._spread([act], waits, run, now=begin)
                if late is not None:
                    run.late.append((late, act))
        return run

    def _spread(
        self, moments: Iterable[int], waits: list[int], run: Run, now: float = -math.inf
    ) -> int | None:
        """What follows from moments that come now, the nearest first; the first that is late for it."""
        late = None
        queue = deque(moments)
        while queue:
            moment = queue.popleft()
            run.came[moment] = 1
            run.at[moment] = now
            run.order.append(moment)
            if late is None and self._end[moment] < now:
                late = moment
            for following in self._next[moment]:
                if waits[following] > 0:
                    waits[following] -= 1
                    if waits[following] == 0:
                        run.brought[following] = moment
                        queue.append(following)
        return late

    def following(self, moment: int) -> list[int]:
        """The moments that wait for this one."""
        return self._next[moment]

    def is_stuck(self, run: Run) -> bool:
        """Whether something that must come never came."""
        return not all(run.came[act] for act in self._musts)

    def latest(self, run: Run) -> list[float]:
        """For each moment a time after which something that must come would be late for it."""
        latest = self._end.copy()
        for moment in reversed(run.order):
            for following in self._next[moment]:
                if not self._first[following] and latest[following] < latest[moment]:
                    latest[moment] = latest[following]
        return latest

    def circle(self, run: Run) -> list[int]:
        """Moments that wait for one another, each for the next; empty when all that must has come."""
        start = next((act for act in self._musts if not run.came[act]), None)
        if start is None:
            return []
        earlier: dict[int, list[int]] = {}
        for moment, following in enumerate(self._next):
            if not run.came[moment]:
                for later in following:
                    earlier.setdefault(later, []).append(moment)
        walk: dict[int, None] = {}
        at = start
        while at not in walk:
            walk[at] = None
            if at not in earlier:
                return list(walk)
            at = earlier[at][0]
        path = list(walk)
        return path[path.index(at) :]

    def path_to(self, run: Run, moment: int) -> Iterator[int]:
        """The moment, the one that brought it, the one that brought that, and so on."""
        while moment >= 0:
            yield moment
            moment = run.brought[moment]
