"""How a store can fail.  `ports.StoreViolation` is the one failure that is not the disk's."""

from __future__ import annotations

from tvault.store.ports import StoreViolation


class StoreFailure(Exception):
    """The store could not do what was asked.  What it held before is held still."""


class StoreFull(StoreFailure):
    """The disk is full.  Nothing was written, nothing is damaged, and a later try may succeed."""


class StoreBroken(StoreFailure):
    """Reading, writing or syncing failed, or the database is corrupt.

    After a failed write the store takes no further ones: once a sync has failed, a second one that
    succeeds proves nothing (Rebello et al., "Can Applications Recover from fsync Failures?", 2020).
    """


class StoreBlocked(StoreFailure):
    """Another process holds the database, or a limit of this one stands in the way.  Nothing was
    written, nothing is damaged, and a later try may succeed."""


class StoreClosed(StoreFailure):
    """The store was closed before or during the call."""


class JournalDamaged(StoreViolation):
    """What was read back is not what was written."""


class PromiseDamaged(StoreFailure):
    """The promise file is there, but nothing in it can be trusted: the node has lost its memory."""
