"""What only the store on disk has: durability settings, migrations, full disks, tampering."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from peewee import SqliteDatabase

from tests.conformance.naive import block_of, digest_of, rows_entry
from tvault.errors import VaultError
from tvault.replication.entry import ORIGIN, Entry, Kind, Position, follow
from tvault.store.database import failure_at_start
from tvault.store.failures import JournalDamaged, StoreBlocked, StoreBroken, StoreClosed, StoreFull
from tvault.store.ports import StoreViolation
from tvault.store.sqlite import FILE_NAME, SqliteStore
from tvault.store.tables import MIGRATIONS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path, run_tokens=1)
    yield store
    store.close()


def entry_with(previous: Position, first: int, count: int = 3, sealed: bytes = b"sealed") -> Entry:
    digests = [digest_of(number) for number in range(first, first + count)]
    return rows_entry(previous, [block_of("anna", 1, digests, sealed)])


def found(store: SqliteStore, number: int) -> bool:
    return not store.find("anna", 1, digest_of(number)).missing()


@contextmanager
def tampering(folder: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(folder / FILE_NAME)
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def test_the_writer_syncs_every_commit_and_readers_cannot_write(store: SqliteStore) -> None:
    writer = store._database._writer
    assert writer.pragma("synchronous") == 2
    assert writer.pragma("journal_mode") == "wal"
    for reader in store._database._readers:
        assert reader.pragma("wal_autocheckpoint") == 0
    with pytest.raises(StoreBlocked, match="readonly"), store._database.look() as connection:
        connection.execute("DELETE FROM entry")


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "new" / "n1")
    assert (tmp_path / "new" / "n1").stat().st_mode & 0o077 == 0
    assert (tmp_path / "new" / "n1" / FILE_NAME).stat().st_mode & 0o077 == 0
    store.close()


def test_a_folder_that_cannot_be_made_is_a_matter_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(VaultError) as refusal:
        SqliteStore(tmp_path / "file" / "n1")
    assert refusal.value.code == "configuration"


def test_a_file_that_is_no_database_is_broken(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database at all" * 300)
    with pytest.raises(StoreBroken):
        SqliteStore(tmp_path)


def test_a_file_that_cannot_be_opened_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(VaultError) as refusal:
        SqliteStore(tmp_path)
    assert refusal.value.code == "configuration"


def test_a_full_disk_at_the_start_is_not_called_damage(tmp_path: Path) -> None:
    broken = StoreBroken("SQLite failed: disk I/O error")
    assert failure_at_start(broken, tmp_path, free_bytes=2**30) is broken
    for failure, free in ((broken, 0), (StoreFull("the disk is full"), 2**30)):
        refusal = failure_at_start(failure, tmp_path, free_bytes=free)
        assert isinstance(refusal, VaultError)
        assert refusal.code == "configuration"


def test_a_write_that_another_process_blocks_can_be_tried_again(store: SqliteStore) -> None:
    entry = entry_with(ORIGIN, 1)
    with tampering(store_folder(store)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBlocked):
            store.write(None, [entry], 0)
    assert not found(store, 1)
    store.write(None, [entry], 0)
    assert found(store, 1)


def test_a_closed_store_says_that_it_is_closed(store: SqliteStore) -> None:
    entry = entry_with(ORIGIN, 1)
    store.write(None, [entry], 0)
    store.close()
    store.close()
    with pytest.raises(StoreClosed):
        found(store, 1)
    with pytest.raises(StoreClosed):
        store.write(None, [entry_with(entry.position, 9)], 0)


def add_a_table(database: SqliteDatabase) -> None:
    database.execute_sql("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT")  # type: ignore[no-untyped-call]


def add_half_a_table(database: SqliteDatabase) -> None:
    add_a_table(database)
    raise RuntimeError("interrupted")


def test_a_migration_is_applied_once_and_keeps_what_is_stored(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.write(None, [entry_with(ORIGIN, 1)], 1)
    store.close()
    for _ in range(2):
        newer = SqliteStore(tmp_path, migrations=(*MIGRATIONS, add_a_table))
        assert found(newer, 1)
        newer.close()
    with tampering(tmp_path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
        assert connection.execute("SELECT count(*) FROM later").fetchone() == (0,)


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    SqliteStore(tmp_path).close()
    with pytest.raises(RuntimeError):
        SqliteStore(tmp_path, migrations=(*MIGRATIONS, add_half_a_table))
    with tampering(tmp_path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    SqliteStore(tmp_path, migrations=(*MIGRATIONS, add_a_table)).close()


def test_a_database_of_a_newer_tvault_is_refused_in_words(tmp_path: Path) -> None:
    SqliteStore(tmp_path, migrations=(*MIGRATIONS, add_a_table)).close()
    with pytest.raises(VaultError, match="newer tvault") as refusal:
        SqliteStore(tmp_path)
    assert refusal.value.code == "configuration"


def test_a_full_disk_leaves_everything_as_it_was_and_a_later_try_succeeds(store: SqliteStore) -> None:
    first = entry_with(ORIGIN, 1)
    store.write(None, [first], 1)
    writer = store._database._writer
    pages = writer.pragma("page_count")
    large = entry_with(first.position, 10, sealed=bytes(50_000))
    writer.pragma("max_page_count", pages)
    for cut_after in (None, 1):
        with pytest.raises(StoreFull):
            store.write(cut_after, [large], 1)
        assert store.last() == first.position
        assert store.counts() == (1, 3)
        assert not found(store, 10)
        assert list(store.entries(0, 10**6)) == [first]
    writer.pragma("max_page_count", 10**6)
    store.write(None, [large], 1)
    assert found(store, 10)


def test_after_a_failed_write_to_the_file_no_further_one_is_taken(store: SqliteStore) -> None:
    first = entry_with(ORIGIN, 1)
    store.write(None, [first], 1)
    large = entry_with(first.position, 10, sealed=bytes(200_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))  # the kernel refuses longer files
    try:
        with pytest.raises(StoreBroken):
            store.write(None, [large], 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.last() == first.position
    assert found(store, 1)
    assert not found(store, 10)
    with pytest.raises(StoreBroken):
        store.write(None, [entry_with(first.position, 20)], 1)


def test_a_changed_row_is_named_by_its_entry_when_entries_are_read(store: SqliteStore) -> None:
    first = entry_with(ORIGIN, 1)
    second = entry_with(first.position, 10)
    store.write(None, [first, second], 1)
    with tampering(store_folder(store)) as connection:
        connection.execute("UPDATE block SET sealed = x'00' WHERE seq = 2")
    assert list(store.entries(0, 1)) == [first]
    with pytest.raises(JournalDamaged, match="entry 2"):
        store.entries(0, 10**6)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE block SET digests = zeroblob(48) WHERE seq = 2",
        "UPDATE block SET owner = 'bert' WHERE seq = 2",
        "DELETE FROM block WHERE seq = 2",
        "DELETE FROM entry WHERE seq = 1",
        "UPDATE entry SET view = 5 WHERE seq = 2",
        "UPDATE entry SET digest = zeroblob(32) WHERE seq = 2",
        "UPDATE entry SET committed = 2 WHERE seq = 3",
        "UPDATE entry SET kind = 7 WHERE seq = 2",
        "INSERT INTO block SELECT id + 9, seq + 9, owner, epoch, x'', sealed FROM block WHERE seq = 1",
        "INSERT INTO epoch VALUES (1, 2, 'anna', 2)",
        "INSERT INTO epoch VALUES (1, 3, 'anna', 2)",
        "INSERT INTO secret_end VALUES (1, 2, 'anna', 'key', 1, 5, x'')",
        "INSERT INTO secret_end VALUES (1, 4, 'anna', 'key', 1, 5, x'')",
        "INSERT INTO secret_request VALUES (1, 4, 'anna', x'', x'', x'', x'')",
    ],
)
def test_a_changed_journal_does_not_open(tmp_path: Path, change: str) -> None:
    store = SqliteStore(tmp_path)
    first = entry_with(ORIGIN, 1)
    second = entry_with(first.position, 10)
    store.write(None, [first, second, follow(second.position, 2, Kind.BARRIER, b"")], 1)
    store.close()
    with tampering(tmp_path) as connection:
        connection.execute(change)
    with pytest.raises(JournalDamaged):
        SqliteStore(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE block SET owner = 'bert'",
        "UPDATE block SET epoch = 2",
        "UPDATE block SET digests = zeroblob(48)",
        "UPDATE block SET digests = x''",
    ],
)
def test_a_block_that_is_not_the_one_looked_for_is_never_handed_out(
    store: SqliteStore, change: str
) -> None:
    store.write(None, [entry_with(ORIGIN, 1)], 1)
    with tampering(store_folder(store)) as connection:
        connection.execute(change)
    with pytest.raises(JournalDamaged):
        found(store, 1)


def test_a_settled_block_whose_row_is_gone_is_damage_not_absence(store: SqliteStore) -> None:
    store.write(None, [entry_with(ORIGIN, 1)], 1)
    store.settle(1)
    with tampering(store_folder(store)) as connection:
        connection.execute("DELETE FROM block")
    with pytest.raises(JournalDamaged):
        found(store, 1)


def test_a_reader_with_an_older_snapshot_takes_no_row_for_another(store: SqliteStore) -> None:
    """Block ids are not given out again: a cut block's id never leads to the block that came after."""
    first = entry_with(ORIGIN, 1)
    dead = entry_with(first.position, 10)
    store.write(None, [first, dead], 1)
    older = store._index.snapshot
    store.write(1, [entry_with(first.position, 20)], 1)
    store._index.snapshot = older
    assert not found(store, 10)
    assert not found(store, 20)
    assert found(store, 1)


