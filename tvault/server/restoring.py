"""A data folder that is filled from a backup, for a node that has none.

The journal grows in a folder inside of it, and is moved to its place when it is whole; then comes the
promise, and that folder goes last.  While it is there no node starts, and a restore begins from scratch:
nothing half restored is ever believed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final
from uuid import uuid4

from tvault.errors import VaultError
from tvault.replication.entry import Entry
from tvault.replication.promise import Promise
from tvault.replication.recovery import Identity
from tvault.server.folder import ASIDE, DOUBTFUL, PROMISE_FILE, UNFINISHED, DataFolder
from tvault.store.backup import Backup
from tvault.store.failures import StoreFailure
from tvault.store.folders import sync_folder
from tvault.store.ports import StoreViolation
from tvault.store.promise import PromiseFile
from tvault.store.sqlite import FILE_NAME, INDEX_FOLDER, SqliteStore

WRITE_BYTES: Final = 4 * 1024 * 1024
WRITE_ENTRIES: Final = 4096
"""Entries are written in transactions of at most so many, and so many bytes."""

_IN_THE_WAY = (FILE_NAME, INDEX_FOLDER, PROMISE_FILE, DOUBTFUL, ASIDE)


class EmptyFolder:
    """The data folder of a node that holds nothing yet, kept from other processes until `close`.

    What a restore has left that was interrupted is nothing.  Raises `VaultError` (`usage`) when it holds
    anything of a node but its event log, and what `DataFolder` raises.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = DataFolder(path)
        self._was_interrupted = (path / UNFINISHED).exists()
        held = sorted(file.name for file in self._in_the_way())
        if held and not self._was_interrupted:
            self._folder.close()
            raise VaultError(
                "usage",
                f"{path} is not empty, it holds {held[0]}: a backup is restored into an empty folder. "
                "Move this one away, if the cluster is to begin anew from the backup",
            )

    def restore(
        self, backup: Backup, identity: Identity, cache_mib: int, tell: Callable[[float], None]
    ) -> None:
        """Fill it.  The node it is for then is blank: it has forgotten its votes, like one that is new.
        All nodes of the ensemble that remember no more than a backup found the cluster together; beside
        any that remembers more this one only copies.  Raises `VaultError`."""
        unfinished = self._path / UNFINISHED
        try:
            self._clear()
            unfinished.mkdir(mode=0o700)
            sync_folder(self._path)
            _write_journal(backup, unfinished, cache_mib, tell)
            for file in sorted(unfinished.iterdir()):
                file.rename(self._path / file.name)
            sync_folder(self._path)
            promise_file = PromiseFile(self._path / PROMISE_FILE)
            promise_file.create(_promise(backup, identity))
            promise_file.close()
            unfinished.rmdir()
            sync_folder(self._path)
        except (StoreFailure, StoreViolation, OSError) as failure:
            why = failure.strerror if isinstance(failure, OSError) else failure
            raise VaultError("internal", f"{self._path} cannot be restored: {why}") from None

    def _clear(self) -> None:
        """Remove what an interrupted restore has left."""
        if self._was_interrupted:
            for file in self._in_the_way():
                shutil.rmtree(file) if file.is_dir() else file.unlink()
            shutil.rmtree(self._path / UNFINISHED)

    def _in_the_way(self) -> list[Path]:
        return [file for file in self._path.iterdir() if file.name.startswith(_IN_THE_WAY)]

    def close(self) -> None:
        """Let a node use it."""
        self._folder.close()


def _write_journal(backup: Backup, folder: Path, cache_mib: int, tell: Callable[[float], None]) -> None:
    """All entries, each checked again by the store, and known to be committed."""
    waiting: list[Entry] = []
    size = 0
    with closing(SqliteStore(folder, cache_mib=cache_mib)) as store:

        def write() -> None:
            if waiting:
                last = waiting[-1].seq
                store.write(None, waiting, last)
                store.settle(last)
                tell(last / max(1, backup.manifest.last))

        for entry in backup.entries():
            if size + len(entry.body) > WRITE_BYTES or len(waiting) >= WRITE_ENTRIES:
                write()
                waiting, size = [], 0
            waiting.append(entry)
            size += len(entry.body)
        write()


def _promise(backup: Backup, identity: Identity) -> Promise:
    return Promise(
        cluster=identity.cluster,
        ensemble=identity.ensemble,
        node=identity.node,
        keys=identity.keys,
        incarnation=uuid4().hex,
        promised=backup.manifest.view,
        mark=backup.end,
        start=backup.end,
    )
