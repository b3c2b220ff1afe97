"""Whether what clients were told about secrets can come from one vault that does one thing at a time.

The changes of an owner's secrets are one known row (`secret_timeline`), so every answer fits after some
number of changes and not after another.  The vault's time is gone through once, as lazily as may be: the
next change comes only when an answer is due that needs it.  What can be answered is answered on the way.
No other way leaves more room for what comes later, so the check is exact, in near-linear time.  Equal
times count as overlapping.

Whose change each one is, is looked at last.  An acknowledged one is its caller's.  Any other is that of
a call whose outcome is unknown or which tells no moment, made by the time when the change was needed at
the latest; each call makes one change, or none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.history.operations import Operation
from tests.history.secret_operations import (
    NONE_LIVE,
    Absent,
    Condition,
    Done,
    End,
    Ended,
    Get,
    GetAll,
    Put,
    PutAll,
    ReadHistory,
    ReadNames,
    SecretAsked,
    Unmet,
    names_in,
)
from tests.history.secret_timeline import Timeline, Version


def secret_violations(owner: str, operations: Sequence[Operation]) -> list[str]:
    """A line for each contradiction in one owner's calls about secrets, naming the calls."""
    timeline = Timeline(operations)
    if timeline.complaints:
        return [f"{owner}: {line}" for line in timeline.complaints]
    sweep = _Sweep(operations, timeline)
    return sweep.complaints or _Makers(operations, timeline, sweep.came).complaints


@dataclass(frozen=True)
class _Came:
    """When a change had come at the latest, and which answer needed it."""

    time: float
    need: Operation


class _Sweep:
    """Goes through all answers.  `came` tells of each change that any of them needs."""

    def __init__(self, operations: Sequence[Operation], timeline: Timeline) -> None:
        self.complaints: list[str] = []
        self.came: list[_Came] = []
        self._timeline = timeline
        self._waiting: dict[int, Operation] = {}
        answered = [(number, op) for number, op in enumerate(operations) if op.returned is not None]
        events = [(op.invoked, False, number, op) for number, op in answered]
        events += [(op.end, True, number, op) for number, op in answered]
        for time, is_end, number, operation in sorted(events, key=lambda event: event[:3]):
            if not is_end:
                if not self._fits(operation, len(self.came)):
                    self._waiting[number] = operation
            elif self._waiting.pop(number, None) is not None:
                self._need(operation, time)

    def _fits(self, operation: Operation, at: int) -> bool:
        return _is_true(operation.what, self._timeline, at)

    def _need(self, operation: Operation, time: float) -> None:
        """Let changes come until the answer is true."""
        now, every = len(self.came), len(self._timeline.changes)
        target = next((at for at in range(now + 1, every + 1) if self._fits(operation, at)), None)
        if target is None:
            self._complain(operation)
            return
        for at in range(now + 1, target + 1):
            self.came.append(_Came(time, operation))
            for number in [n for n, waiting in self._waiting.items() if self._fits(waiting, at)]:
                del self._waiting[number]

    def _complain(self, operation: Operation) -> None:
        last = next((at for at in reversed(range(len(self.came))) if self._fits(operation, at)), None)
        if last is None:
            self.complaints.append(f"this was never so: {operation}")
        else:
            told = f"{self.came[last].need}; {operation}"
            self.complaints.append(f"when the first was answered the second was so no more: {told}")


class _Makers:
    """Finds a call for each change."""

    def __init__(self, operations: Sequence[Operation], timeline: Timeline, came: list[_Came]) -> None:
        self.complaints: list[str] = []
        self._operations = operations
        self._timeline = timeline
        self._came = came
        self._by_name: dict[str, list[int]] = {}
        for number, operation in enumerate(operations):
            assert isinstance(operation.what, SecretAsked)
            for name in names_in(operation.what):
                self._by_name.setdefault(name, []).append(number)
        self._change_of: dict[int, int] = {}
        self._claims = self._claimed()
        self._perhaps = {at: list(self._candidates(at)) for at in range(1, len(timeline.changes) + 1)}
        for at in self._perhaps:
            if not self._assign(at, set()):
                self._complain(at)

    def _claimed(self) -> dict[int, int]:
        """The changes of which a call was told that it made them, and the call."""
        claims: dict[int, int] = {}
        for number, operation in enumerate(self._operations):
            what = operation.what
            if isinstance(what, Put | End) and _is_made(what):
                assert isinstance(what.result, Done | Ended)
                first = claims.setdefault(_change_of(what, what.result.version, self._timeline), number)
                if first != number:
                    told = f"{self._operations[first]}; {operation}"
                    self.complaints.append(f"both were told that they made one change: {told}")
        return claims

    def _candidates(self, at: int) -> Iterator[int]:
        """The calls that can have made the change, and were made early enough."""
        change = self._timeline.changes[at - 1]
        name = next(iter(change.begun or change.ended))
        claim = self._claims.get(at)
        for number in self._by_name.get(name, ()) if claim is None else (claim,):
            operation = self._operations[number]
            in_time = at > len(self._came) or operation.invoked <= self._came[at - 1].time
            if in_time and _may_make(operation.what, self._timeline, at):
                yield number

    def _assign(self, at: int, tried: set[int]) -> bool:
        """Give the change a call; whoever had it gets another, if need be."""
        for number in self._perhaps[at]:
            if number not in tried:
                tried.add(number)
                holder = self._change_of.get(number)
                if holder is None or self._assign(holder, tried):
                    self._change_of[number] = at
                    return True
        return False

    def _complain(self, at: int) -> None:
        change = self._timeline.changes[at - 1]
        names = {**change.begun, **change.ended}
        told = ", ".join(f"version {version} of {name}" for name, version in names.items())
        word = "began" if change.begun else "ended"
        need = f": {self._came[at - 1].need}" if at <= len(self._came) else ""
        why = "that is left" if self._perhaps[at] else "by then"
        self.complaints.append(f"{told} {word}, and nobody {why} had asked for that{need}")