def test_a_reader_with_an_older_snapshot_names_no_entry_that_was_cut(store: SqliteStore) -> None:
    first = entry_with(ORIGIN, 1)
    many = [block_of("anna", 1, [digest_of(number)]) for number in range(10, 1210)]
    store.write(None, [first, rows_entry(first.position, many)], 1)
    older = store._index.snapshot
    store.write(1, [], 1)
    store._index.snapshot = older
    everything = b"".join(digest_of(number) for number in range(1210))
    assert store.exists("anna", 1, everything) == 1


def test_committed_tokens_are_in_runs_after_a_start_and_others_can_still_be_cut(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, run_tokens=3)
    first = entry_with(ORIGIN, 1)
    store.write(None, [first], 1)
    store.write(None, [entry_with(first.position, 10)], 1)
    store.settle(1)
    assert store._index.wait_until_idle(10)
    store.close()
    store = SqliteStore(tmp_path, run_tokens=3)
    assert [len(run) for run in store._index.snapshot.runs] == [3]
    assert sum(map(len, store._index.snapshot.generations)) == 3
    store.write(1, [], 1)
    assert (found(store, 1), found(store, 10)) == (True, False)
    store.close()


def test_a_thousand_tokens_of_as_many_blocks_are_found_in_one_look(store: SqliteStore) -> None:
    blocks = [block_of("anna", 1, [digest_of(number)]) for number in range(1200)]
    store.write(None, [rows_entry(ORIGIN, blocks)], 1)
    places = store.find("anna", 1, b"".join(map(digest_of, reversed(range(1200)))))
    assert [places.blocks[number] for number in places.block_of] == blocks[::-1]
    assert store.exists("anna", 1, b"".join(digest_of(number) for number in range(1200))) == 1


