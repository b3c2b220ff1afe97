"""A node's data folder: one owner, its promise file, its journal, and what was set aside."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from uuid import uuid4

from tvault.errors import VaultError
from tvault.replication.promise import Promise
from tvault.replication.recovery import ForeignFolder, Identity, recover, refuse_foreign
from tvault.store.failures import PromiseDamaged, StoreBroken
from tvault.store.folders import sync_folder
from tvault.store.ports import StoreViolation
from tvault.store.promise import PromiseFile
from tvault.store.sqlite import FILE_NAME, SqliteStore

PROMISE_FILE = "promise"
LOCK_FILE = "lock"
ASIDE = "set-aside-"


@dataclass(frozen=True)
class Opened:
    """A folder in use: what the node starts with, and why something was set aside, if it was."""

    promise: Promise
    promise_file: PromiseFile
    store: SqliteStore
    set_aside: str | None


class DataFolder:
    """The folder of one node, locked against a second process until `close`.

    Raises `VaultError` `configuration` when it cannot be used: not writable, in use, or another node's.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(f"cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise self._unusable("is in use by another process") from None

    def open(self, identity: Identity, cache_mib: int) -> Opened:
        """Read what is there; set it aside and begin blank if it is damaged."""
        promise_file = PromiseFile(self._path / PROMISE_FILE)
        found, damaged = self._read_promise(promise_file, identity)
        interrupted = self._interrupted(found)
        store, broken = self._read_journal(cache_mib)
        recovered = recover(
            found,
            damaged=damaged or broken or interrupted,
            journal=store,
            identity=identity,
            incarnation=uuid4().hex,
        )
        if recovered.set_aside is not None:
            store.close()
            promise_file.close()
            self._set_aside(FILE_NAME, PROMISE_FILE)
            promise_file = PromiseFile(self._path / PROMISE_FILE)
            store = SqliteStore(self._path, cache_mib=cache_mib)
            found = None
        if found is None:
            promise_file.create(recovered.promise)
        else:
            promise_file.write(recovered.promise, sync=True)
        return Opened(recovered.promise, promise_file, store, recovered.set_aside)

    def close(self) -> None:
        """Let another process have the folder."""
        os.close(self._lock)

    def _read_promise(
        self, promise_file: PromiseFile, identity: Identity
    ) -> tuple[Promise | None, str | None]:
        """The promise, or what is wrong with it.  Another node's folder is not touched any further."""
        try:
            found = promise_file.load()
            if found is not None:
                refuse_foreign(found, identity)
        except PromiseDamaged:
            return None, "the promise file is damaged"
        except ForeignFolder as error:
            raise self._unusable(f"is not this node's: {error}") from None
        return found, None

    def _interrupted(self, found: Promise | None) -> str | None:
        """What an earlier start that crashed while it set files aside has left undone: a promise that
        is not that of the node begun anew says nothing about the journal that stands beside it."""
        begun_anew = found is not None and found.set_aside
        if begun_anew or not any(self._path.glob(ASIDE + "*")):
            return None
        return "files were set aside before, and the node has not begun anew"

    def _read_journal(self, cache_mib: int) -> tuple[SqliteStore, str | None]:
        try:
            return SqliteStore(self._path, cache_mib=cache_mib), None
        except (StoreViolation, StoreBroken) as error:
            self._set_aside(FILE_NAME)
            return SqliteStore(self._path, cache_mib=cache_mib), f"the journal is damaged: {error}"

    def _set_aside(self, *names: str) -> None:
        """Move the files that begin with one of `names` to a folder of their own: what is doubtful is
        kept for people, and trusted by nobody."""
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
        aside = self._path / f"{ASIDE}{stamp}"
        aside.mkdir(mode=0o700)
        sync_folder(self._path)  # whatever happens from here on, the folder tells of it
        for file in sorted(self._path.iterdir()):
            if file.name.startswith(names):
                file.rename(aside / file.name)
        sync_folder(aside)
        sync_folder(self._path)

    def _unusable(self, why: str) -> VaultError:
        return VaultError("configuration", f"The data folder {self._path} {why}.")
