"""A node's data folder: one owner, its promise file, its journal, and what was set aside."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from uuid import uuid4

import msgspec

from tvault.errors import VaultError
from tvault.replication.promise import Promise, Standing
from tvault.replication.recovery import ForeignFolder, Identity, recover, refuse_foreign
from tvault.store.failures import PromiseDamaged, StoreBroken, StoreFull
from tvault.store.folders import sync_folder
from tvault.store.ports import Store, StoreViolation
from tvault.store.promise import PromiseFile
from tvault.store.sqlite import FILE_NAME, INDEX_FOLDER, SqliteStore

PROMISE_FILE = "promise"
LOCK_FILE = "lock"
ASIDE = "set-aside-"
STAMP = "%Y%m%dT%H%M%S.%fZ"
UNFINISHED = "restoring"
"""A folder that is there while a backup is brought back: see `server.restoring`."""

DOUBTFUL = "doubtful"
"""A file that says why the node that used the folder last could not trust what is in it."""

_REASON_BYTES = 1000

_PATIENCE_S = 0.5
_LOOK_S = 0.01
"""Whoever asks whether a folder is in use has its lock for an instant: no reason to refuse a node."""

REASON = "why"
"""A file beside what was set aside: why it was."""


@dataclass(frozen=True)
class Opened:
    """A folder in use: what the node starts with, why something was set aside, if it was, and when and
    why that was done last in the life of this folder.

    `doubt` notes durably, with its reason, that what is in the folder is not to be trusted: it is set
    aside when the folder is opened next.  Raises `OSError`.
    """

    promise: Promise
    promise_file: PromiseFile
    store: Store
    set_aside: str | None
    last_set_aside: str | None
    doubt: Callable[[str], None]


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
        if not _is_locked(self._lock):
            os.close(self._lock)
            raise self._unusable("is in use by another process")

    def open(self, identity: Identity, cache_mib: int) -> Opened:
        """Read what is there; set it aside and begin blank if it is damaged."""
        if (self._path / UNFINISHED).exists():
            raise self._unusable("is half restored: 'tvault restore' was interrupted; repeat it")
        promise_file = PromiseFile(self._path / PROMISE_FILE)
        doubt = self._read_doubt()
        found, damaged = self._read_promise(promise_file, identity)
        interrupted = self._interrupted(found)
        store, broken = self._read_journal(cache_mib)
        recovered = recover(
            found,
            damaged=doubt or damaged or broken or interrupted,
            journal=store,
            identity=identity,
            incarnation=uuid4().hex,
        )
        if recovered.set_aside is not None:
            store.close()
            promise_file.close()
            self._set_aside(recovered.set_aside, FILE_NAME, INDEX_FOLDER, PROMISE_FILE, DOUBTFUL)
            promise_file = PromiseFile(self._path / PROMISE_FILE)
            store = SqliteStore(self._path, cache_mib=cache_mib)
            found = None
        try:
            if found is None:
                promise_file.create(recovered.promise)
            else:
                promise_file.write(recovered.promise, sync=True)
        except StoreFull:
            store.close()
            promise_file.close()
            raise self._unusable("cannot be written: the disk is full") from None
        promise = recovered.promise
        last = self.last_set_aside() if promise.set_aside else None
        return Opened(promise, promise_file, store, recovered.set_aside, last, self._doubt)

    def glance(self, identity: Identity) -> Promise | None:
        """What the promise file says, None when there is none or it is damaged.  Changes nothing."""
        promise_file = PromiseFile(self._path / PROMISE_FILE)
        try:
            return self._read_promise(promise_file, identity)[0]
        finally:
            promise_file.close()

    def accept_loss(self, opened: Opened) -> None:
        """Let a blank node vote again, with the journal that it has: whatever it has forgotten of its
        votes and its journal will be missed by nobody.  For an operator to decide."""
        promise = msgspec.structs.replace(opened.promise, standing=Standing.VOTER)
        opened.promise_file.write(promise, sync=True)

    def _doubt(self, why: str) -> None:
        """That the file is there counts, more than what it says: a full disk has no room for that."""
        marker = os.open(self._path / DOUBTFUL, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with suppress(OSError):
                os.write(marker, why.encode()[:_REASON_BYTES])
            os.fsync(marker)
        finally:
            os.close(marker)
        sync_folder(self._path)

    def close(self) -> None:
        """Let another process have the folder."""
        os.close(self._lock)

    def _read_doubt(self) -> str | None:
        try:
            text = (self._path / DOUBTFUL).read_bytes()[:_REASON_BYTES]
        except FileNotFoundError:
            return None
        return text.decode("utf-8", "replace") or "it was found damaged"

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
            why = f"the journal is damaged: {error}"
            self._set_aside(why, FILE_NAME, INDEX_FOLDER)
            return SqliteStore(self._path, cache_mib=cache_mib), why

    def last_set_aside(self) -> str | None:
        """When files were set aside last, and why."""
        latest = max(self._path.glob(ASIDE + "*"), key=lambda aside: aside.name, default=None)
        if latest is None:
            return None
        told = latest.name.removeprefix(ASIDE)
        with suppress(ValueError):
            when = datetime.strptime(told, STAMP).replace(tzinfo=timezone.utc)
            told = f"{when:%Y-%m-%dT%H:%M:%SZ}"
        with suppress(OSError):
            told += ": " + (latest / REASON).read_text(encoding="utf-8", errors="replace")
        return told

    def _set_aside(self, why: str, *names: str) -> None:
        """Move the files that begin with one of `names` to a folder of their own: what is doubtful is
        kept for people, and trusted by nobody."""
        stamp = datetime.now(timezone.utc).strftime(STAMP)
        aside = self._path / f"{ASIDE}{stamp}"
        aside.mkdir(mode=0o700)
        sync_folder(self._path)  # whatever happens from here on, the folder tells of it
        # The doubt goes last: while anything doubtful is here, so is the file that says so.
        for file in sorted(self._path.iterdir(), key=lambda file: file.name == DOUBTFUL):
            if file.name.startswith(names):
                file.rename(aside / file.name)
        with suppress(OSError):
            (aside / REASON).write_text(why, encoding="utf-8")
        sync_folder(aside)
        sync_folder(self._path)

    def _unusable(self, why: str) -> VaultError:
        return VaultError("configuration", f"The data folder {self._path} {why}.")


def _is_locked(lock: int) -> bool:
    """Whether the lock is this process's now."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK_S)
