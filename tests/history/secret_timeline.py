"""The changes of one owner's secrets, in the order of the vault, put together from all answers.

The vault gives each write a moment, later than all before, so what answers say of versions and their
moments is one row of changes.  It is complete when the history of every secret is read last, after all
other calls about it: then nothing is left to guess.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tests.history.operations import Operation
from tests.history.secret_operations import (
    Done,
    End,
    Ended,
    Get,
    GetAll,
    Mark,
    Put,
    PutAll,
    ReadHistory,
    SecretAsked,
    names_in,
)

F = TypeVar("F")

Key = tuple[str, int]
"""A version of a secret."""


@dataclass
class Change:
    """What one write did: the versions that it began and those that it ended without another."""

    begun: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    """A version, when it was valid, and the changes that began and ended it, counted from 1; `gone` is
    past all changes for one that is valid still.  `value` None: nobody was told."""

    version: int
    value: str | None
    valid_from: int
    valid_to: int | None
    begun: int
    gone: int

    def mark(self, at: int) -> Mark:
        """What was to be told of it after so many changes."""
        return Mark(self.version, self.valid_from, self.valid_to if self.gone <= at else None)


class Timeline:
    """`complaints` tells of answers that contradict each other whatever their times; there is a row of
    changes only without."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.complaints: list[str] = []
        self.changes: list[Change] = []
        self._operations = operations
        self._began: dict[Key, tuple[int, Operation]] = {}
        self._ended: dict[Key, tuple[int, Operation]] = {}
        self._values: dict[Key, tuple[str, Operation]] = {}
        self._versions: dict[str, list[Version]] = {}
        self._begun: dict[str, list[int]] = {}
        self._moments: dict[str, list[int]] = {}
        for operation in operations:
            self._gather(operation)
        self._refuse_what_is_open()
        self._refuse_gaps()
        if not self.complaints:
            self._line_up()

    def _count(self, name: str, at: int) -> int:
        return bisect_right(self._begun.get(name, []), at)

    def known(self, name: str, at: int) -> Iterable[Version]:
        """The versions that the secret has after so many changes, oldest first."""
        return self._versions.get(name, [])[: self._count(name, at)]

    def numbered(self, name: str, version: int, at: int) -> Version | None:
        """The version of this number, if there is one after so many changes."""
        return self._versions[name][version - 1] if 1 <= version <= self._count(name, at) else None

    def dated(self, name: str, moment: int, at: int) -> Version | None:
        """The version that was valid at a moment, as is told after so many changes."""
        begun = bisect_right(self._moments.get(name, []), moment, 0, self._count(name, at))
        found = self.numbered(name, begun, at)
        valid_to = found.mark(at).valid_to if found is not None else None
        return found if valid_to is None or moment < valid_to else None

    def live(self, name: str, at: int) -> Version | None:
        """The version that is valid after so many changes."""
        newest = self.numbered(name, self._count(name, at), at)
        return newest if newest is not None and newest.gone > at else None

    @property
    def names(self) -> Iterable[str]:
        """All secrets that ever had a value, sorted."""
        return sorted(self._versions)

    # What answers say.

    def _gather(self, operation: Operation) -> None:
        match operation.what:
            case Put(name=name, value=value, result=Done(version, valid_from)):
                self._say(self._began, (name, version), valid_from, operation)
                self._say(self._values, (name, version), value, operation)
            case End(name=name, result=Ended(version, valid_to)):
                self._say(self._ended, (name, version), valid_to, operation)
            case PutAll(values=values, result=tuple(done)):
                self._same_length(dict(values), done, operation)
                for name, version in done:
                    self._say(self._values, (name, version), dict(values)[name], operation)
            case Get(name=name, result=(Mark() as mark, str(value))):
                self._mark(name, mark, operation)
                self._say(self._values, (name, mark.version), value, operation)
            case GetAll(names=names, result=tuple(told)):
                self._same_length(names, told, operation)
            case ReadHistory(name=name, result=tuple(marks)):
                for mark in marks:
                    self._mark(name, mark, operation)

    def _same_length(
        self, asked: Collection[object], told: Collection[object], operation: Operation
    ) -> None:
        if len(asked) != len(told):
            self.complaints.append(f"an answer of another length than its question: {operation}")

    def _mark(self, name: str, mark: Mark, operation: Operation) -> None:
        self._say(self._began, (name, mark.version), mark.valid_from, operation)
        if mark.valid_to is not None:
            self._say(self._ended, (name, mark.version), mark.valid_to, operation)

    def _say(self, facts: dict[Key, tuple[F, Operation]], key: Key, fact: F, told: Operation) -> None:
        known, first = facts.setdefault(key, (fact, told))
        if known != fact:
            name, version = key
            self.complaints.append(f"version {version} of {name} was told in two ways: {first}; {told}")

    def _refuse_what_is_open(self) -> None:
        """Every secret's history is read once all other answers about it have come."""
        last: dict[str, float] = {}
        closed: dict[str, float] = {}
        for operation in self._operations:
            what = operation.what
            assert isinstance(what, SecretAsked)
            end = -math.inf if operation.returned is None else operation.end
            if isinstance(what, ReadHistory) and operation.returned is not None:
                closed[what.name] = max(closed.get(what.name, operation.invoked), operation.invoked)
            else:
                last |= {name: max(last.get(name, end), end) for name in names_in(what)}
        open_still = [name for name in sorted(last) if name not in closed or closed[name] < last[name]]
        if open_still:
            self.complaints.append(f"the histories of {open_still} have to be read last")

    def _refuse_gaps(self) -> None:
        """The versions of a secret are 1, 2, 3, and so on, and each begins and ends before the next."""
        newest: dict[str, int] = {}
        for name, version in [*self._began, *self._ended, *self._values]:
            newest[name] = max(newest.get(name, 0), version)
            if version < 1:
                self.complaints.append(f"{name} has a version {version}")
        for name, count in newest.items():
            keys = [(name, version) for version in range(1, count + 1)]
            if any(key not in self._began for key in keys) or any(
                key not in self._ended for key in keys[:-1]
            ):
                self.complaints.append(f"nobody was told when each version of {name} began and ended")
                continue
            moments = [(self._began[key][0], self._ended.get(key, (math.inf,))[0]) for key in keys]
            is_sound = all(begin < end for begin, end in moments)
            if not is_sound or any(a[1] > b[0] for a, b in itertools.pairwise(moments)):
                self.complaints.append(f"versions of {name} overlap: {moments}")

    # The row.

    def _line_up(self) -> None:
        by_moment: defaultdict[int, Change] = defaultdict(Change)
        for (name, version), (moment, _) in self._began.items():
            by_moment[moment].begun[name] = version
        for (name, version), (moment, _) in self._ended.items():
            if self._began.get((name, version + 1), (None,))[0] != moment:
                by_moment[moment].ended[name] = version
        number_of = {moment: number for number, moment in enumerate(sorted(by_moment), 1)}
        self.changes = [by_moment[moment] for moment in sorted(by_moment)]
        past = len(self.changes) + 1
        for key in sorted(self._began):
            name, version = key
            begin = self._began[key][0]
            end = self._ended[key][0] if key in self._ended else None
            value = self._values[key][0] if key in self._values else None
            gone = past if end is None else number_of[end]
            found = Version(version, value, begin, end, number_of[begin], gone)
            self._versions.setdefault(name, []).append(found)
            self._begun.setdefault(name, []).append(found.begun)
            self._moments.setdefault(name, []).append(begin)
