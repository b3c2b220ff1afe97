"""Reading the event log, also while it is written: filters, and places to go on from."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

import msgspec

from tvault.errors import VaultError
from tvault.events.catalog import COMMON
from tvault.events.files import FILE_NAME, rolled_name, rolled_numbers, written_time

END = "end"
"""In the place of a cursor: where the log ends now."""

LINE_BYTES = 1 << 20
"""Longest line that is read; no event comes near it."""

_LINES_A_LOOK = 64
"""Lines between two looks at the clock."""

_SLACK_SECONDS = 1.0
"""How much earlier than its last event a file may say that it was changed: such times are coarse."""

_TIME = slice(len('{"time":"'), len('{"time":"2026-11-25T17:29:15.208759Z'))
_WRITTEN = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z", re.ASCII)
_CURSOR = re.compile(r"([0-9]{1,18}):([0-9]{1,18})", re.ASCII)

_decoder = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True)
class Filter:
    """Which events are wanted: those that fit each member that is given, by any of its values.

    `request_id` fits events of the request and of what was written for it.  `since` is in seconds since
    1970.  `seqs` are entries of the journal: an event fits whose `seq` is one of them, or whose range
    from `first` to `last` holds one.
    """

    events: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    request_id: str | None = None
    since: float | None = None
    seqs: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Bounds:
    """How much one `read` gives and takes, about: events, their bytes, and seconds of reading."""

    events: int = 1000
    bytes: int = 1 << 20
    seconds: float = 0.25


@dataclass(frozen=True)
class Page:
    """Some events in the order of the log, and the cursor after them.  `is_end`: there are no more now.
    `skipped` lines are no events: broken off by a power failure, or written by somebody else."""

    events: list[dict[str, Any]]
    next: str
    is_end: bool
    skipped: int = 0


def read(folder: Path, wanted: Filter, after: str = "", bounds: Bounds | None = None) -> Page:
    """The next wanted events of the log in `folder`, oldest first, from the cursor `after` on.

    A cursor stays good while the log goes on and its files are rolled; one whose file is gone leads to
    the oldest that is left.  Raises `VaultError`: `malformed` for a cursor that is none, `not_found`
    when the folder cannot be read.
    """
    try:
        files = _files_of(folder)
    except OSError as error:
        why = f"the events in {folder} cannot be read: {error.strerror}"
        raise VaultError("not_found", why) from None
    try:
        return _Reader(files, wanted, bounds or Bounds()).page(_place_of(after, files))
    finally:
        for each in files:
            each.close()


def pages(ask: Callable[[str], Page], after: str = "") -> Iterator[Page]:
    """Page after page, up to and with the first that is the end; its `next` is where to go on later."""
    while True:
        page = ask(after)
        yield page
        if page.is_end:
            return
        after = page.next


def is_event(said: dict[str, Any]) -> bool:
    """Whether it says when, where and what, as every event does: the time as `written_time` has it."""
    time, node, event = (said.get(name) for name in COMMON)
    if not (isinstance(time, str) and isinstance(node, str) and isinstance(event, str)):
        return False
    if _WRITTEN.fullmatch(time) is None:
        return False
    try:
        datetime.fromisoformat(time[:-1])
    except ValueError:
        return False
    return True


class _File:
    """One file of the log.  A full one is opened when it is read; the newest is open from the start, so
    that rolling takes nothing away meanwhile."""

    def __init__(self, path: Path, number: int, opened: IO[bytes] | None) -> None:
        self.number = number
        self.is_newest = opened is not None
        self._path = path
        self._opened = opened

    def open(self) -> IO[bytes] | None:
        """None when it is gone, or is not a file that can be read."""
        if self._opened is None:
            with suppress(OSError):
                self._opened = _opened(self._path)
        return self._opened

    def is_before(self, since: float) -> bool:
        """Whether it was written last before that time."""
        with suppress(OSError):
            return self._path.stat().st_mtime < since - _SLACK_SECONDS
        return False

    def close(self) -> None:
        """End."""
        if self._opened is not None:
            self._opened.close()


def _opened(path: Path) -> IO[bytes] | None:
    """None for what is no regular file: a pipe would be waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def _files_of(folder: Path) -> list[_File]:
    """The files of the log, the oldest first.  Raises `OSError` when the folder cannot be read."""
    newest = None
    with suppress(FileNotFoundError, IsADirectoryError):
        newest = _opened(folder / FILE_NAME)
    try:
        numbers = rolled_numbers(folder)
    except OSError:
        if newest is not None:
            newest.close()
        raise
    files = [_File(folder / rolled_name(number), number, None) for number in numbers]
    if newest is None:
        return files
    # What was the newest when it was opened may have got its number since.
    found = os.fstat(newest.fileno())
    for at, number in enumerate(numbers):
        with suppress(OSError):
            if os.path.samestat(found, (folder / rolled_name(number)).stat()):
                files[at] = _File(folder / rolled_name(number), number, newest)
                return files[: at + 1]
    number = numbers[-1] + 1 if numbers else 1
    return [*files, _File(folder / FILE_NAME, number, newest)]


def _place_of(cursor: str, files: Sequence[_File]) -> tuple[int, int]:
    """The number of a file and an offset in it."""
    if not cursor:
        return 0, 0
    if cursor == END:
        newest = files[-1].open() if files else None
        return (files[-1].number, _end_of_lines(newest)) if newest else (0, 0)
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise VaultError("malformed", f"expected a cursor that a page of events gave, or {END!r}")
    return int(found[1]), int(found[2])


