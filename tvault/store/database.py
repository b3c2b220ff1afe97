"""Connections to a node's SQLite file: one that writes and checkpoints, and a few that read.

Two connections that commit or checkpoint the same WAL can corrupt it in SQLite 3.7.0 to 3.51.2 (the
WAL-reset race): hence one writing connection a file, which does all checkpoints.
"""

from __future__ import annotations

import os
import queue
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from peewee import PeeweeException, SqliteDatabase

from tvault.errors import VaultError
from tvault.store.failures import StoreBlocked, StoreBroken, StoreClosed, StoreFailure, StoreFull
from tvault.store.folders import sync_folder
from tvault.store.ports import StoreViolation
from tvault.store.tables import MIGRATIONS, Migration

_BUSY_SECONDS = 5
_READER_CACHE_KIB = 2048  # random blocks do not come again soon: a large cache only costs page faults
_ROOM_TO_OPEN = 2**20
_OBSTACLES = (  # Python 3.10 tells SQLite's codes by their messages alone
    "database is locked",
    "unable to open database file",
    "attempt to write a readonly database",
    "out of memory",
)
_NO_ROOM_TO_SHARE = {"SQLITE_IOERR_SHMSIZE"}  # its shared memory file, in which nothing durable stands
_STAMP = 0x74560000  # "tV", then the number of steps
_STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's machine: some milliseconds
_TOLD_AT_MOST = 3  # of what is wrong
_FULL = 2  # what `PRAGMA synchronous` answers for FULL


class Database:
    """The connections to the SQLite file at `path`, which is made when missing.

    `cache_mib` MiB of pages are cached for the writer.
    Raises `VaultError`, code `configuration`, when a newer tvault wrote the file, when SQLite does not
    give the durability asked for, and when something stands in the way that is no damage: a full disk,
    another process, a missing permission.  `StoreBroken` then means that the file itself is damaged.
    """

    def __init__(
        self,
        path: Path,
        *,
        cache_mib: int = 16,
        readers: int = 4,
        migrations: tuple[Migration, ...] = MIGRATIONS,
    ) -> None:
        self._path = path
        self._refusal: StoreBroken | StoreClosed | None = None
        self._pool: queue.LifoQueue[SqliteDatabase | None] = queue.LifoQueue()
        self._readers: list[SqliteDatabase] = []
        _touch(path)
        self._writer = _database(path, _writer_pragmas(cache_mib), lock_type="IMMEDIATE")
        try:
            with reported():
                self._open(migrations, readers)
        except StoreFailure as failure:
            self.close()
            raise failure_at_start(failure, path, shutil.disk_usage(path.parent).free) from failure
        except BaseException:
            self.close()
            raise

    def _open(self, migrations: tuple[Migration, ...], readers: int) -> None:
        self._writer.connect()
        mode = self._writer.pragma("journal_mode")
        synchronous = self._writer.pragma("synchronous")
        if (mode, synchronous) != ("wal", _FULL):
            raise VaultError("configuration", f"SQLite refuses WAL with full sync for {self._path}")
        migrate(self._writer, migrations, self._path)
        self._refuse_read_only()
        for _ in range(readers):
            reader = _database(self._path, _reader_pragmas(), lock_type="DEFERRED")
            reader.connect()
            self._readers.append(reader)
            self._pool.put(reader)

    def _refuse_read_only(self) -> None:
        """SQLite opens a file whose header names a format that it does not know, to read it only: if
        the file may be written, the header is damaged."""
        try:
            self.probe()
        except StoreBlocked as refusal:
            if "readonly" in str(refusal) and os.access(self._path, os.W_OK):
                raise StoreBroken(f"the header of {self._path.name} is damaged") from refusal
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A durable transaction on the writing connection: committed at the end, or nothing is written.

        After `StoreBroken` every later call raises it again.
        """
        if self._refusal is not None:
            raise self._refusal
        try:
            with reported(), begun(_raw(self._writer), "BEGIN IMMEDIATE") as connection:
                yield connection
        except StoreBroken as failure:
            self._refusal = failure
            raise

    def probe(self) -> None:
        """Write and sync a page that stays as it is.  Raises as `transaction` does."""
        with self.transaction() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {int(version)}")

    @contextmanager
    def look(self) -> Iterator[sqlite3.Connection]:
        """A reading connection inside one read transaction: all that is read is of one moment."""
        with self.glance() as connection, begun(connection, "BEGIN"):
            yield connection

    @contextmanager
    def glance(self) -> Iterator[sqlite3.Connection]:
        """A reading connection for one statement, which is of one moment by itself."""
        reader = self._pool.get()
        if reader is None:
            self._pool.put(None)  # wake the next one that waits
            raise StoreClosed("the store is closed")
        try:
            with reported():
                yield _raw(reader)
        finally:
            self._pool.put(reader)

    def close(self) -> None:
        """End the readers, each once its look is over, then the writer.  Again: does nothing."""
        self._refusal = StoreClosed("the store is closed")
        for _ in self._readers:
            reader = self._pool.get()
            if reader is not None:
                reader.close()
        self._readers.clear()
        self._pool.put(None)
        with suppress(PeeweeException, sqlite3.Error):  # all that was acknowledged is in the WAL
            self._writer.close()


@contextmanager
def begun(connection: sqlite3.Connection, begin: str) -> Iterator[sqlite3.Connection]:
    """Inside a transaction, committed at the end or rolled back.  (peewee's own costs several times the
    work of a small one.)"""
    connection.execute(begin)
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends it by itself
            connection.execute("ROLLBACK")
        raise


def migrate(database: SqliteDatabase, migrations: tuple[Migration, ...], path: Path) -> None:
    """Apply the steps that the file has not seen, each in a transaction of its own.

    The number of steps stands in the file's header twice, so that a damaged one is not taken for that of
    a newer tvault.  Raises `VaultError` with code `configuration` when the file has seen more steps than
    there are, and `StoreBroken` when the two numbers differ.
    """
    version = database.user_version
    refuse_damaged_header(version, database.pragma("application_id"), path)
    if version > len(migrations):
        known = len(migrations)
        detail = f"{path} was written by a newer tvault: its schema is {version}, this one knows {known}"
        raise VaultError("configuration", detail)
    for number, step in enumerate(migrations[version:], start=version + 1):
        with database.atomic():
            step(database)
            database.user_version = number
            database.pragma("application_id", _STAMP + number)


def check_database(connection: sqlite3.Connection, is_over: Callable[[], bool]) -> str | None:
    """`Inspectable.check_database` on a disk: SQLite asks now and then whether it is over, but not while
    it reads the pages of a table."""
    connection.set_progress_handler(is_over, _STEPS_BETWEEN_LOOKS)
    try:
        rows = connection.execute(f"PRAGMA integrity_check({_TOLD_AT_MOST})").fetchall()
    except sqlite3.OperationalError:
        if is_over():
            return None
        raise
    finally:
        connection.set_progress_handler(None, 0)
    told = " ".join("; ".join(text for (text,) in rows).split())
    return None if told == "ok" else told


def refuse_damaged_header(version: int, stamp: int, path: Path) -> None:
    """Raise `StoreBroken` unless the two numbers in a file's header that count the steps agree."""
    if stamp not in (0, _STAMP + version):
        raise StoreBroken(f"the header of {path.name} is damaged")


