"""The whole of what a node holds, checked at an operator's wish: by the checks of `store.checking`, and
by counts of what nothing else would miss."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tvault.replication.entry import Position
from tvault.store.checking import SLICE_SECONDS, entry_slices
from tvault.store.failures import JournalDamaged, StoreBroken
from tvault.store.ports import Checked, Counted, Epochs, Inspectable, RowCounts
from tvault.store.sqlite import FILE_NAME, INDEX_FOLDER


@dataclass(frozen=True)
class Finding:
    """Something that is not what was written: the file, what is wrong, and the entry, if it is one.

    What `is_mended` is made again by the node itself, and costs it nothing.
    """

    where: str
    what: str
    seq: int | None = None
    is_mended: bool = False


class Verification:
    """One look at all that `store` holds of the entries up to `upto`.

    `slices` does it, some milliseconds at each step, except where SQLite has to read a table in one go;
    between two steps nothing holds a checkpoint up.  What it comes to can be read at any time, by any
    thread: the `step` in hand and how much of the journal is `done`, the `findings`, the last entry that
    was recomputed and the rows up to it.  Raises `StoreFailure` that is no damage.
    """

    def __init__(
        self,
        store: Inspectable,
        upto: int,
        is_stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._is_stopping = is_stopping
        self._clock = clock
        self._slice_began = 0.0
        self._checked = self._indexed = Checked()
        self.upto = upto
        self.step = "begins"
        self.findings: list[Finding] = []

    @property
    def last(self) -> Position:
        """The last entry whose digest was recomputed; `ORIGIN` at first."""
        return self._checked.last

    @property
    def rows(self) -> RowCounts:
        """The rows of the entries up to there."""
        return self._checked.rows

    def document(self) -> dict[str, Any]:
        """What there is to read, for JSON."""
        last = self.last
        return {
            "upto": self.upto,
            "checked": last.seq,
            "digest": last.digest.hex(),
            "rows": self.rows._asdict(),
            "findings": [asdict(finding) for finding in self.findings],
        }

    def slices(self) -> Iterator[None]:
        """Do it; to be exhausted, with rests as the caller likes."""
        for name, where, steps in (
            ("SQLite's check", FILE_NAME, self._check_database),
            ("indexes", FILE_NAME, self._check_files),
            ("entries", FILE_NAME, self._check_entries),
            ("tables", FILE_NAME, self._check_tables),
            ("index", INDEX_FOLDER, self._check_index),
        ):
            self.step = name
            self._slice_began = self._clock()
            try:
                for _ in steps():
                    yield
                    self._slice_began = self._clock()
            except (JournalDamaged, StoreBroken) as damage:
                self.findings.append(Finding(where, str(damage)))
            yield
        self.step = "done"

    @property
    def _is_read(self) -> bool:
        return self._checked.last.seq >= self.upto

    def _is_over(self) -> bool:
        return self._is_stopping() or self._clock() - self._slice_began >= SLICE_SECONDS

    def _check_database(self) -> Iterator[None]:
        told = self._store.check_database(self._is_stopping)
        if told is not None:
            self.findings.append(Finding(FILE_NAME, f"SQLite's own check: {told}"))
        yield

    def _check_files(self) -> Iterator[None]:
        for damaged in self._store.check_runs():
            if damaged is not None:
                what = "the file is damaged; the node makes it again from the journal"
                self.findings.append(Finding(f"{INDEX_FOLDER}/{damaged}", what, is_mended=True))
            yield

    def _check_entries(self) -> Iterator[None]:
        """First those whose tokens are in the index, so that these can be counted."""
        try:
            yield from self._read(self._store.indexed(self.upto))
            self._indexed = self._checked
            yield from self._read(self.upto)
        except JournalDamaged:
            self.findings.append(self._nearest())

    def _read(self, upto: int) -> Iterator[None]:
        for checked in entry_slices(self._store, self._checked, upto, self._is_over):
            self._checked = checked
            yield

    def _nearest(self) -> Finding:
        """What is wrong, by the first entry of which it is true."""
        try:
            for checked in entry_slices(self._store, self._checked, self.upto, lambda: True):
                self._checked = checked
        except JournalDamaged as damage:
            return Finding(FILE_NAME, str(damage), self._checked.last.seq + 1)
        return Finding(FILE_NAME, "entries gave other answers when they were read again")

    def _check_tables(self) -> Iterator[None]:
        """Rows of no entry are in no digest; an epoch is answered from memory."""
        if not self._is_read:
            return
        begun = _up_to(self.upto, self._store.epochs())
        if begun != _up_to(self.upto, self._checked.epochs):
            raise JournalDamaged("the epochs that are answered are not those of the journal")
        counted = Counted()
        while counted.upto < self.upto:
            counted = self._store.count_slice(counted, self.upto, self._is_over)
            yield
        for name, held, written in zip(RowCounts._fields, counted.rows, self.rows, strict=True):
            if self.upto and held != written:
                which = f"{name} of entries up to {self.upto}"
                raise JournalDamaged(f"the tables hold {held} {which}, the journal has {written}")

    def _check_index(self) -> Iterator[None]:
        """All tokens were found: when there are no more, there is nothing else."""
        if not self._is_read or any(finding.is_mended for finding in self.findings):
            return
        held = 0
        for some in self._store.count_index(self._indexed.last.seq):
            held += some
            yield
        written = self._indexed.rows.tokens
        if held != written:
            which = f"tokens of entries up to {self._indexed.last.seq}"
            raise JournalDamaged(f"the index holds {held} {which}, the journal has {written}")


def _up_to(seq: int, epochs: Epochs) -> dict[str, list[tuple[int, int]]]:
    kept = {owner: [start for start in starts if start[1] <= seq] for owner, starts in epochs.items()}
    return {owner: starts for owner, starts in kept.items() if starts}
