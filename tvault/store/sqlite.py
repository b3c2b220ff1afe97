"""The store on disk: journal and rows in one SQLite file, the token index in memory beside them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import closing
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np

from tvault.model.commands import DIGEST_BYTES, Block, EpochStart, Rows
from tvault.model.records import Places
from tvault.replication.entry import ORIGIN, Entry, Position
from tvault.store.database import Database
from tvault.store.failures import JournalDamaged, StoreFull
from tvault.store.index import ABSENT, PLACE_BITS, EntrySize, Keep, Spots, TokenIndex
from tvault.store.journal import (
    advance_commit,
    keep_after_cut,
    refuse_odd_digests,
    rows_that_follow,
)
from tvault.store.records import (
    Located,
    Stored,
    delete_after,
    insert_blocks,
    insert_entries,
    insert_epochs,
    read_blocks,
    read_counts_after,
    read_highest_seq,
    read_hint,
    read_journal,
    read_last_block,
    read_position,
    set_hint,
)
from tvault.store.tables import MIGRATIONS, Migration

FILE_NAME = "journal.sqlite"
ROOM_BYTES = 32 * 2**20
"""A disk that was full has room again from so many free bytes on, or a quarter of a smaller one."""

_LOAD_TOKENS = 2**17  # tokens that become one run while the index is built
_LOAD_ENTRIES = 2**12  # or fewer, when entries are small: many objects at once are slow to collect

_Epochs = dict[str, tuple[tuple[int, int], ...]]


class SqliteStore:
    """Fills `store.ports.Store` with the file `journal.sqlite` in `folder`, made when missing.

    Opening reads the whole journal once: every entry's digest is checked and the token index is built.
    `cache_mib` MiB of pages are cached for writing; `readers` threads can read at a time, others wait.
    Every write is synced to the disk before it returns.  `index` is an empty one, to choose its sizes.

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
        index: TokenIndex | None = None,
        migrations: tuple[Migration, ...] = MIGRATIONS,
    ) -> None:
        self._index = index or TokenIndex()
        self._last = ORIGIN
        self._hint = 0
        self._settled = 0
        self._top_block = 0  # the highest ids given out; they are never given out again, not even
        self._top_epoch = 0  # after a cut, so that a reader cannot take one row for another
        self._counts = (0, 0)
        self._epochs: _Epochs = {}
        self._folder = folder
        path = folder / FILE_NAME
        self._database = Database(path, cache_mib=cache_mib, readers=readers, migrations=migrations)
        try:
            self._load()
        except BaseException:
            self._database.close()
            raise

    def last(self) -> Position:
        return self._last

    def position(self, seq: int) -> Position | None:
        last = self._last
        if seq == last.seq:
            return last
        with self._database.look() as connection:
            return read_position(connection, seq)

    def entries(self, after: int, max_bytes: int) -> Sequence[Entry]:
        taken: list[Entry] = []
        size = 0
        with self._database.look() as connection:
            previous = read_position(connection, after)
            if previous is None:
                return taken
            with closing(read_journal(connection, previous)) as following:
                for stored in following:
                    size += len(stored.entry.body)
                    if size <= max_bytes or not taken:
                        taken.append(stored.entry)
                    if size > max_bytes:
                        break
        return taken

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
        keep = self._keep(seq)
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
            if not entries:
                set_hint(connection, end, hint)
        self._top_block += len(additions.blocks)
        self._top_epoch += len(additions.epochs)
        self._index.apply(keep, batch, additions.sizes, self._top_block)
        self._epochs = _with_epochs(self._epochs, keep, additions.epochs)
        blocks = self._counts[0] - removed[0] + len(additions.blocks)
        self._counts = (blocks, self._counts[1] - removed[1] + len(batch.names))
        self._hint = hint
        self._last = end

    def committed_hint(self) -> int:
        return self._hint

    def has_room(self) -> bool:
        usage = shutil.disk_usage(self._folder)
        if usage.free < min(ROOM_BYTES, usage.total // 4):
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

    def find(self, owner: str, epoch: int, digests: Sequence[bytes]) -> Places:
        refuse_odd_digests(digests)
        asked = b"".join(digests)
        snapshot = self._index.snapshot
        spots = snapshot.find(owner, epoch, asked)
        ids = np.unique(spots[spots != ABSENT] >> PLACE_BITS)
        rows: list[Located] = []
        if len(ids):
            with self._database.look() as connection:
                rows = read_blocks(connection, ids.tolist())
            _refuse_lost_rows(ids, rows, snapshot.settled_top)
            _refuse_other_blocks(rows, owner, epoch)
        return _places(spots, rows, asked)

    def exists(self, owner: str, epoch: int, digests: bytes) -> int:
        spots = self._index.snapshot.find(owner, epoch, digests)
        hits = spots[spots != ABSENT]
        if not len(hits):
            return 0
        with self._database.look() as connection:
            return read_highest_seq(connection, np.unique(hits >> PLACE_BITS).tolist())

    def counts(self) -> tuple[int, int]:
        return self._counts

    def close(self) -> None:
        self._database.close()

    def _keep(self, seq: int) -> Keep:
        if seq == self._last.seq:
            return Keep(seq, self._top_block, cuts=False)
        with self._database.look() as connection:
            return Keep(seq, read_last_block(connection, seq), cuts=True)

    def _load(self) -> None:
        with self._database.look() as connection:
            self._hint = self._settled = read_hint(connection)
            waiting: list[Stored] = []
            tokens = 0
            for stored in read_journal(connection, ORIGIN):
                waiting.append(stored)
                tokens += sum(map(len, stored.rows.blocks))
                is_many = tokens >= _LOAD_TOKENS or len(waiting) >= _LOAD_ENTRIES
                if is_many or stored.entry.seq >= self._settled:
                    self._take_over(waiting)
                    waiting = []
                    tokens = 0

    def _take_over(self, stored: Sequence[Stored]) -> None:
        """Make entries that were read back part of what is held in memory."""
        blocks = [block for each in stored for block in each.rows.blocks]
        ids = [key for each in stored for key in each.block_ids]
        if ids and (ids[0] <= self._top_block or any(a >= b for a, b in pairwise(ids))):
            raise JournalDamaged(f"the blocks of entry {stored[-1].entry.seq} are out of order")
        self._last = stored[-1].entry.position
        keep = Keep(self._last.seq, self._top_block, cuts=False)
        tokens = sum(map(len, blocks))
        self._top_block = ids[-1] if ids else self._top_block
        if self._last.seq <= self._settled:
            self._index.load(blocks, ids)
        else:
            batch = self._index.judge(blocks, ids, self._top_block)
            self._index.apply(
                keep, batch, [EntrySize(self._last.seq, self._top_block, tokens)], self._top_block
            )
        epochs = [
            (key, each.entry.seq, start)
            for each in stored
            for key, start in zip(each.epoch_ids, each.rows.epochs, strict=True)
        ]
        self._top_epoch = epochs[-1][0] if epochs else self._top_epoch
        self._epochs = _with_epochs(self._epochs, keep, epochs)
        self._counts = (self._counts[0] + len(blocks), self._counts[1] + tokens)


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
        ends = accumulate((len(rows.blocks) for rows in brought), initial=top_block)
        next(ends)
        self.sizes = [
            EntrySize(entry.seq, end, sum(map(len, rows.blocks)))
            for (entry, rows), end in zip(pairs, ends, strict=True)
        ]


def _with_epochs(epochs: _Epochs, keep: Keep, added: Sequence[tuple[int, int, EpochStart]]) -> _Epochs:
    """The epochs after a write: a new dict when anything changes, since others read the old one."""
    if keep.cuts:
        kept = {
            owner: tuple(e for e in started if e[1] <= keep.seq) for owner, started in epochs.items()
        }
        epochs = {owner: started for owner, started in kept.items() if started}
    if added:
        epochs = dict(epochs)
    for _, seq, start in added:
        epochs[start.owner] = (*epochs.get(start.owner, ()), (start.epoch, seq))
    return epochs


def _refuse_lost_rows(ids: Spots, rows: Sequence[Located], settled_top: int) -> None:
    """A row may be gone because its entry was cut since, but never when it was settled."""
    if len(rows) == len(ids):
        return
    lost = np.setdiff1d(ids, np.array([row.id for row in rows], dtype=np.int64))
    if (lost <= settled_top).any():
        raise JournalDamaged("a committed block is gone")


def _refuse_other_blocks(rows: Sequence[Located], owner: str, epoch: int) -> None:
    """The index finds nothing of another owner: should it ever, nothing is handed out."""
    for row in rows:
        block = row.block
        if (block.owner, block.epoch) != (owner, epoch):
            raise JournalDamaged(f"a block of entry {row.seq} is not of the owner and epoch looked for")


def _places(spots: Spots, rows: Sequence[Located], asked: bytes) -> Places:
    """What a look found, with every digest compared with the one that stands in its place."""
    count = len(spots)
    if not rows:
        return Places(blocks=[], block_of=[ABSENT] * count, place_of=[ABSENT] * count, seq=0)
    blocks: list[Block] = [row.block for row in rows]
    ids = np.array([row.id for row in rows], dtype=np.int64)
    lengths = np.array([len(block) for block in blocks], dtype=np.int64)
    standing = np.frombuffer(b"".join(block.digests for block in blocks), dtype=f"V{DIGEST_BYTES}")
    wanted = spots >> PLACE_BITS
    number = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    is_there = ids[number] == wanted
    place = spots & ((1 << PLACE_BITS) - 1)
    if (place >= lengths[number])[is_there].any():
        raise JournalDamaged("a block is shorter than it was")
    at = ((np.cumsum(lengths) - lengths)[number] + place)[is_there]
    if (standing[at] != np.frombuffer(asked, dtype=f"V{DIGEST_BYTES}")[is_there]).any():
        raise JournalDamaged("a token does not stand where the index says")
    return Places(
        blocks=blocks,
        block_of=np.where(is_there, number, ABSENT).tolist(),
        place_of=np.where(is_there, place, ABSENT).tolist(),
        seq=max(row.seq for row in rows),
    )
