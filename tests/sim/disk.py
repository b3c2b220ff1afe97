"""A simulated disk: a journal whose transactions are atomic, a promise file of two slots."""

from __future__ import annotations

from random import Random

from tvault.replication.promise import Promise, Standing
from tvault.replication.ready import Ready
from tvault.store.memory import MemoryStore


class Disk:
    """What one node has written, and what of it would survive the loss of power."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self._synced: Promise | None = None
        self._written: Promise | None = None

    def promise_after_power_loss(self, dice: Random) -> Promise | None:
        """The slot that survives: an unsynced write may or may not have reached the disk."""
        survivor = dice.choice((self._synced, self._written))
        self._synced = self._written = survivor
        return survivor

    @property
    def promised(self) -> int:
        """The view that this node has durably promised."""
        return self._synced.promised if self._synced is not None else 0

    @property
    def is_voter(self) -> bool:
        """Whether this node durably counts towards a majority."""
        return self._synced is not None and self._synced.standing is Standing.VOTER

    def write_promise(self, promise: Promise, *, sync: bool) -> None:
        """Write the slot whose turn it is."""
        self._written = promise
        if sync:
            self._synced = promise

    def carry_out(self, ready: Ready, steps: int = 3) -> None:
        """Do the first `steps` of what `ready` wants of the disk: promise, journal, mark."""
        if steps >= 1 and ready.promise is not None:
            self.write_promise(ready.promise, sync=True)
        if steps >= 2 and ready.touches_journal:
            self.store.write(ready.cut_after, ready.entries, ready.committed)
        if steps >= 3 and ready.mark is not None:
            self.write_promise(ready.mark, sync=ready.sync_mark)
