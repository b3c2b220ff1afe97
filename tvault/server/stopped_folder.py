"""The data folder of a node that does not run, looked at by people: nothing in it changes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tvault.errors import VaultError
from tvault.replication.promise import Promise
from tvault.replication.recovery import doubt_of
from tvault.server.folder import DOUBTFUL, LOCK_FILE, PROMISE_FILE
from tvault.store.failures import PromiseDamaged, StoreBroken
from tvault.store.promise import read_promise
from tvault.store.sqlite import FILE_NAME
from tvault.store.stopped import StoppedStore
from tvault.store.verification import Finding

_REASON_BYTES = 1000


class StoppedFolder:
    """Keeps a node from using the folder until `close`; others may look at it as well.

    Raises `VaultError`: `usage` when it is no data folder or a node uses it, `configuration` when a file
    in it is of another version of tvault.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._promise: Promise | None = None
        self._damage: str | None = None
        if not path.is_dir():
            raise self._unusable("there is no such folder")
        if not any((path / name).exists() for name in (FILE_NAME, PROMISE_FILE)):
            known = "expected the data folder of a node, such as data/n1"
            raise self._unusable(f"it holds no {FILE_NAME}: {known}")
        self._lock = self._locked()
        try:
            self._read_promise()
        except BaseException:
            self.close()
            raise

    @property
    def node(self) -> str | None:
        """The node whose folder it is, as far as that is known."""
        return None if self._promise is None else self._promise.node

    def open_store(self) -> StoppedStore:
        """The journal and the index in it.  Raises as `StoppedStore` does."""
        if not (self.path / FILE_NAME).exists():
            raise StoreBroken(f"{FILE_NAME} is gone")
        return StoppedStore(self.path)

    def findings(self, store: StoppedStore) -> Iterator[Finding]:
        """What the files beside the journal say against it: the node would set it aside when started."""
        with suppress(OSError):
            why = (self.path / DOUBTFUL).read_bytes()[:_REASON_BYTES].decode("utf-8", "replace")
            yield Finding(DOUBTFUL, f"the node has noted that its files are not to be trusted: {why}")
        if self._damage is not None:
            yield Finding(PROMISE_FILE, self._damage)
        elif (doubt := doubt_of(self._promise, store)) is not None:
            yield Finding(FILE_NAME, doubt)

    def close(self) -> None:
        """Let a node use it."""
        if self._lock is not None:
            os.close(self._lock)

    def _locked(self) -> int | None:
        """None when there is nothing to lock: no node has ever used the folder as it is."""
        try:
            lock = os.open(self.path / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(f"{LOCK_FILE} cannot be read: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise self._unusable("it is in use by a running node: ask that without --data") from None
        return lock

    def _read_promise(self) -> None:
        try:
            self._promise = read_promise(self.path / PROMISE_FILE)
        except PromiseDamaged:
            self._damage = "the promise file is damaged"
        except OSError as error:
            raise self._unusable(f"{PROMISE_FILE} cannot be read: {error.strerror}") from None

    def _unusable(self, why: str) -> VaultError:
        return VaultError("usage", f"{self.path} cannot be looked at: {why}")
