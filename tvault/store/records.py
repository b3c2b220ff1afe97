"""The statements over a node's tables: journal entries with their rows, and blocks by id.

Hot statements are plain SQL on the connection; models serve the schema.
"""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec

from tvault.model.commands import DIGEST_BYTES, Block, EpochStart, Rows
from tvault.model.records import refuse_long_look
from tvault.replication.entry import ORIGIN, Entry, Kind, Position, chain_digest
from tvault.store.by_seq import BySeq
from tvault.store.failures import JournalDamaged
from tvault.store.journal import body_of
from tvault.store.secrets import SecretRows, SecretsBySeq, delete_secrets_after

_WRONG_TYPES = (TypeError, ValueError, OverflowError, struct.error)
"""What columns raise whose types a flipped bit has changed."""

KEYS_AT_ONCE = 500
"""Rows that one statement looks up: SQLite may be built for as few as 999 parameters."""

_INSERT_ENTRY = (
    "INSERT INTO entry (seq, view, kind, rows, digest, committed, guard) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_BLOCK = "INSERT INTO block (id, seq, owner, epoch, digests, sealed) VALUES (?, ?, ?, ?, ?, ?)"
_SELECT_BLOCKS = "SELECT id, seq, owner, epoch, digests, sealed FROM block"
_SELECT_SEQ = "SELECT seq FROM block"
_INSERT_EPOCH = "INSERT INTO epoch (id, seq, owner, epoch) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True)
class Stored:
    """An entry as it was read back, its digest checked, and its blocks' ids."""

    entry: Entry
    rows: Rows
    block_ids: Sequence[int]
    epoch_ids: Sequence[int]


class Located(msgspec.Struct, frozen=True, gc=False):
    """A block, its id, and the entry that brought it."""

    id: int
    seq: int
    block: Block


def insert_entries(
    connection: sqlite3.Connection, entries: Sequence[Entry], brought: Sequence[Rows], hint: int
) -> None:
    """Append the entries themselves; `hint` is the commit position stored with each."""
    connection.executemany(
        _INSERT_ENTRY,
        (
            (
                entry.seq,
                entry.view,
                int(entry.kind),
                len(rows),
                entry.digest,
                hint,
                _guard(entry.digest, hint),
            )
            for entry, rows in zip(entries, brought, strict=True)
        ),
    )


def insert_blocks(connection: sqlite3.Connection, rows: Iterable[tuple[int, int, Block]]) -> None:
    """Append blocks, given as (id, seq, block)."""
    connection.executemany(
        _INSERT_BLOCK,
        ((key, seq, b.owner, b.epoch, b.digests, b.sealed) for key, seq, b in rows),
    )


def insert_epochs(connection: sqlite3.Connection, rows: Iterable[tuple[int, int, EpochStart]]) -> None:
    """Append starts of epochs, given as (id, seq, start)."""
    connection.executemany(
        _INSERT_EPOCH, ((key, seq, start.owner, start.epoch) for key, seq, start in rows)
    )


def delete_after(connection: sqlite3.Connection, keep: int) -> None:
    """Delete the entries after `keep` with all they brought."""
    connection.execute("DELETE FROM block WHERE seq > ?", (keep,))
    connection.execute("DELETE FROM epoch WHERE seq > ?", (keep,))
    delete_secrets_after(connection, keep)
    connection.execute("DELETE FROM entry WHERE seq > ?", (keep,))


def set_hint(connection: sqlite3.Connection, last: Position, hint: int) -> None:
    """Store the commit position with the last entry, when no new one carries it."""
    connection.execute(
        "UPDATE entry SET committed = ?, guard = ? WHERE seq = ?",
        (hint, _guard(last.digest, hint), last.seq),
    )


def read_hint(connection: sqlite3.Connection) -> int:
    """The commit position stored with the last entry, or 0.

    Raises `JournalDamaged` when it is not the one that was written: a hint that leads would make the
    node serve what is not committed.
    """
    row = connection.execute(
        "SELECT seq, digest, committed, guard FROM entry ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return 0
    seq, digest, committed, guard = row
    try:
        is_whole = 0 <= committed <= seq and guard == _guard(digest, committed)
    except _WRONG_TYPES:
        is_whole = False
    if not is_whole:
        raise JournalDamaged(f"the commit position stored with entry {seq} is damaged")
    return int(committed)


def read_position(connection: sqlite3.Connection, seq: int) -> Position | None:
    """The position of entry `seq`, or None when there is no such entry."""
    if seq == 0:
        return ORIGIN
    row = connection.execute("SELECT view, digest FROM entry WHERE seq = ?", (seq,)).fetchone()
    return row and Position(seq=seq, view=row[0], digest=row[1])


def read_last_position(connection: sqlite3.Connection) -> Position:
    """The position of the last entry; `ORIGIN` when there is none."""
    row = connection.execute("SELECT max(seq) FROM entry").fetchone()
    return (row[0] and read_position(connection, row[0])) or ORIGIN


def read_last_block(connection: sqlite3.Connection, keep: int) -> int:
    """The highest id among the blocks of entries up to `keep`, or 0."""
    query = "SELECT id FROM block WHERE seq <= ? ORDER BY seq DESC, id DESC LIMIT 1"
    row = connection.execute(query, (keep,)).fetchone()
    return row[0] if row else 0


def read_counts_after(connection: sqlite3.Connection, keep: int) -> tuple[int, int]:
    """How many blocks and tokens the entries after `keep` brought."""
    query = "SELECT count(*), total(length(digests)) FROM block WHERE seq > ?"
    blocks, length = connection.execute(query, (keep,)).fetchone()
    return blocks, int(length) // DIGEST_BYTES


def read_epochs(connection: sqlite3.Connection, until: int) -> list[tuple[int, int, EpochStart]]:
    """The starts of epochs of entries up to `until`, in order, as (id, seq, start)."""
    query = "SELECT id, seq, owner, epoch FROM epoch WHERE seq <= ? ORDER BY id"
    return [(row[0], row[1], EpochStart(row[2], row[3])) for row in connection.execute(query, (until,))]


def read_entries(connection: sqlite3.Connection, after: int, max_bytes: int) -> Sequence[Entry]:
    """The entries that follow `after`, as `replication.entry.Journal` says; none when it is not there.
    Raises as `read_journal` does."""
    taken: list[Entry] = []
    size = 0
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


def read_journal(connection: sqlite3.Connection, previous: Position) -> Generator[Stored, None, None]:
    """The entries that follow `previous`, rebuilt from their rows, as they are asked for.

    Raises `JournalDamaged`, naming the seq, when one does not give its digest or rows are left over.
    """
    after = (previous.seq,)
    entries = connection.execute(
        "SELECT seq, view, kind, rows, digest, committed, guard FROM entry WHERE seq > ? ORDER BY seq",
        after,
    )
    blocks = BySeq(
        connection.execute(
            "SELECT seq, id, owner, epoch, digests, sealed FROM block WHERE seq > ? ORDER BY seq, id",
            after,
        )
    )
    epochs = BySeq(
        connection.execute(
            "SELECT seq, id, owner, epoch FROM epoch WHERE seq > ? ORDER BY seq, id", after
        )
    )
    secrets = SecretsBySeq(connection, previous.seq)
    try:
        for row in entries:
            seq = row[0]
            stored = _rebuilt(previous, row, blocks.take(seq), epochs.take(seq), secrets.take(seq))
            yield stored
            previous = stored.entry.position
        if blocks.has_more() or epochs.has_more() or secrets.has_more():
            raise JournalDamaged(f"there are rows of no entry after entry {previous.seq}")
    finally:  # an open statement would hold the read transaction open
        entries.close()
        blocks.close()
        epochs.close()
        secrets.close()


def rising_ids(stored: Sequence[Stored], above: int) -> list[int]:
    """The ids of all blocks of entries that follow each other.

    Raises `JournalDamaged` unless they rise, from above `above` on.
    """
    ids = [key for each in stored for key in each.block_ids]
    if any(older >= newer for older, newer in pairwise([above, *ids])):
        raise JournalDamaged(f"the blocks up to entry {stored[-1].entry.seq} are out of order")
    return ids


def read_blocks(connection: sqlite3.Connection, ids: Sequence[int]) -> list[Located]:
    """The blocks of these ids that are there, in the order of `ids`, which must rise.

    Raises `LookTooLong` when they are several, and too long together.
    """
    found: list[Located] = []
    size = 0
    for at in range(0, len(ids), KEYS_AT_ONCE):
        some = ids[at : at + KEYS_AT_ONCE]
        query = f"{_SELECT_BLOCKS} WHERE id IN ({_marks(some)}) ORDER BY id"
        found += (
            Located(row[0], row[1], Block(row[2], row[3], row[4], row[5]))
            for row in connection.execute(query, some)
        )
        size += sum(len(located.block.sealed) for located in found[at:])
        refuse_long_look(len(found), size)
    return found


def read_highest_seq(connection: sqlite3.Connection, ids: Sequence[int]) -> int:
    """The highest seq that brought one of the blocks of these ids, which must rise; 0 for none."""
    for end in range(len(ids), 0, -KEYS_AT_ONCE):
        some = ids[max(0, end - KEYS_AT_ONCE) : end]
        query = f"{_SELECT_SEQ} WHERE id IN ({_marks(some)}) ORDER BY id DESC LIMIT 1"
        row = connection.execute(query, some).fetchone()
        if row:
            return int(row[0])
    return 0


def _rebuilt(
    previous: Position,
    row: tuple[Any, ...],
    blocks: Sequence[Any],
    epochs: Sequence[Any],
    secrets: SecretRows,
) -> Stored:
    seq, view, number, count, digest, committed, guard = row
    try:
        kind = Kind(number)
        rows = Rows(
            epochs=tuple([EpochStart(owner, epoch) for _, _, owner, epoch in epochs]),
            blocks=tuple([Block(*fields) for _, _, *fields in blocks]),
            versions=secrets[0],
            ends=secrets[1],
            requests=secrets[2],
        )
        body = body_of(kind, rows)
        expected = chain_digest(previous.digest, view, seq, kind, body)
        is_guarded = guard == _guard(digest, committed)
    except _WRONG_TYPES:
        raise JournalDamaged(f"the columns of entry {seq} do not have their types") from None
    if seq != previous.seq + 1 or digest != expected or count != len(rows):
        raise JournalDamaged(f"the rows of entry {seq} do not give its digest")
    if not is_guarded:
        raise JournalDamaged(f"the commit position stored with entry {seq} is damaged")
    entry = Entry(seq=seq, view=view, kind=kind, body=body, digest=digest)
    return Stored(entry, rows, [block[1] for block in blocks], [start[1] for start in epochs])


def _guard(digest: bytes, committed: int) -> bytes:
    """A checksum over the commit position, which the digest of the history does not cover."""
    content = digest + struct.pack(">Q", committed)
    return hashlib.blake2b(content, digest_size=8, person=b"tvault hint").digest()


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
