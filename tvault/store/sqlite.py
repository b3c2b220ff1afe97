"""The store on disk: journal and rows in one SQLite file, the token index in files beside it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

from tvault.errors import VaultError
from tvault.model.commands import EpochStart, Rows, SecretVersion
from tvault.model.records import NewestSecret, Places
from tvault.model.secret_looks import FoundHistory, FoundNames, FoundSecrets, Wanted
from tvault.replication.entry import ORIGIN, Entry, Position
from tvault.store.building import NO_EPOCHS, sum_epochs
from tvault.store.checking import check_slice
from tvault.store.counting import count_slice
from tvault.store.database import Database, check_database
from tvault.store.failures import JournalDamaged, StoreFull
from tvault.store.folders import has_room
from tvault.store.found import places_of, refuse_lost_rows, refuse_other_blocks
from tvault.store.index import RUN_TOKENS, Keep, TokenIndex
from tvault.store.journal import (
    advance_commit,
    keep_after_cut,
    refuse_odd_digests,
    rows_that_follow,
)
from tvault.store.masked import ABSENT, PLACE_BITS
from tvault.store.ports import Checked, Counted, Epochs, IndexWork
from tvault.store.reading import DatabaseReader
from tvault.store.records import (
    KEYS_AT_ONCE,
    Located,
    Stored,
    delete_after,
    insert_blocks,
    insert_entries,
    insert_epochs,
    read_blocks,
    read_counts_after,
    read_entries,
    read_epochs,
    read_highest_seq,
    read_hint,
    read_journal,
    read_last_block,
    read_position,
    rising_ids,
    set_hint,
)
from tvault.store.runs import Stretch
from tvault.store.secret_reading import (
    ConnectionRecords,
    find_secrets,
    read_history,
    read_names,
    read_newest,
    read_samples,
)
from tvault.store.secrets import TABLES, check_indexes, check_secrets, insert_secrets
from tvault.store.tables import MIGRATIONS, Migration

FILE_NAME = "journal.sqlite"
INDEX_FOLDER = "index"

_LOAD_TOKENS = 2**17  # tokens that are taken over together
_LOAD_ENTRIES = 2**12  # or fewer, when entries are small: many objects at once are slow to collect
_LOAD_BYTES = 2**24  # or they are long: each is held twice

_WIDE_SECRETS = 100  # of looks at more secrets than that one is made at a time

_Epochs = dict[str, tuple[tuple[int, int], ...]]


class SqliteStore:
    """Fills `store.ports.Store` with the file `journal.sqlite` and the folder `index` in `folder`,
    made when missing.

    Opening reads what the token index does not vouch for, and checks every entry's digest.
    `cache_mib` MiB of pages are cached for writing; `readers` threads can read at a time, others wait.
    Every write is synced to the disk before it returns.  Settled tokens become a run of the index once
    they are `run_tokens`.

    Besides `StoreViolation`, as the port says, calls raise `StoreFull`, `StoreBlocked`, `StoreBroken`
    and `StoreClosed` of `store.failures`.  `JournalDamaged`, a `StoreViolation`, says that what was
    read back is not what was written.  Opening raises `VaultError`, code `configuration`, for a file of
    a newer tvault, a full disk, another process or a missing permission: none of these is damage.
    """

    def __init__(
        self,
        folder: Path,
        *,
        cache_mib: int = 16,
        readers: int = 4,
        run_tokens: int = RUN_TOKENS,
        migrations: tuple[Migration, ...] = MIGRATIONS,
    ) -> None:
        self._last = ORIGIN
        self._top_block = 0  # the highest ids given out; they are never given out again, not even
        self._top_epoch = 0  # after a cut, so that a reader cannot take one row for another
        self._counts = (0, 0)
        self._epochs: _Epochs = {}
        self._folder = folder
        self._wide_look = threading.Lock()
        path = folder / FILE_NAME
        self._database = Database(path, cache_mib=cache_mib, readers=readers, migrations=migrations)
        try:
            with self._database.look() as connection:
                hint = read_hint(connection)
            reader = DatabaseReader(self._database)
            self._index = TokenIndex(folder / INDEX_FOLDER, reader, hint, run_tokens)
        except OSError as error:
            self._database.close()
            where = folder / INDEX_FOLDER
            raise VaultError("configuration", f"{where} cannot be used: {error.strerror}") from None
        except BaseException:
            self._database.close()
            raise
        # What is in a run was committed, though the hint may not say so yet.
        self._hint = self._settled = max(hint, self._index.vouched.last.seq)
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def last(self) -> Position:
        return self._last

    def position(self, seq: int) -> Position | None:
        last = self._last
        if seq == last.seq:
            return last
        with self._database.glance() as connection:
            return read_position(connection, seq)

    def entries(self, after: int, max_bytes: int) -> Sequence[Entry]:
        with self._database.look() as connection:
            return read_entries(connection, after, max_bytes)

    def write(self, cut_after: int | None, entries: Sequence[Entry], committed: int) -> None:
        last = self._last
        seq = keep_after_cut(cut_after, last.seq, max(self._settled, self._hint))
        previous = self.position(seq)
        if previous is None:
            raise JournalDamaged(f"entry {seq} is gone")
        brought = rows_that_follow(previous, entries)
        end = entries[-1].position if entries else previous
        hint = advance_commit(self._hint, committed, end.seq)
        if end == last and hint == self._hint:
            return
        keep = self._keep(previous)
        additions = _Additions(entries, brought, self._top_block, self._top_epoch)
        batch = self._index.judge(additions.blocks, additions.block_ids, keep.block_id)
        removed = (0, 0)
        with self._database.transaction() as connection:
            if keep.cuts:
                removed = read_counts_after(connection, seq)
                delete_after(connection, seq)
            insert_entries(connection, entries, brought, hint)
            insert_blocks(
                connection, zip(additions.block_ids, additions.block_seqs, additions.blocks, strict=True)
            )
            insert_epochs(connection, additions.epochs)
            insert_secrets(connection, entries, brought, ConnectionRecords(connection))
            if not entries:
                set_hint(connection, end, hint)
        self._top_block += len(additions.blocks)
        self._top_epoch += len(additions.epochs)
        self._index.apply(keep, batch, _starts(additions.epochs), end, self._top_block)
        self._epochs = _with_epochs(self._epochs, keep, additions.epochs)
        blocks = self._counts[0] - removed[0] + len(additions.blocks)
        self._counts = (blocks, self._counts[1] - removed[1] + len(batch.names))
        self._hint = hint
        self._last = end

    def committed_hint(self) -> int:
        return self._hint

    def has_room(self) -> bool:
        if not has_room(self._folder):
            return False
        try:
            self._database.probe()
        except StoreFull:
            return False
        return True

    def settle(self, committed: int) -> None:
        self._settled = advance_commit(self._settled, committed, self._last.seq)
        self._index.settle(self._settled)

    def newest_epoch(self, owner: str) -> tuple[int, int]:
        started = self._epochs.get(owner)
        return started[-1] if started else (1, 0)

    def find(self, owner: str, epoch: int, digests: bytes) -> Places:
        refuse_odd_digests(digests)
        snapshot = self._index.snapshot
        spots = snapshot.find(owner, epoch, digests)
        ids = np.unique(spots[spots != ABSENT] >> PLACE_BITS)
        rows: list[Located] = []
        if len(ids):
            with self._connection_for(len(ids)) as connection:
                rows = read_blocks(connection, ids.tolist())
            refuse_lost_rows(ids, rows, snapshot.settled_top)
            refuse_other_blocks(rows, owner, epoch)
        return places_of(spots, rows, digests)

    def exists(self, owner: str, epoch: int, digests: bytes) -> int:
        spots = self._index.snapshot.find(owner, epoch, digests)
        ids = np.unique(spots[spots != ABSENT] >> PLACE_BITS)
        if not len(ids):
            return 0
        with self._connection_for(len(ids)) as connection:
            return read_highest_seq(connection, ids.tolist())

    def newest_secrets(self, owner: str, names: Sequence[str]) -> list[NewestSecret]:
        with self._connection_for(len(names)) as connection:
            return read_newest(connection, owner, names)

    def newest_stamp(self, owner: str) -> int:
        with self._database.look() as connection:
            return ConnectionRecords(connection).newest_stamp(owner)

    def request_seq(self, owner: str, request: bytes) -> int:
        with self._database.glance() as connection:
            return ConnectionRecords(connection).request(owner, request)[0]

    def secrets(self, owner: str, wanted: Sequence[Wanted], request: bytes | None) -> FoundSecrets:
        # SQLite hands the interpreter over at every row: of several looks at many, each would make all
        # others wait, and the thread that writes.
        turn = self._wide_look if len(wanted) > _WIDE_SECRETS else nullcontext()
        with turn, self._database.look() as connection:
            return find_secrets(connection, owner, wanted, request)

    def history(self, owner: str, name: str) -> FoundHistory:
        with self._database.glance() as connection:
            return read_history(connection, owner, name)

    def names(self, owner: str) -> FoundNames:
        with self._database.glance() as connection:
            return read_names(connection, owner)

    def sample_secrets(self) -> Sequence[SecretVersion]:
        with self._database.glance() as connection:
            return read_samples(connection)

    def counts(self) -> tuple[int, int]:
        return self._counts

    def index_work(self) -> IndexWork:
        return self._index.work

    def check_slice(self, done: Checked, upto: int, is_over: Callable[[], bool]) -> Checked:
        with self._database.look() as connection:
            return check_slice(connection, self._index.snapshot, done, upto, is_over)

    def check_runs(self) -> Iterator[str | None]:
        yield from self._index.check_runs()
        for table in TABLES:
            with self._database.look() as connection:
                check_indexes(connection, table)
            yield None

    def check_database(self, is_over: Callable[[], bool]) -> str | None:
        with self._database.glance() as connection:
            return check_database(connection, is_over)

    def epochs(self) -> Epochs:
        return self._epochs

    def count_slice(self, done: Counted, upto: int, is_over: Callable[[], bool]) -> Counted:
        with self._database.look() as connection:
            return count_slice(connection, done, upto, is_over)

    def indexed(self, upto: int) -> int:
        return upto

    def count_index(self, upto: int) -> Iterator[int]:
        with self._database.look() as connection:
            top = read_last_block(connection, upto)
        yield from self._index.snapshot.count(top)

    def close(self) -> None:
        self._index.close()
        self._database.close()

    def _connection_for(self, rows: int) -> AbstractContextManager[sqlite3.Connection]:
        return self._database.glance() if rows <= KEYS_AT_ONCE else self._database.look()

    def _keep(self, position: Position) -> Keep:
        if position.seq == self._last.seq:
            return Keep(position, self._top_block, cuts=False)
        with self._database.look() as connection:
            return Keep(position, read_last_block(connection, position.seq), cuts=True)

    def _load(self) -> None:
        """Read what the runs do not hold."""
        vouched = self._index.vouched
        self._last = vouched.last
        self._top_block = vouched.top_block
        self._counts = (vouched.blocks, vouched.tokens)
        with self._database.look() as connection:
            self._take_epochs(vouched, read_epochs(connection, vouched.last.seq))
            check_secrets(connection, vouched.last.seq)
            waiting: list[Stored] = []
            tokens = size = 0
            for stored in read_journal(connection, vouched.last):
                waiting.append(stored)
                tokens += sum(map(len, stored.rows.blocks))
                size += len(stored.entry.body)
                if tokens >= _LOAD_TOKENS or len(waiting) >= _LOAD_ENTRIES or size >= _LOAD_BYTES:
                    self._take_over(waiting)
                    waiting = []
                    tokens = size = 0
            if waiting:
                self._take_over(waiting)

    def _take_epochs(self, vouched: Stretch, rows: Sequence[tuple[int, int, EpochStart]]) -> None:
        starts = ((seq, start.owner, start.epoch) for _, seq, start in rows)
        if sum_epochs(NO_EPOCHS, starts) != vouched.epochs:
            raise JournalDamaged(
                f"the epochs up to entry {vouched.last.seq} are not those that were begun"
            )
        self._top_epoch = rows[-1][0] if rows else 0
        self._epochs = _with_epochs({}, Keep(vouched.last, vouched.top_block, cuts=False), rows)

    def _take_over(self, stored: Sequence[Stored]) -> None:
        """Make entries that were read back part of what is held in memory."""
        blocks = [block for each in stored for block in each.rows.blocks]
        ids = rising_ids(stored, self._top_block)
        keep = Keep(self._last, self._top_block, cuts=False)
        epochs = [
            (key, each.entry.seq, start)
            for each in stored
            for key, start in zip(each.epoch_ids, each.rows.epochs, strict=True)
        ]
        batch = self._index.judge(blocks, ids, self._top_block)
        self._last = stored[-1].entry.position
        self._top_block = ids[-1] if ids else self._top_block
        self._top_epoch = epochs[-1][0] if epochs else self._top_epoch
        self._index.apply(keep, batch, _starts(epochs), self._last, self._top_block)
        self._epochs = _with_epochs(self._epochs, keep, epochs)
        self._counts = (self._counts[0] + len(blocks), self._counts[1] + len(batch.names))


class _Additions:
    """The rows of new entries, with the ids that they get."""

    def __init__(
        self, entries: Sequence[Entry], brought: Sequence[Rows], top_block: int, top_epoch: int
    ) -> None:
        self.blocks = [block for rows in brought for block in rows.blocks]
        self.block_ids = range(top_block + 1, top_block + 1 + len(self.blocks))
        pairs = list(zip(entries, brought, strict=True))
        self.block_seqs = [entry.seq for entry, rows in pairs for _ in rows.blocks]
        starts = [(entry.seq, start) for entry, rows in pairs for start in rows.epochs]
        self.epochs: list[tuple[int, int, EpochStart]] = [
            (key, seq, start) for key, (seq, start) in enumerate(starts, start=top_epoch + 1)
        ]


def _starts(epochs: Sequence[tuple[int, int, EpochStart]]) -> list[tuple[int, str, int]]:
    return [(seq, start.owner, start.epoch) for _, seq, start in epochs]


def _with_epochs(epochs: _Epochs, keep: Keep, added: Sequence[tuple[int, int, EpochStart]]) -> _Epochs:
    """The epochs after a write: a new dict when anything changes, since others read the old one."""
    if keep.cuts:
        kept = {
            owner: tuple(e for e in started if e[1] <= keep.position.seq)
            for owner, started in epochs.items()
        }
        epochs = {owner: started for owner, started in kept.items() if started}
    if added:
        epochs = dict(epochs)
    for _, seq, start in added:
        epochs[start.owner] = (*epochs.get(start.owner, ()), (start.epoch, seq))
    return epochs
