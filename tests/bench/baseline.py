"""The baseline: one local SQLite file as one would write it by hand, 1,000 durable rows at a time."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from pathlib import Path

BATCH = 1_000


def rows(count: int) -> list[tuple[bytes, bytes]]:
    """Random-looking 16-byte tokens and 60-byte blobs."""
    return [(hashlib.blake2b(b"%d" % i, digest_size=16).digest(), (b"%060d" % i)) for i in range(count)]


def measure(folder: Path, count: int) -> dict[str, float]:
    """Seconds per row to insert `count` rows keyed by token, and to look all of them up again."""
    connection = sqlite3.connect(folder / "baseline.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=wal")
    connection.execute("PRAGMA synchronous=full")
    connection.execute("PRAGMA cache_size=-262144")
    connection.execute("CREATE TABLE mapping (token BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
    data = rows(count)
    began = time.perf_counter()
    for at in range(0, count, BATCH):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO mapping VALUES (?, ?)", data[at : at + BATCH])
        connection.execute("COMMIT")
    inserted = time.perf_counter()
    marks = ",".join("?" * BATCH)
    for at in range(0, count, BATCH):
        tokens = [token for token, _ in data[at : at + BATCH]]
        found = connection.execute(f"SELECT token, value FROM mapping WHERE token IN ({marks})", tokens)  # noqa: S608
        assert len(found.fetchall()) == len(tokens)
    looked_up = time.perf_counter()
    connection.close()
    return {"insert": (inserted - began) / count, "look_up": (looked_up - inserted) / count}