def test_two_stores_in_one_process_know_nothing_of_each_other(tmp_path: Path) -> None:
    one, two = SqliteStore(tmp_path / "n1"), SqliteStore(tmp_path / "n2")
    one.write(None, [entry_with(ORIGIN, 1)], 0)
    two.write(None, [entry_with(ORIGIN, 10)], 0)
    assert (found(one, 1), found(one, 10)) == (True, False)
    assert (found(two, 1), found(two, 10)) == (False, True)
    one.close()
    assert found(two, 10)
    two.close()


def test_a_token_twice_in_the_file_does_not_open(tmp_path: Path) -> None:
    """Rows that give every digest and yet break the rule: as a defect elsewhere would write them."""
    entry = rows_entry(
        ORIGIN, [block_of("anna", 1, [digest_of(1)]), block_of("anna", 1, [digest_of(1)])]
    )
    store = SqliteStore(tmp_path)
    store.write(None, [entry_with(ORIGIN, 1)], 1)
    store.close()
    with tampering(tmp_path) as connection:
        connection.execute("UPDATE entry SET digest = ?, rows = 2, committed = 0", (entry.digest,))
        connection.execute("DELETE FROM block")
        for key in (1, 2):
            row = (key, 1, "anna", 1, digest_of(1), b"sealed")
            connection.execute("INSERT INTO block VALUES (?, ?, ?, ?, ?, ?)", row)
    with pytest.raises(StoreViolation):
        SqliteStore(tmp_path)


def store_folder(store: SqliteStore) -> Path:
    return store._database._path.parent


@pytest.mark.parametrize("at", [18, 60, 62, 63, 68, 71])
def test_a_damaged_header_is_damage_and_no_newer_file_or_missing_right(tmp_path: Path, at: int) -> None:
    """Format, number of schema steps, and the stamp beside it: whoever met these could only give up."""
    SqliteStore(tmp_path).close()
    file = tmp_path / FILE_NAME
    content = bytearray(file.read_bytes())
    content[at] ^= 4
    file.write_bytes(content)
    with pytest.raises(StoreBroken):
        SqliteStore(tmp_path)