@contextmanager
def reported() -> Iterator[None]:
    """Turn what SQLite raises inside into the failures of `store.failures`, or `StoreViolation`."""
    try:
        yield
    except (sqlite3.Error, PeeweeException) as error:
        raise _failure(error) from error
    except UnicodeDecodeError as error:  # a damaged schema, quoted in SQLite's message
        raise StoreBroken("SQLite failed: the database is damaged") from error


def failure_at_start(failure: StoreFailure, path: Path, free_bytes: int) -> Exception:
    """What to raise for a failure to open `path`: whoever meets `StoreBroken` may put the file aside.

    With no room left SQLite cannot make its shared memory file, and reports that as an I/O error.
    """
    if isinstance(failure, StoreFull | StoreBlocked):
        return VaultError("configuration", f"{path} cannot be opened: {failure}")
    if free_bytes < _ROOM_TO_OPEN:
        return VaultError("configuration", f"{path} cannot be opened: the disk is full")
    return failure


def _failure(error: Exception) -> Exception:
    # A full disk ends the transaction by itself, then the rollback fails too: the first error counts.
    first: BaseException = error
    while isinstance(first.__context__, sqlite3.Error | PeeweeException):
        first = first.__context__
    if "database or disk is full" in str(first):
        return StoreFull("the disk is full")
    if getattr(first, "sqlite_errorname", "") in _NO_ROOM_TO_SHARE:
        return StoreFull("the disk is full")
    if isinstance(first, sqlite3.IntegrityError):
        return StoreViolation(f"SQLite refused a row: {first}")
    if any(reason in str(first) for reason in _OBSTACLES):
        return StoreBlocked(f"SQLite failed: {first}")
    return StoreBroken(f"SQLite failed: {first}")


def _database(path: Path, pragmas: dict[str, object], *, lock_type: str) -> SqliteDatabase:
    return SqliteDatabase(
        str(path),
        pragmas=pragmas,
        lock_type=lock_type,
        thread_safe=False,  # a connection is handed from thread to thread, never shared by two
        check_same_thread=False,
        timeout=_BUSY_SECONDS,
        autoconnect=False,
    )


def _writer_pragmas(cache_mib: int) -> dict[str, object]:
    return {
        "journal_mode": "wal",
        "synchronous": "full",
        "foreign_keys": 1,
        "temp_store": "memory",
        "cache_size": -1024 * cache_mib,
        "wal_autocheckpoint": 1000,
    }


def _reader_pragmas() -> dict[str, object]:
    return {
        "query_only": 1,
        "temp_store": "memory",
        "cache_size": -_READER_CACHE_KIB,
        "wal_autocheckpoint": 0,
    }


def _raw(database: SqliteDatabase) -> sqlite3.Connection:
    connection: sqlite3.Connection = database.connection()  # type: ignore[no-untyped-call]
    return connection


def _touch(path: Path) -> None:
    """Make the file for its owner alone, with the folder around it, and make their names durable.

    A file that exists is not opened: to close it again would drop the locks of this process on it.
    """
    try:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, parents=True)
            sync_folder(path.parent.parent)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
            sync_folder(path.parent)
    except OSError as error:
        raise VaultError("configuration", f"{path} cannot be made: {error.strerror}") from error