# What must be so after so many changes for an answer to be true.


def _is_true(what: object, timeline: Timeline, at: int) -> bool:
    if isinstance(what, Put | End):
        return _is_write_true(what, timeline, at)
    match what:
        case PutAll(values=values, needed=needed, result=result):
            if isinstance(result, Absent):
                required = [name for name in needed if name not in dict(values)]
                return bool(result.names) and result.names == _absent(required, timeline, at)
            live = {name: timeline.live(name, at) for name in names_in(what)}
            return all(live.values()) and all(
                (found := live[name]) is not None and found.version == version
                for name, version in result or ()
            )
        case Get():
            return _is_read_true(what, timeline, at)
        case GetAll(names=names, result=result):
            if isinstance(result, Absent):
                return bool(result.names) and result.names == _absent(names, timeline, at)
            return all(
                (found := timeline.live(name, at)) is not None and found.value in {None, value}
                for name, value in zip(names, result or (), strict=True)
            )
        case ReadHistory(name=name, result=result):
            return result == tuple(version.mark(at) for version in timeline.known(name, at))
        case ReadNames(result=result):
            return result == tuple(name for name in timeline.names if timeline.live(name, at))
    raise AssertionError(f"no call about secrets: {what}")


def _absent(names: Sequence[str], timeline: Timeline, at: int) -> tuple[str, ...]:
    return tuple(name for name in names if timeline.live(name, at) is None)


def _is_write_true(what: Put | End, timeline: Timeline, at: int) -> bool:
    live = timeline.live(what.name, at)
    match what.result:
        case Done(version, _, True) | Ended(version):
            return (
                0 < at == _change_of(what, version, timeline)
                and _holds(what.condition, timeline.live(what.name, at - 1))
                and _changes(what, timeline.live(what.name, at - 1))
            )
        case Done(version):
            return live is not None and live.version == version and _holds(what.condition, live)
        case Unmet(version):
            here = live.version if live is not None else None
            is_about_it = isinstance(what, Put) or live is not None
            return is_about_it and here == version and not _holds(what.condition, live)
        case Absent(names):
            return isinstance(what, End) and names == (what.name,) and live is None
    return False


def _change_of(what: Put | End, version: int, timeline: Timeline) -> int:
    """The change that began the version, or ended it without another."""
    found = timeline.numbered(what.name, version, len(timeline.changes))
    assert found is not None, "whatever was told is in the row"
    if isinstance(what, Put):
        return found.begun
    is_end = found.valid_to is not None and what.name in timeline.changes[found.gone - 1].ended
    return found.gone if is_end else -1


def _is_read_true(what: Get, timeline: Timeline, at: int) -> bool:
    if what.version is not None:
        found = timeline.numbered(what.name, what.version, at)
    elif what.at is not None:
        found = timeline.dated(what.name, what.at, at)
    else:
        found = timeline.live(what.name, at)
    if isinstance(what.result, tuple):
        mark, value = what.result
        return found is not None and found.mark(at) == mark and found.value == value
    return isinstance(what.result, Absent) and what.result.names == (what.name,) and found is None


# Whether a call can have made a change.


def _may_make(what: object, timeline: Timeline, at: int) -> bool:
    change = timeline.changes[at - 1]
    if isinstance(what, Put | End):
        mine = change.begun if isinstance(what, Put) else change.ended
        if len(change.begun) + len(change.ended) != 1 or what.name not in mine:
            return False
        if what.result is not None:
            return _is_write_true(what, timeline, at) and _is_made(what)
        before = timeline.live(what.name, at - 1)
        return _holds(what.condition, before) and _changes(what, before) and _brings(what, timeline, at)
    if not isinstance(what, PutAll) or change.ended or isinstance(what.result, Absent):
        return False
    values = dict(what.values)
    if not change.begun.keys() <= values.keys():
        return False
    if what.result is not None and not _is_true(what, timeline, at):
        return False
    return all(_becomes(name, values.get(name), timeline, at) for name in names_in(what))


def _is_made(what: Put | End) -> bool:
    return isinstance(what.result, Ended) or (isinstance(what.result, Done) and what.result.is_new)


def _brings(what: Put | End, timeline: Timeline, at: int) -> bool:
    after = timeline.live(what.name, at)
    return isinstance(what, End) or (after is not None and after.value in {None, what.value})


def _becomes(name: str, value: str | None, timeline: Timeline, at: int) -> bool:
    """Whether the change did to a secret what a write that gives it the value, None: any, had to do."""
    before, after = timeline.live(name, at - 1), timeline.live(name, at)
    if after is None or (value is not None and after.value not in {None, value}):
        return False
    is_begun = name in timeline.changes[at - 1].begun
    if value is None or (before is not None and before.value == value):
        return not is_begun
    return is_begun or (before is not None and before.value is None)


def _holds(condition: Condition, live: Version | None) -> bool:
    if condition is None:
        return True
    return (live.version if live is not None else NONE_LIVE) == condition


def _changes(what: Put | End, live: Version | None) -> bool:
    """Whether there is something to be done when this version is valid."""
    if isinstance(what, End):
        return live is not None
    return live is None or live.value is None or live.value != what.value
