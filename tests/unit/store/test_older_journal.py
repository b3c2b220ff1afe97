"""A journal written by a tvault that knew no secrets."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from tests.conformance.naive import block_of, digest_of
from tests.conformance.naive_secrets import request_of, secrets_entry, version_of
from tvault.model.commands import EpochStart, Rows, decode_rows, encode_rows
from tvault.model.secret_looks import FoundNames
from tvault.replication.entry import ORIGIN, Entry, Kind, follow
from tvault.store.database import Database
from tvault.store.records import insert_blocks, insert_entries, insert_epochs
from tvault.store.sqlite import FILE_NAME, SqliteStore
from tvault.store.tables import MIGRATIONS

BLOCKS = (block_of("anna", 1, [digest_of(1), digest_of(2)]), block_of("bert", 1, [digest_of(1)]))
EPOCHS = (EpochStart("anna", 2),)


def old_history() -> list[Entry]:
    """Bodies of two tables, as they were encoded then."""
    bodies = [(Kind.BARRIER, b"")]
    bodies += [(Kind.ROWS, msgspec.msgpack.encode(rows)) for rows in ((EPOCHS, BLOCKS), ((), ()))]
    entries: list[Entry] = []
    for kind, body in bodies:
        entries.append(follow(entries[-1].position if entries else ORIGIN, 3, kind, body))
    return entries


def old_folder(folder: Path) -> None:
    """Holds `old_history()` in the tables of the first schema."""
    entries = old_history()
    brought = [decode_rows(entry.body) for entry in entries]
    database = Database(folder / FILE_NAME, migrations=MIGRATIONS[:1])
    with closing(database), database.transaction() as connection:
        insert_entries(connection, entries, brought, 2)
        insert_blocks(connection, [(key, 2, block) for key, block in enumerate(BLOCKS, start=1)])
        insert_epochs(connection, [(1, 2, start) for start in EPOCHS])
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        assert sorted(names) == [("block",), ("entry",), ("epoch",)]


def test_rows_without_secrets_are_encoded_as_ever() -> None:
    assert encode_rows(Rows(EPOCHS, BLOCKS)) == msgspec.msgpack.encode((EPOCHS, BLOCKS))
    assert encode_rows(Rows()) == b"\x92\x90\x90"


def test_a_journal_without_secrets_opens_with_the_digests_it_had_and_takes_secrets_from_then_on(
    tmp_path: Path,
) -> None:
    old_folder(tmp_path)
    entries = old_history()
    for _ in range(2):
        with closing(SqliteStore(tmp_path)) as store:
            assert list(store.entries(0, 10**9)) == entries
            assert store.last() == entries[-1].position
            assert store.committed_hint() == 2
            assert store.newest_epoch("anna") == (2, 2)
            assert store.find("anna", 1, digest_of(2)).seq == 2
            assert store.names("anna") == FoundNames((), 0)
    with closing(SqliteStore(tmp_path)) as store:
        entry = secrets_entry(store.last(), [version_of("key", 1, 5)], requests=[request_of(1)])
        store.write(None, [entry], 3)
    with closing(SqliteStore(tmp_path)) as store:
        assert list(store.entries(0, 10**9)) == [*entries, entry]
        assert store.names("anna") == FoundNames(("key",), 4)
