"""The baseline: one local SQLite file as one would write it by hand, 1,000 durable rows at a time.

The rows are those of a token vault: 16 bytes of token, and 60 bytes for a sealed value of 32.  No crypto
is done, no process but this one takes part, and nothing is copied to another machine.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

BATCH = 1_000
AS_WRITTEN = 1_000
"""Pages after which SQLite makes a checkpoint when nobody says otherwise."""

TUNED = 16_000
"""Pages of the harder baseline: fewer checkpoints, each of which writes a page once however often it
was changed since the last.  All ratios are to this one."""

LOADS = 8
INSERT = "INSERT INTO mapping VALUES ('A', 1, ?, ?)"


@dataclass(frozen=True)
class Raw:
    """Rows a second, and CPU microseconds a row."""

    per_second: float
    cpu_us: float


@contextmanager
def sqlite_file(file: Path, checkpoint_pages: int) -> Iterator[sqlite3.Connection]:
    """An empty file, deleted afterwards: WAL, synchronous FULL, 256 MiB of cache."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=wal")
        connection.execute("PRAGMA synchronous=full")
        connection.execute("PRAGMA cache_size=-262144")
        connection.execute(f"PRAGMA wal_autocheckpoint={checkpoint_pages}")
        connection.execute(
            "CREATE TABLE mapping (owner TEXT, epoch INTEGER, token BLOB, value BLOB,"
            " PRIMARY KEY (owner, epoch, token)) WITHOUT ROWID"
        )
        yield connection
    for left in file.parent.glob(file.name + "*"):
        left.unlink()


def token_of(number: int) -> bytes:
    """A token as random as any."""
    return hashlib.blake2b(b"%d" % number, digest_size=16).digest()


def rows(numbers: range) -> list[tuple[bytes, bytes]]:
    """Tokens and sealed values."""
    return [(token_of(number), b"%060d" % number) for number in numbers]


def shuffle(tokens: list[bytes]) -> None:
    """Put them into another order, always the same."""
    Random(1).shuffle(tokens)


def inserted(connection: sqlite3.Connection, data: Sequence[tuple[bytes, bytes]]) -> Raw:
    """Insert rows in the order given, 1,000 a transaction."""
    wall, cpu = time.perf_counter(), time.process_time()
    for at in range(0, len(data), BATCH):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, data[at : at + BATCH])
        connection.execute("COMMIT")
    return _raw(len(data), wall, cpu)


def looked_up(connection: sqlite3.Connection, tokens: Sequence[bytes]) -> Raw:
    """Look tokens up in the order given, 1,000 a query."""
    query = "SELECT token, value FROM mapping WHERE owner = 'A' AND epoch = 1 AND token IN (%s)"
    query %= ",".join("?" * BATCH)
    wall, cpu = time.perf_counter(), time.process_time()
    for at in range(0, len(tokens), BATCH):
        part = tokens[at : at + BATCH]
        assert len(connection.execute(query, part).fetchall()) == len(part) == BATCH
    return _raw(len(tokens), wall, cpu)


def _raw(count: int, wall: float, cpu: float) -> Raw:
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    return Raw(count / seconds, 1e6 * cpu_seconds / count)


def insert_rate(folder: Path, count: int, checkpoint_pages: int) -> Raw:
    """Of inserting `count` rows into an empty file."""
    with sqlite_file(folder / "baseline.sqlite", checkpoint_pages) as connection:
        return inserted(connection, rows(range(count)))


@dataclass(frozen=True)
class Baseline:
    """Inserts with the tuned and with SQLite's own checkpoints; look-ups of all tokens in the order in
    which they were inserted, and in another one; bytes of the file for a row."""

    tuned: Raw
    as_written: Raw
    in_order: Raw
    shuffled: Raw
    disk_bytes: float


def measure(folder: Path, count: int) -> Baseline:
    """All of it, with `count` rows: a multiple of 1,000."""
    as_written = insert_rate(folder, count, AS_WRITTEN)
    data = rows(range(count))
    with sqlite_file(folder / "baseline.sqlite", TUNED) as connection:
        tuned = inserted(connection, data)
        tokens = [token for token, _ in data]
        in_order = looked_up(connection, tokens)
        shuffle(tokens)
        shuffled = looked_up(connection, tokens)
        connection.execute("PRAGMA wal_checkpoint(truncate)")
        disk_bytes = (folder / "baseline.sqlite").stat().st_size / count
    return Baseline(tuned, as_written, in_order, shuffled, disk_bytes)


def load(connection: sqlite3.Connection, numbers: range) -> None:
    """Fill a file much faster than by random inserts, and to pages as full as those leave them: a few
    transactions, each in the order of the keys, not durable."""
    connection.execute("PRAGMA synchronous=off")
    for part in range(LOADS):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, sorted(rows(numbers[part::LOADS])))
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(truncate)")
    connection.execute("PRAGMA synchronous=full")
