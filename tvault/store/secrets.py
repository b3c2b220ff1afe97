"""The statements that keep the rows of secrets, hand them out entry by entry, and check them."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from tvault.model.commands import Done, Rows, Sealed, SecretEnd, SecretRequest, SecretVersion
from tvault.replication.entry import Entry
from tvault.store.by_seq import BySeq
from tvault.store.failures import JournalDamaged
from tvault.store.secret_rows import KeptSecrets, refuse_wrong_secrets

TABLES = ("secret_version", "secret_end", "secret_request")

MARK = (
    "v.seq, v.owner, v.name, v.version, v.valid_from, v.key_id, v.nonce, v.wrapped_key, v.checksum,"
    " v.guard"
)
"""The columns of a version without its ciphertext."""

VERSION = f"{MARK}, v.ciphertext"
END = "e.seq, e.owner, e.name, e.version, e.valid_to, e.guard"
REQUEST = "r.seq, r.owner, r.request, r.fingerprint, r.done, r.guard"

MARK_COLUMNS = 10

_INSERT_VERSION = (
    "INSERT INTO secret_version (seq, owner, name, version, valid_from, key_id, nonce, wrapped_key,"
    " checksum, guard, ciphertext) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_END = (
    "INSERT INTO secret_end (seq, owner, name, version, valid_to, guard) VALUES (?, ?, ?, ?, ?, ?)"
)
_INSERT_REQUEST = (
    "INSERT INTO secret_request (seq, owner, request, fingerprint, done, guard)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)

SecretRows = tuple[tuple[SecretVersion, ...], tuple[SecretEnd, ...], tuple[SecretRequest, ...]]
"""The rows about secrets of one entry, by table."""

_encoder = msgspec.msgpack.Encoder()
_done_decoder = msgspec.msgpack.Decoder(tuple[Done, ...])


class Mark(NamedTuple):
    """A version as it was read back, its ciphertext aside, and the entry that brought it."""

    seq: int
    owner: str
    name: str
    version: int
    valid_from: int
    key_id: str
    nonce: bytes
    wrapped_key: bytes
    checksum: bytes

    def with_value(self, ciphertext: bytes) -> SecretVersion:
        """The whole version.  Raises `JournalDamaged` when it is not this ciphertext."""
        if _checksum(ciphertext) != self.checksum:
            raise _damaged(self.seq)
        sealed = Sealed(ciphertext, self.nonce, self.wrapped_key, self.key_id)
        return SecretVersion(self.owner, self.name, self.version, self.valid_from, sealed)


def mark_of(row: Sequence[Any]) -> Mark:
    """The version in columns `MARK`.  Raises `JournalDamaged` when they are not as they were written."""
    return Mark(*_guarded(b"tvault version", row))


def whole_version(row: Sequence[Any]) -> SecretVersion:
    """The version in columns `VERSION`.  Raises `JournalDamaged` likewise."""
    return mark_of(row[:MARK_COLUMNS]).with_value(row[MARK_COLUMNS])


def end_of(row: Sequence[Any]) -> tuple[int, SecretEnd]:
    """The end in columns `END`, and the entry that brought it.  Raises `JournalDamaged` likewise."""
    seq, *fields = _guarded(b"tvault end", row)
    return seq, SecretEnd(*fields)


def request_of(row: Sequence[Any]) -> tuple[int, SecretRequest]:
    """The request in columns `REQUEST`, and its entry.  Raises `JournalDamaged` likewise."""
    seq, owner, request, fingerprint, done = _guarded(b"tvault request", row)
    return seq, SecretRequest(owner, request, fingerprint, _done_decoder.decode(done))


def insert_secrets(
    connection: sqlite3.Connection, entries: Sequence[Entry], brought: Sequence[Rows], kept: KeptSecrets
) -> None:
    """Append the rows of secrets, if there are any.  Raises `StoreViolation` unless they may follow what
    is kept."""
    pairs = [(e.seq, rows) for e, rows in zip(entries, brought, strict=True) if rows.brings_secrets]
    if not pairs:
        return
    refuse_wrong_secrets(kept, entries, brought)
    connection.executemany(
        _INSERT_VERSION, (_version_row(seq, each) for seq, rows in pairs for each in rows.versions)
    )
    connection.executemany(
        _INSERT_END,
        (
            _with_guard(b"tvault end", (seq, end.owner, end.name, end.version, end.valid_to))
            for seq, rows in pairs
            for end in rows.ends
        ),
    )
    connection.executemany(
        _INSERT_REQUEST,
        (
            _with_guard(
                b"tvault request",
                (seq, each.owner, each.request, each.fingerprint, _encoder.encode(each.done)),
            )
            for seq, rows in pairs
            for each in rows.requests
        ),
    )


def delete_secrets_after(connection: sqlite3.Connection, keep: int) -> None:
    """Delete the rows of secrets that entries after `keep` brought."""
    for table in TABLES:
        connection.execute(f"DELETE FROM {table} WHERE seq > ?", (keep,))  # noqa: S608  names of ours


class SecretsBySeq:
    """The rows of secrets that entries after one brought, handed out entry by entry."""

    def __init__(self, connection: sqlite3.Connection, after: int) -> None:
        self._tables = [
            BySeq(connection.execute(f"{query} WHERE seq > ? ORDER BY seq, id", (after,)))
            for query in (
                f"SELECT {VERSION} FROM secret_version v",  # noqa: S608  columns of ours
                f"SELECT {END} FROM secret_end e",  # noqa: S608
                f"SELECT {REQUEST} FROM secret_request r",  # noqa: S608
            )
        ]

    def take(self, seq: int) -> SecretRows:
        """The rows of `seq`, by table, which must not be lower than the last one asked for."""
        versions, ends, requests = [table.take(seq) for table in self._tables]
        return (
            tuple([whole_version(row) for row in versions]),
            tuple([end_of(row)[1] for row in ends]),
            tuple([request_of(row)[1] for row in requests]),
        )

    def has_more(self) -> bool:
        """Whether there are rows of a higher seq."""
        return any(table.has_more() for table in self._tables)

    def close(self) -> None:
        """End the statements."""
        for table in self._tables:
            table.close()


def check_secrets(connection: sqlite3.Connection, upto: int) -> None:
    """Read all rows of secrets that entries up to `upto` brought, and compare all of SQLite's indexes
    with their tables: a row that an index does not lead to would be taken for absent.

    Raises `JournalDamaged`.
    """
    for table in TABLES:
        check_indexes(connection, table)
    if not upto:
        return
    for row in _scan(connection, f"SELECT {VERSION} FROM secret_version v", upto):  # noqa: S608
        whole_version(row)
    for row in _scan(connection, f"SELECT {END} FROM secret_end e", upto):  # noqa: S608
        end_of(row)
    for row in _scan(connection, f"SELECT {REQUEST} FROM secret_request r", upto):  # noqa: S608
        request_of(row)


def check_indexes(connection: sqlite3.Connection, table: str) -> None:
    """Compare the indexes of a table with its rows.  Raises `JournalDamaged` when they do not agree.

    The pragma takes the name of a table since SQLite 3.33; tables as ours (STRICT) need 3.37.
    """
    (said,) = connection.execute(f"PRAGMA integrity_check({table})").fetchone()
    if said != "ok":
        raise JournalDamaged(f"the table {table} is damaged: {said}")


def _scan(connection: sqlite3.Connection, query: str, upto: int) -> Iterable[Sequence[Any]]:
    return connection.execute(f"{query} WHERE +seq <= ?", (upto,))  # not by index: in the file's order


def _version_row(seq: int, row: SecretVersion) -> tuple[Any, ...]:
    sealed = row.sealed
    marks = (
        *(seq, row.owner, row.name, row.version, row.valid_from),
        *(sealed.key_id, sealed.nonce, sealed.wrapped_key, _checksum(sealed.ciphertext)),
    )
    return (*_with_guard(b"tvault version", marks), sealed.ciphertext)


def _guarded(table: bytes, row: Sequence[Any]) -> Sequence[Any]:
    columns = tuple(row[:-1])
    if row[-1] != _guard(table, columns):
        raise _damaged(row[0])
    return columns


def _with_guard(table: bytes, columns: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*columns, _guard(table, columns))


def _guard(table: bytes, columns: tuple[Any, ...]) -> bytes:
    return hashlib.blake2b(_encoder.encode(columns), digest_size=8, person=table).digest()


def _checksum(ciphertext: bytes) -> bytes:
    return hashlib.blake2b(ciphertext, digest_size=8, person=b"tvault secret").digest()


def _damaged(seq: int) -> JournalDamaged:
    return JournalDamaged(f"a secret's row of entry {seq} is not what was written")
