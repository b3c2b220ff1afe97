"""Reading again what is trusted when a node starts: the older part of the journal, for which the token
index vouches, and the files of the index.  A disk may have changed either since.

`JournalCheck` is a thread that does so now and then, a little at a time.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import chain, pairwise
from typing import Protocol

from tvault.store.failures import JournalDamaged, StoreBroken, StoreClosed, StoreFailure
from tvault.store.index import Snapshot
from tvault.store.journal import with_starts
from tvault.store.ports import Checked, Inspectable, Store
from tvault.store.records import Stored, read_journal, rising_ids
from tvault.store.runs import Run

FIRST_SECONDS = 10.0
"""From the start of a node to its first check: it has better things to do at first."""

RUNS_SECONDS = 60 * 60.0
"""From one check of the indexes to the next one: they alone know that a token or a secret does not
exist."""

ENTRIES_SECONDS = 24 * 60 * 60.0
"""From one check of the journal to the next one: what is read of it for a client is checked anyway."""

SLICE_SECONDS = 0.005
"""How long entries are read in one go: no longer does a read transaction hold a checkpoint up.  SQLite
compares the indexes of a table of secrets with it in one go, some 0.1 s for each 100,000 rows."""

RESTS = 9
"""How many times as long as that the check then rests: it takes a tenth of one core at most.

Its thread has no lower priority than others: it would keep them waiting for the interpreter whenever the
machine is busy.
"""

_log = logging.getLogger("tvault.store")


class Record(Protocol):
    """Notes an event of the node."""

    def __call__(self, event: str, *, entries: int, seconds: float) -> None:
        """Note it."""


class JournalCheck:
    """Checks `store` soon after `start` and again and again from then on, until `stop`, or until it has
    found damage: that it reports to `doubt`, and ends.  A journal without any is the event `checked`.

    A failure that is no damage breaks a check off; the next one begins anew.
    """

    def __init__(
        self,
        store: Store,
        record: Record,
        doubt: Callable[[str], None],
        *,
        first_s: float = FIRST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        stopping: threading.Event | None = None,
    ) -> None:
        self._store = store
        self._record = record
        self._doubt = doubt
        self._first_s = first_s
        self._clock = clock
        self._stopping = stopping or threading.Event()
        self._slice_began = 0.0
        self._entries_due = float("-inf")
        self._thread = threading.Thread(target=self._run, name="journal check", daemon=True)

    def start(self) -> None:
        """Begin, after a while."""
        self._thread.start()

    def stop(self) -> None:
        """End after the entry in hand; waits for the thread."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        pause = self._first_s
        while not self._stopping.wait(pause):
            try:
                self._check()
            except StoreClosed:
                return
            except (JournalDamaged, StoreBroken) as damage:
                self._doubt(str(damage))
                return
            except (StoreFailure, OSError) as failure:
                _log.warning("the check of the journal was broken off: %s", failure)
            pause = RUNS_SECONDS

    def _check(self) -> None:
        began = self._slice_began = self._clock()
        upto = self._store.committed_hint()
        self._rest_between(self._store.check_runs())
        if began >= self._entries_due and self._rest_between(
            entry_slices(self._store, Checked(), upto, self._is_over)
        ):
            self._entries_due = began + ENTRIES_SECONDS
            self._record("checked", entries=upto, seconds=round(self._clock() - began, 1))

    def _rest_between(self, slices: Iterator[object]) -> bool:
        """Whether all slices came to pass before the end."""
        for _ in slices:
            if self._stopping.wait(RESTS * (self._clock() - self._slice_began)):
                return False
            self._slice_began = self._clock()
        return not self._stopping.is_set()

    def _is_over(self) -> bool:
        return self._stopping.is_set() or self._clock() - self._slice_began >= SLICE_SECONDS


def entry_slices(
    store: Inspectable, done: Checked, upto: int, is_over: Callable[[], bool]
) -> Iterator[Checked]:
    """Read the entries after `done` up to `upto` again, some at each step.  Raises as the port's
    `check_slice` does."""
    while done.last.seq < upto:
        done = store.check_slice(done, upto, is_over)
        yield done


def check_slice(
    connection: sqlite3.Connection,
    snapshot: Snapshot | None,
    done: Checked,
    upto: int,
    is_over: Callable[[], bool],
) -> Checked:
    """`Inspectable.check_slice` on a disk: entries must give their digests, the ids of rows must rise
    with the journal, and the index, if it is given, must find every token where it stands."""
    taken: list[Stored] = []
    with closing(read_journal(connection, done.last)) as following:
        for stored in following:
            taken.append(stored)
            if stored.entry.seq >= upto or is_over():
                break
    if not taken:
        raise JournalDamaged(f"entry {done.last.seq + 1} is gone")
    last = taken[-1].entry.position
    block_ids = rising_ids(taken, done.block_id)
    epoch_ids = [done.epoch_id, *chain.from_iterable(stored.epoch_ids for stored in taken)]
    if any(older >= newer for older, newer in pairwise(epoch_ids)):
        raise JournalDamaged(f"the epochs of entries up to {last.seq} are out of order")
    if snapshot is not None:
        _refuse_lost_tokens(snapshot, taken, block_ids)
    return Checked(
        last,
        block_ids[-1] if block_ids else done.block_id,
        epoch_ids[-1],
        done.rows.and_of([stored.rows for stored in taken]),
        with_starts(done.epochs, [(stored.entry.seq, stored.rows) for stored in taken]),
    )


def _refuse_lost_tokens(snapshot: Snapshot, taken: Sequence[Stored], block_ids: Sequence[int]) -> None:
    """Raise `JournalDamaged` unless the index finds every token where it stands."""
    blocks = [block for stored in taken for block in stored.rows.blocks]
    keys, spots = snapshot.masks.tokens_of(blocks, block_ids)
    if (snapshot.find_keys(keys, snapshot.top) != spots).any() and not any(
        map(_is_damaged, snapshot.runs)
    ):
        last = taken[-1].entry.seq
        raise JournalDamaged(f"the index does not find all tokens of entries up to {last}")


def _is_damaged(run: Run) -> bool:
    """Whether what look-ups see of a run is not what was written: then the check of the runs sees to it.
    Its file may be a new one by now."""
    return any(
        zlib.crc32(column.data) != expected
        for column, expected in zip(run.columns, run.sums, strict=False)  # the filter is in memory
    )
