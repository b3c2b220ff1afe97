"""Which old token became which new one, for a table that can be joined with: each old one once."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, TypeVar

C = TypeVar("C", bound="Changes")

MOST_HELD = 20_000
"""How many changes are held in memory before they go into a file."""

MOST_RUNS = 64
"""So many files of one size become a single one."""

HEADER = b"old,new\n"


class Changes:
    """Collects changes and writes them as CSV, sorted by the old token, each old token once.

    Memory does not grow with their number: they wait in sorted files without names in `folder`, each
    with `most_held` changes or, once it is made of such files, more.  When one old token became two new
    ones, because the epoch changed meanwhile, that of the later epoch is kept.  Every method raises
    `OSError`, the first one already when the folder cannot be written.
    """

    def __init__(self, folder: Path, most_held: int = MOST_HELD) -> None:
        self._folder = folder
        self._most_held = most_held
        self._held: dict[bytes, bytes] = {}
        self._levels: list[list[IO[bytes]]] = []
        self._files = ExitStack()
        self._put([], 0)

    def __enter__(self: C) -> C:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def add(self, changed: Mapping[bytes, bytes]) -> None:
        """Note that each old token became a new one."""
        for old, new in changed.items():
            before = self._held.get(old, new)
            self._held[old] = new if before == new else max(before, new, key=_epoch)
        if len(self._held) >= self._most_held:
            self._put(self._lines(), 0)
            self._held.clear()

    def write(self, target: BinaryIO) -> None:
        """Write `old,new` and a line for each old token."""
        runs = [run for level in self._levels for run in level]
        target.write(HEADER)
        target.writelines(_merged(runs, self._lines()))

    def _lines(self) -> list[bytes]:
        return sorted(b"%b,%b\n" % change for change in self._held.items())

    def _put(self, lines: Iterable[bytes], level: int) -> None:
        """Put sorted lines into a file; when there are many as large, all of them into one."""
        opened = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed with the others
        run = self._files.enter_context(opened)
        run.writelines(lines)
        run.flush()
        if level == len(self._levels):
            self._levels.append([])
        runs = self._levels[level]
        runs.append(run)
        if len(runs) == MOST_RUNS:
            self._put(_merged(runs), level + 1)
            for each in runs:
                each.close()
            runs.clear()


def _merged(runs: Iterable[IO[bytes]], *others: list[bytes]) -> Iterator[bytes]:
    """The lines of sorted files and lists in order, for each old token that of the latest epoch."""
    runs = [*runs]
    for run in runs:
        run.seek(0)
    last = b""
    for line in heapq.merge(*runs, *others):
        if last and not line.startswith(last[: last.index(b",") + 1]):
            yield last
            last = line
        else:
            last = max(last, line, key=_epoch) if last else line
    if last:
        yield last


def _epoch(text: bytes) -> int:
    """The epoch of the last token in the text."""
    return int(text.rpartition(b"tv1_")[2].partition(b"_")[0])