class _Reader:
    """Reads one page."""

    def __init__(self, files: Sequence[_File], wanted: Filter, bounds: Bounds) -> None:
        self._files = files
        self._wanted = wanted
        self._bounds = bounds
        self._deadline = time.monotonic() + bounds.seconds
        self._needles = _needles_of(wanted)
        self._since = None if wanted.since is None else _written(wanted.since).encode()
        self._events: list[dict[str, Any]] = []
        self._bytes = 0
        self._lines = 0
        self._skipped = 0

    def page(self, place: tuple[int, int]) -> Page:
        number, offset = place
        if self._files and number > self._files[-1].number + (not self._files[-1].is_newest):
            number, offset = 0, 0  # the files were taken away, and are numbered from the first on again
        for each in self._files:
            if each.number < number:
                continue
            begin = offset if each.number == number else 0
            number, offset = each.number, begin
            if self._is_before(each):
                continue
            file = each.open()
            if file is None:
                continue
            offset = self._read(file, begin, each.is_newest)
            if self._is_full():
                return self._page(number, offset, is_end=False)
        return self._page(number, offset, is_end=True)

    def _page(self, number: int, offset: int, *, is_end: bool) -> Page:
        return Page(self._events, f"{number}:{offset}", is_end, self._skipped)

    def _is_before(self, file: _File) -> bool:
        since = self._wanted.since
        return not file.is_newest and since is not None and file.is_before(since)

    def _is_full(self) -> bool:
        if len(self._events) >= self._bounds.events or self._bytes >= self._bounds.bytes:
            return True
        return self._lines % _LINES_A_LOOK == 0 and time.monotonic() >= self._deadline

    def _read(self, file: IO[bytes], begin: int, is_newest: bool) -> int:  # noqa: FBT001
        """Take lines until there are no more, or enough; the offset behind the last one."""
        offset = _begin_of_line(file, begin)
        file.seek(offset)
        while line := file.readline(LINE_BYTES):
            end = offset + len(line)
            if not line.endswith(b"\n"):
                if len(line) < LINE_BYTES and is_newest:
                    break  # it is being written
                end += _rest_of_line(file)
                self._skipped += 1
            else:
                self._take(line)
            offset = end
            self._lines += 1
            if self._is_full():
                break
        return offset

    def _take(self, line: bytes) -> None:
        if not line.startswith(b'{"time":"'):
            self._skipped += 1
            return
        if self._since is not None and line[_TIME] < self._since:
            return
        for needles in self._needles:
            if not any(needle in line for needle in needles):
                return
        try:
            event = _decoder.decode(line)
        except (msgspec.DecodeError, RecursionError):  # the latter for what is nested too deep
            self._skipped += 1
            return
        if not is_event(event):
            self._skipped += 1
        elif _fits(event, self._wanted):
            self._events.append(event)
            self._bytes += len(line)


def _begin_of_line(file: IO[bytes], offset: int) -> int:
    """The offset, if a line begins there; else the file is another than it was, and begins at 0."""
    if offset:
        file.seek(offset - 1)
        if file.read(1) != b"\n":
            return 0
    return offset


def _end_of_lines(file: IO[bytes]) -> int:
    """The offset behind the last line that is whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LINE_BYTES))
    tail = file.read()
    return size - len(tail) + tail.rfind(b"\n") + 1


def _rest_of_line(file: IO[bytes]) -> int:
    """Skip what follows up to the end of the line; how much that was."""
    skipped = 0
    while piece := file.readline(LINE_BYTES):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def _written(since: float) -> str:
    """A time as events have it; the first or the last one when it is out of their range."""
    try:
        return written_time(datetime.fromtimestamp(since, timezone.utc))
    except (OverflowError, OSError, ValueError):
        return "9" if since > 0 else ""


def _needles_of(wanted: Filter) -> list[list[bytes]]:
    """Texts of which a line must hold one of each list: most lines need not be decoded."""
    groups = (
        [b'"event":' + msgspec.json.encode(name) for name in wanted.events],
        [b'"owner":' + msgspec.json.encode(name) for name in wanted.owners],
        [] if wanted.request_id is None else [msgspec.json.encode(wanted.request_id)],
        [b'"seq":', b'"first":'] if wanted.seqs else [],
    )
    return [group for group in groups if group]


def _fits(event: dict[str, Any], wanted: Filter) -> bool:
    if wanted.events and event["event"] not in wanted.events:
        return False
    if wanted.owners and not any(event.get("owner") == owner for owner in wanted.owners):
        return False
    asked = wanted.request_id
    if asked is not None and event.get("request_id") != asked:
        requests = event.get("requests")
        if not (isinstance(requests, list) and asked in requests):
            return False
    return not wanted.seqs or _holds(event, wanted.seqs)


def _holds(event: dict[str, Any], seqs: frozenset[int]) -> bool:
    """Whether the event is of one of these entries."""
    seq, first, last = (event.get(name) for name in ("seq", "first", "last"))
    if isinstance(seq, int) and seq in seqs:
        return True
    return (
        isinstance(first, int) and isinstance(last, int) and any(first <= each <= last for each in seqs)
    )
