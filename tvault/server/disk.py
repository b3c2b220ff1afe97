"""A node's files as its thread uses them: what a step persists, what is stored at rest, a full disk."""

from __future__ import annotations

import time
from contextlib import suppress

from tvault.replication.promise import Promise
from tvault.replication.ready import Ready
from tvault.server.folder import Opened
from tvault.store.failures import StoreBlocked, StoreFull

IDLE_SECONDS = 1.0
"""After so long without an entry, how far the journal is committed is stored without one, so that a node
that is started alone answers what was acknowledged last."""

PROBE_SECONDS = 1.0
"""How often a full disk is tried again."""


class Disk:
    """Persists for the node's thread.  Calls raise what `Store` and `PromiseFile` do."""

    def __init__(self, opened: Opened) -> None:
        self._promise_file = opened.promise_file
        self._store = opened.store
        self._written_at = time.monotonic()
        self._probed_at: float | None = None

    def keep(self, ready: Ready) -> float:
        """Steps 2 to 4 of `Ready`; how many seconds the journal took.

        Raises `StoreFull` when the third one found no room: the fourth was not done.
        """
        if ready.promise is not None:
            self._write_promise(ready.promise, sync=True)
        took_s = 0.0
        if ready.touches_journal:
            began = time.monotonic()
            try:
                self._store.write(ready.cut_after, ready.entries, ready.committed)
            except StoreFull:
                self._probed_at = time.monotonic()
                raise
            self._written_at = time.monotonic()
            took_s = self._written_at - began
        if ready.mark is not None:
            self._write_promise(ready.mark, sync=ready.sync_mark)
        self._store.settle(ready.committed)
        return took_s

    def _write_promise(self, promise: Promise, *, sync: bool) -> None:
        """The file has all its room from the start.  Should the file system want more all the same, the
        node cannot go on, and its files are as good as before."""
        try:
            self._promise_file.write(promise, sync=sync)
        except StoreFull:
            raise StoreBlocked("the disk is full, and the promise file cannot be written") from None

    def has_room_again(self) -> bool:
        """Whether the disk was full, and is no more: it is tried now and then."""
        now = time.monotonic()
        if self._probed_at is None or now - self._probed_at < PROBE_SECONDS:
            return False
        self._probed_at = None if self._store.has_room() else now
        return self._probed_at is None

    def rest(self, committed: int, *, is_end: bool = False) -> None:
        """Store how far the journal is committed, once nothing else has been stored for a while.  A full
        disk loses nothing by it."""
        now = time.monotonic()
        if self._probed_at is None and (is_end or now - self._written_at >= IDLE_SECONDS):
            self._written_at = now
            with suppress(StoreFull):
                self._store.write(None, (), committed)
