"""A simulated disk: a journal whose transactions are atomic, a promise file of two slots."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from tvault.replication.entry import Entry
from tvault.replication.promise import Promise, Standing
from tvault.replication.ready import Ready
from tvault.store.memory import MemoryStore

UNSYNCED_KEPT = 8
EVERYTHING = 1 << 40


class DiskFull(Exception):
    """There is no room for another entry."""


@dataclass
class Pace:
    """How long one write takes, in ms."""

    least: int = 1
    most: int = 6


@dataclass(frozen=True)
class Copy:
    """A node's folder as it was at a moment when the node was down."""

    promise: Promise
    entries: tuple[Entry, ...]
    hint: int


@dataclass
class Disk:
    """What one node has written, and what of it would survive the loss of power.

    `damaged` says what a start would find unreadable; `is_doubtful`: it is not what the node left there,
    or its next sync will fail.
    """

    store: MemoryStore = field(default_factory=MemoryStore)
    pace: Pace = field(default_factory=Pace)
    full: bool = False
    failing: bool = False
    stalled_until: int = 0
    damaged: str | None = None
    is_doubtful: bool = False
    _synced: Promise | None = None
    _unsynced: list[Promise] = field(default_factory=list)

    @property
    def promise(self) -> Promise | None:
        """What is durable in the promise file."""
        return self._synced

    @property
    def promised(self) -> int:
        """The view that this node has durably promised."""
        return self._synced.promised if self._synced is not None else 0

    @property
    def standing(self) -> Standing:
        """Whether this node durably counts towards a majority."""
        return self._synced.standing if self._synced is not None else Standing.BLANK

    def read_promise(self, dice: Random, *, power_lost: bool) -> Promise | None:
        """What a start finds.  A process that dies loses nothing that it has written; with the power,
        what was not synced may or may not be lost."""
        if self._unsynced:
            survivors = [*self._unsynced, self._synced] if power_lost else [self._unsynced[-1]]
            self._synced = dice.choice(survivors)
            self._unsynced.clear()
        return self._synced

    def write_promise(self, promise: Promise, *, sync: bool) -> None:
        """Write the slot whose turn it is."""
        if sync:
            self._synced = promise
            self._unsynced.clear()
        else:
            self._unsynced.append(promise)
            del self._unsynced[:-UNSYNCED_KEPT]

    def write_journal(self, ready: Ready) -> None:
        """One atomic transaction.  Raises `DiskFull`, with nothing written."""
        if self.full:
            raise DiskFull
        self.store.write(ready.cut_after, ready.entries, ready.committed)

    def write_mark(self, ready: Ready) -> None:
        """The last step that touches the disk."""
        if ready.mark is not None:
            self.write_promise(ready.mark, sync=ready.sync_mark)

    # Faults of a node that is down.

    def copy(self) -> Copy | None:
        """The folder as it is now; None when it holds nothing."""
        if self._synced is None:
            return None
        entries = tuple(self.store.entries(0, EVERYTHING))
        return Copy(self._synced, entries, self.store.committed_hint())

    def restore(self, copy: Copy) -> None:
        """The folder is as it was when the copy was taken."""
        self.store = _store_of(copy.entries, copy.hint)
        self._synced = copy.promise
        self._unsynced.clear()

    def truncate(self, keep: int) -> None:
        """Lose the end of the journal, and keep the promise file."""
        entries = tuple(self.store.entries(0, EVERYTHING))[:keep]
        self.store = _store_of(entries, min(self.store.committed_hint(), keep))


def _store_of(entries: tuple[Entry, ...], hint: int) -> MemoryStore:
    store = MemoryStore()
    store.write(None, entries, hint)
    return store
