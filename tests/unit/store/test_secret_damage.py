# ruff: noqa: S608  the statements are put together from constants
"""Secrets on a disk that has changed: every answer is the right one, or the damage is reported."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.disks import flip_bit
from tests.conformance.naive import block_of, digest_of
from tests.conformance.naive_secrets import request_of, secrets_entry, version_of
from tests.unit.store.test_checking import WholeCheck
from tvault.model.commands import Done, Rows, SecretEnd, decode_rows, encode_rows
from tvault.model.records import NewestSecret
from tvault.model.secret_looks import Wanted
from tvault.replication.entry import ORIGIN, Entry, Kind, follow
from tvault.store.failures import JournalDamaged, StoreBroken
from tvault.store.ports import StoreViolation
from tvault.store.secret_reading import read_names, read_newest
from tvault.store.secrets import TABLES
from tvault.store.sqlite import FILE_NAME, SqliteStore

VERSIONS = 4
BYTES_BETWEEN = 17
"""Not every byte is tried each time: all were once, all bits of them."""


def history() -> list[Entry]:
    """Each entry brings a token and the next version of two secrets; the third ends a third one."""
    entries: list[Entry] = []
    for number in range(1, VERSIONS + 1):
        versions = [version_of("left", number, 10 * number), version_of("right", number, 10 * number)]
        if number == 2:
            versions.append(version_of("third", 1, 20))
        done = [Done(row.name, row.version, True) for row in versions]
        rows = Rows(
            blocks=(block_of("anna", 1, [digest_of(number)]),),
            versions=tuple(versions),
            ends=(SecretEnd("anna", "third", 1, 30),) if number == 3 else (),
            requests=(request_of(number, done),),
        )
        previous = entries[-1].position if entries else ORIGIN
        entries.append(follow(previous, 1, Kind.ROWS, encode_rows(rows)))
    return entries


@contextmanager
def opened(folder: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(folder, run_tokens=1)) as store:
        yield store


def filled(folder: Path) -> None:
    """Holds `history()`; all of it but the last entry is in a run."""
    with opened(folder) as store:
        for entry in history():
            store.write(None, [entry], entry.seq - 1)
            store.settle(entry.seq - 1)
        assert store._index.wait_until_idle(10)
        assert store._index.snapshot.settled_top == VERSIONS - 1


WANTED = [
    Wanted("left"),
    Wanted("third"),
    Wanted("right", 2),
    Wanted("left", VERSIONS + 1),
    *(Wanted("right", at=at) for at in range(5, 10 * VERSIONS + 1, 5)),
    *(Wanted("third", at=at) for at in (19, 20, 29, 30)),
    Wanted("fourth"),
]
WRITTEN = [row for entry in history() for row in decode_rows(entry.body).versions]
NAMES = ("left", "right", "third", "fourth")
REQUESTS = [request_of(number).request for number in range(VERSIONS + 2)]


def looks(store: SqliteStore) -> list[Callable[[], object]]:
    """All that can be asked about the secrets of anna."""
    return [
        *(partial(store.secrets, "anna", [wanted], None) for wanted in WANTED),
        *(partial(store.secrets, "anna", [], request) for request in REQUESTS),
        *(partial(store.request_seq, "anna", request) for request in REQUESTS),
        *(partial(store.history, "anna", name) for name in NAMES),
        *(partial(store.newest_secrets, "anna", [name]) for name in NAMES),
        *(partial(store.names, owner) for owner in ("anna", "bert")),
        partial(store.newest_stamp, "anna"),
        lambda: [row in WRITTEN for row in store.sample_secrets()],
        lambda: list(store.entries(0, 10**9)),
    ]


@dataclass(frozen=True)
class Page:
    """A page of the database: the leaf that is the whole of a small table or index."""

    name: str
    start: int
    content: bytes

    def used(self) -> list[int]:
        """The offsets in the file of its header, its pointers and its cells."""
        cells = int.from_bytes(self.content[3:5], "big")
        first = int.from_bytes(self.content[5:7], "big")
        return [self.start + at for at in (*range(8 + 2 * cells), *range(first, len(self.content)))]


def pages_of_secrets(file: Path) -> list[Page]:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        schema = connection.execute("SELECT tbl_name, name, rootpage FROM sqlite_schema").fetchall()
    roots = [(name, root) for table, name, root in schema if table in TABLES]
    content = file.read_bytes()
    pages = [
        Page(name, size * (root - 1), content[size * (root - 1) : size * root]) for name, root in roots
    ]
    assert all(page.content[0] in (10, 13) for page in pages), "a leaf each"
    assert len(pages) == 11
    return pages


@pytest.mark.parametrize("shift", range(3))
def test_a_flipped_bit_where_secrets_are_is_reported_at_the_start_or_changes_no_answer(
    tmp_path: Path, shift: int
) -> None:
    filled(tmp_path)
    with opened(tmp_path) as store:
        expected = [look() for look in looks(store)]
    file = tmp_path / FILE_NAME
    used = [at for page in pages_of_secrets(file) for at in page.used()]
    refused = 0
    tried = used[5 * shift :: BYTES_BETWEEN]
    for at in tried:
        flip_bit(file, at, bit := (at + shift) % 8)
        try:
            with opened(tmp_path) as store:
                assert [look() for look in looks(store)] == expected, f"byte {at}, bit {bit}"
        except (StoreViolation, StoreBroken):
            refused += 1
        flip_bit(file, at, bit)
    assert refused > 0.9 * len(tried)
    with opened(tmp_path) as store:
        assert [look() for look in looks(store)] == expected


@contextmanager
def behind_the_indexes(folder: Path) -> Iterator[sqlite3.Connection]:
    """A connection that knows no index of the tables of secrets: what it changes, it changes in the
    tables alone, as a disk would."""
    hidden = "type = 'index' AND tbl_name LIKE 'secret%'"
    file = folder / FILE_NAME
    with closing(sqlite3.connect(file)) as connection:
        indexes = connection.execute(f"SELECT * FROM sqlite_schema WHERE {hidden}").fetchall()
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(f"DELETE FROM sqlite_schema WHERE {hidden}")
        connection.commit()
    with closing(sqlite3.connect(file)) as connection:
        yield connection
        connection.commit()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.executemany("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", indexes)
        connection.commit()


COLUMNS = {
    "secret_version": (
        *("id", "seq", "owner", "name", "version", "valid_from", "key_id", "nonce", "wrapped_key"),
        *("checksum", "guard", "ciphertext"),
    ),
    "secret_end": ("id", "seq", "owner", "name", "version", "valid_to", "guard"),
    "secret_request": ("id", "seq", "owner", "request", "fingerprint", "done", "guard"),
}


def is_right(look: Callable[[], object], expected: object) -> bool:
    """Whether a look gives what is expected, rather than that it reports damage: nothing else it may."""
    try:
        found = look()
    except (JournalDamaged, StoreBroken):
        return False
    assert found == expected
    return True


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table in TABLES for column in COLUMNS[table]]
)
def test_a_column_that_changes_while_the_node_runs_gives_no_wrong_answer_and_is_found_by_the_check(
    tmp_path: Path, table: str, column: str
) -> None:
    filled(tmp_path)
    with opened(tmp_path) as store:
        expected = [look() for look in looks(store)]
        with behind_the_indexes(tmp_path) as connection:
            is_number = column in {"id", "seq", "version", "valid_from", "valid_to"}
            other = f"{column} + 100" if is_number else f"CAST(substr({column}, 2) AS TEXT)"
            if not is_number and column not in {"owner", "name", "key_id"}:
                other = f"CAST(zeroblob(length({column})) AS BLOB)"
            changed = connection.execute(f"UPDATE {table} SET {column} = {other} WHERE seq <= 3")
            assert changed.rowcount
        right = [is_right(*each) for each in zip(looks(store), expected, strict=True)]
        assert not all(right)
        assert len(WholeCheck(store, waits=100).doubts) == 1
    with pytest.raises((StoreViolation, StoreBroken)), opened(tmp_path):
        pass


@pytest.mark.parametrize("table", ["secret_version", "secret_request"])
def test_an_index_that_leads_to_another_sound_row_gives_no_wrong_answer(
    tmp_path: Path, table: str
) -> None:
    """Rows that have changed places, behind the indexes."""
    filled(tmp_path)
    with opened(tmp_path) as store:
        expected = [look() for look in looks(store)]
        with behind_the_indexes(tmp_path) as connection:
            connection.execute(f"UPDATE {table} SET id = id + 100 WHERE id IN (1, 2)")
            connection.execute(f"UPDATE {table} SET id = 103 - id WHERE id > 100")
        assert not all(is_right(*each) for each in zip(looks(store), expected, strict=True))


def test_an_index_that_takes_an_older_version_for_the_newest_gives_no_wrong_answer(
    tmp_path: Path,
) -> None:
    """The newest has ended; the index leads to one that has not, as if it had rotted since the start."""
    with opened(tmp_path) as store:
        for version in (1, 2, 3):
            ends = [SecretEnd("anna", "rotten", 3, 40)] if version == 3 else []
            row = version_of("rotten", version, 10 * version)
            store.write(None, [secrets_entry(store.last(), [row], ends=ends)], 0)
    file = tmp_path / FILE_NAME
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'secret_version' AND type = 'index'"
        pages = [page for (page,) in connection.execute(query)]
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = file.read_bytes()
    places = [content.find(b"annarotten\2", size * (page - 1), size * page) for page in pages]
    [place] = [place for place in places if place >= 0]
    flip_bit(file, place + len("annarotten"), bit=3)
    with closing(sqlite3.connect(file)) as connection:
        with pytest.raises(JournalDamaged):
            read_names(connection, "anna")
        newest = partial(read_newest, connection, "anna", ["rotten"])
        assert is_right(newest, [NewestSecret(3, is_live=False, seq=3)])


@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_an_index_no_longer_leads_to_is_found_by_the_check_and_at_the_next_start(
    tmp_path: Path, table: str
) -> None:
    """As it comes to a row whose key in the index has changed: looks cannot tell it from absence."""
    filled(tmp_path)
    row = f"FROM {table} WHERE seq = 3"
    with opened(tmp_path) as store:
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
            connection.execute(f"CREATE TEMP TABLE lost AS SELECT * {row}")
            lost = connection.execute("SELECT * FROM lost").fetchall()
            connection.execute(f"DELETE {row}")
            connection.commit()
        with behind_the_indexes(tmp_path) as connection:
            marks = ", ".join("?" * len(lost[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", lost)
        assert len(WholeCheck(store, waits=100).doubts) == 1
        with pytest.raises(JournalDamaged, match=f"{table} is damaged"):
            list(store.check_runs())
    with pytest.raises(JournalDamaged, match=f"{table} is damaged"), opened(tmp_path):
        pass


def test_a_version_in_the_midst_that_is_gone_is_damage(tmp_path: Path) -> None:
    filled(tmp_path)
    with opened(tmp_path) as store:
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
            connection.execute("DELETE FROM secret_version WHERE version = 2 AND name = 'left'")
            connection.commit()
        with pytest.raises(JournalDamaged, match="is gone, before that of entry 3"):
            store.history("anna", "left")
        assert len(store.history("anna", "right").versions) == VERSIONS


def test_a_sound_store_of_secrets_raises_no_doubt(tmp_path: Path) -> None:
    filled(tmp_path)
    with opened(tmp_path) as store:
        assert WholeCheck(store, waits=100).doubts == []
