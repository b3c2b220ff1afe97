"""The files of a node that does not run, read where they are: not a byte of them changes.

SQLite opens the journal to read only, without its locks: whoever opens it keeps the node away.  Its
log (`-wal`) is read with it when there is one, as a crash leaves it, and stays as it is; the shared
memory file (`-shm`), in which nothing durable stands, is not used and not made.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from tvault.errors import VaultError
from tvault.model.commands import Rows
from tvault.replication.entry import ORIGIN, Entry, Position
from tvault.store.checking import check_slice
from tvault.store.counting import count_slice
from tvault.store.database import begun, check_database, refuse_damaged_header, reported
from tvault.store.index import Snapshot
from tvault.store.journal import with_starts
from tvault.store.opening import is_of, open_own_run, read_masks
from tvault.store.ports import Checked, Counted, Epochs
from tvault.store.reading import DatabaseReader
from tvault.store.records import (
    read_entries,
    read_epochs,
    read_hint,
    read_last_block,
    read_last_position,
    read_position,
)
from tvault.store.runs import SUFFIX, Run, RunDamaged
from tvault.store.secrets import TABLES, check_indexes
from tvault.store.sqlite import FILE_NAME, INDEX_FOLDER
from tvault.store.tables import MIGRATIONS

LOG_SUFFIX = "-wal"


class StoppedStore:
    """Fills `ports.Inspectable` with the journal and the token index in `folder`; for one thread, while
    nobody else uses them.

    Of the index only what is in files is known: a node reads what follows when it starts.  Raises
    `VaultError` (`configuration`) for a journal of another version, and else what `SqliteStore` raises;
    `StoreBroken` and `JournalDamaged` are damage.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._database = _StoppedDatabase(folder / FILE_NAME)
        try:
            self._masks = read_masks(folder / INDEX_FOLDER)
            self._damaged: list[str] = []
            self._runs = self._open_runs()
            with self._database.look() as connection:
                self._last = read_last_position(connection)
                self._hint = max(read_hint(connection), self.indexed(self._last.seq))
        except BaseException:
            self.close()
            raise

    def last(self) -> Position:
        return self._last

    def position(self, seq: int) -> Position | None:
        with self._database.look() as connection:
            return read_position(connection, seq)

    def entries(self, after: int, max_bytes: int) -> Sequence[Entry]:
        """As `replication.entry.Journal` says."""
        with self._database.look() as connection:
            return read_entries(connection, after, max_bytes)

    def committed_hint(self) -> int:
        return self._hint

    def epochs(self) -> Epochs:
        with self._database.look() as connection:
            starts = read_epochs(connection, self._last.seq)
        return with_starts({}, [(seq, Rows(epochs=(start,))) for _, seq, start in starts])

    def count_slice(self, done: Counted, upto: int, is_over: Callable[[], bool]) -> Counted:
        with self._database.look() as connection:
            return count_slice(connection, done, upto, is_over)

    def check_slice(self, done: Checked, upto: int, is_over: Callable[[], bool]) -> Checked:
        indexed = self.indexed(upto)
        snapshot = None
        if done.last.seq < indexed:
            snapshot, upto = self._snapshot(), indexed
        with self._database.look() as connection:
            return check_slice(connection, snapshot, done, upto, is_over)

    def check_runs(self) -> Iterator[str | None]:
        yield from self._damaged
        yield from self._check_files()
        for table in TABLES:
            with self._database.look() as connection:
                check_indexes(connection, table)
            yield None

    def check_database(self, is_over: Callable[[], bool]) -> str | None:
        with self._database.look() as connection:
            return check_database(connection, is_over)

    def indexed(self, upto: int) -> int:
        return min(upto, self._runs[-1].stretch.last.seq) if self._runs else 0

    def count_index(self, upto: int) -> Iterator[int]:
        with self._database.look() as connection:
            top = read_last_block(connection, upto)
        snapshot = self._snapshot()
        return snapshot.count(top) if snapshot is not None else iter(())

    def close(self) -> None:
        """End the connection."""
        self._database.close()

    def _snapshot(self) -> Snapshot | None:
        if self._masks is None or not self._runs:
            return None
        top = self._runs[-1].stretch.top_block
        return Snapshot(self._masks, tuple(self._runs), (), top, top)

    def _check_files(self) -> Iterator[str | None]:
        place = 0
        try:
            for run in self._runs:
                yield from run.check_bit_by_bit()
                place += 1
        except RunDamaged:
            damaged = self._runs[place]
            self._runs = self._runs[:place]  # those that follow do not go on from what is known
            yield damaged.path.name

    def _open_runs(self) -> list[Run]:
        """The runs that follow each other from the beginning of the journal on, as a start would find
        them; what it would make anew is among the damaged ones."""
        paths = sorted((self._folder / INDEX_FOLDER).glob("*" + SUFFIX))
        found = [run for path in paths if (run := self._open_run(path))]
        runs: list[Run] = []
        end = ORIGIN
        while following := [run for run in found if run.stretch.after == end]:
            runs.append(max(following, key=lambda run: run.stretch.last))
            end = runs[-1].stretch.last
        return runs

    def _open_run(self, path: Path) -> Run | None:
        run = None
        with suppress(RunDamaged):
            run = open_own_run(path, self._masks) if self._masks is not None else None
        if run is None:
            self._damaged.append(path.name)
            return None
        return run if is_of(run, DatabaseReader(self._database)) else None


class _StoppedDatabase:
    """The one connection.  Raises `VaultError`, and what `reported` makes of SQLite's errors."""

    def __init__(self, path: Path) -> None:
        log = path.with_name(path.name + LOG_SUFFIX)
        has_log = log.exists() and log.stat().st_size > 0
        # Without locks and in exclusive mode SQLite keeps in its memory what is in `-shm` else.
        how = "mode=ro&vfs=unix-none" if has_log else "mode=ro&immutable=1"
        with reported():
            self._connection = sqlite3.connect(
                f"file:{quote(str(path.absolute()))}?{how}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,  # handed from thread to thread, never shared by two
            )
            with self._closed_if_refused():
                self._prepare(path)

    def _prepare(self, path: Path) -> None:
        for pragma in ("locking_mode = exclusive", "query_only = 1", "temp_store = memory"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (stamp,) = self._connection.execute("PRAGMA application_id").fetchone()
        refuse_damaged_header(version, stamp, path)
        if version != len(MIGRATIONS):
            known = len(MIGRATIONS)
            detail = f"{path} has schema {version}, and this tvault reads schema {known} alone"
            hint = (
                "use the version of tvault that wrote it" if version > known else "start its node once"
            )
            raise VaultError("configuration", f"{detail}: {hint}")

    @contextmanager
    def _closed_if_refused(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def look(self) -> Iterator[sqlite3.Connection]:
        """The connection, inside one read transaction."""
        with reported(), begun(self._connection, "BEGIN") as connection:
            yield connection

    def close(self) -> None:
        """End it."""
        self._connection.close()
