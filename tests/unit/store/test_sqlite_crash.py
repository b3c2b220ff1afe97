"""The store on disk after `kill -9`, with its WAL cut short, and with flipped bits."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.disks import flip_bit
from tests.conformance.naive import digest_of
from tests.conformance.naive_secrets import request_of, version_of
from tests.unit.store.committing_child import VALUES, entry_after, own_name
from tvault.errors import VaultError
from tvault.model.secret_looks import Wanted
from tvault.replication.entry import ORIGIN, Entry
from tvault.store.failures import StoreBroken
from tvault.store.ports import StoreViolation
from tvault.store.sqlite import FILE_NAME, SqliteStore

ROOT = Path(__file__).parents[3]


@contextmanager
def opened(folder: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(folder)
    try:
        yield store
    finally:
        store.close()


def killed_after(folder: Path, count: int) -> int:
    """Let a child commit to `folder`, kill it after `count` acknowledgements; the last one it gave."""
    command = [sys.executable, "-m", "tests.unit.store.committing_child", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(count)]
        child.kill()
        said += child.stdout.readlines()
    whole = [int(line) for line in said if line.endswith("\n")]
    return whole[-1]


def history(length: int) -> list[Entry]:
    entries: list[Entry] = []
    for _ in range(length):
        entries.append(entry_after(entries[-1].position if entries else ORIGIN))
    return entries


def assert_holds_a_prefix(store: SqliteStore) -> None:
    end = store.last().seq
    assert list(store.entries(0, 10**9)) == history(end)
    assert store.counts() == (2 * end, VALUES * end)
    asked = b"".join(map(digest_of, range(VALUES * (end + 1))))
    assert store.find("anna", 1, asked).missing() == list(range(VALUES * end, VALUES * (end + 1)))
    assert store.committed_hint() == max(0, end - 1)
    assert_holds_secrets(store, end)


def assert_holds_secrets(store: SqliteStore, end: int) -> None:
    """Those of the entries up to `end`, and of each all its rows."""
    left, right = store.history("anna", "left"), store.history("anna", "right")
    valid = [(number, number + 1) for number in range(1, end)] + ([(end, None)] if end else [])
    assert [(mark.valid_from, mark.valid_to) for mark in left.versions] == valid
    assert left == right
    assert store.names("anna").names == (("left", own_name(end), "right") if end else ())
    wanted = [Wanted("right", number) for number in range(1, end + 2)]
    found = store.secrets("anna", wanted, request_of(end).request)
    sealed = [version and version.sealed for version in found.versions]
    rows = [version_of("right", number, number, size=5000).sealed for number in range(1, end + 1)]
    assert sealed == [*rows, None]
    assert found.request == (request_of(end) if end else None)
    assert store.request_seq("anna", request_of(end + 1).request) == 0
    assert store.newest_stamp("anna") == end


def test_everything_acknowledged_before_a_kill_is_there_afterwards(tmp_path: Path) -> None:
    before = 0
    for count in (1, 2, 7, 30, 60):
        acknowledged = killed_after(tmp_path, count)
        assert acknowledged >= before + count
        with opened(tmp_path) as store:
            assert acknowledged <= store.last().seq <= acknowledged + 1
            assert_holds_a_prefix(store)
            before = store.last().seq


def copied(folder: Path, target: Path) -> Path:
    """The folder without the shared memory file, as after a power cut."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in (FILE_NAME, f"{FILE_NAME}-wal"):
        if (folder / name).exists():
            shutil.copy(folder / name, target / name)
    return target


def test_a_wal_cut_short_leaves_a_whole_beginning_of_the_journal(tmp_path: Path) -> None:
    acknowledged = killed_after(tmp_path / "n1", 40)
    size = (tmp_path / "n1" / f"{FILE_NAME}-wal").stat().st_size
    dice = random.Random(5)
    ends = set()
    for length in [0, 31, size - 1, size, *(dice.randrange(size) for _ in range(25))]:
        folder = copied(tmp_path / "n1", tmp_path / "cut")
        with (folder / f"{FILE_NAME}-wal").open("r+b") as wal:
            wal.truncate(length)
        with opened(folder) as store:
            assert_holds_a_prefix(store)
            ends.add(store.last().seq)
            store.write(None, [entry_after(store.last())], store.last().seq)
            assert_holds_a_prefix(store)
    assert max(ends) >= acknowledged
    assert len(ends) > 5


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_in_the_wal_leaves_a_whole_beginning_of_the_journal(
    tmp_path: Path, seed: int
) -> None:
    killed_after(tmp_path / "n1", 20)
    dice = random.Random(seed)
    for _ in range(25):
        folder = copied(tmp_path / "n1", tmp_path / "flipped")
        wal = folder / f"{FILE_NAME}-wal"
        flip_bit(wal, dice.randrange(wal.stat().st_size), dice.randrange(8))
        with opened(folder) as store:
            assert_holds_a_prefix(store)


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_in_the_database_is_refused_or_changes_nothing(tmp_path: Path, seed: int) -> None:
    killed_after(tmp_path / "n1", 20)
    with opened(tmp_path / "n1") as store:
        end = store.last().seq
    size = (tmp_path / "n1" / FILE_NAME).stat().st_size
    dice = random.Random(seed)
    refused = 0
    for _ in range(60):
        folder = copied(tmp_path / "n1", tmp_path / "flipped")
        flip_bit(folder / FILE_NAME, dice.randrange(size), dice.randrange(8))
        try:
            with opened(folder) as store:
                assert store.last().seq == end
                assert_holds_a_prefix(store)
        except (StoreViolation, StoreBroken, VaultError):
            refused += 1
    assert refused > 5


def test_a_damaged_schema_is_refused_even_if_its_text_is_no_text(tmp_path: Path) -> None:
    SqliteStore(tmp_path).close()
    whole = (tmp_path / FILE_NAME).read_bytes()
    at = whole.index(b'TABLE "')
    (tmp_path / FILE_NAME).write_bytes(whole[:at] + b"\xd4" + whole[at + 1 :])
    with pytest.raises(StoreBroken):
        SqliteStore(tmp_path)


@pytest.mark.parametrize("seed", range(2))
def test_a_database_cut_short_is_refused_or_changes_nothing(tmp_path: Path, seed: int) -> None:
    killed_after(tmp_path / "n1", 20)
    with opened(tmp_path / "n1") as store:
        end = store.last().seq
    size = (tmp_path / "n1" / FILE_NAME).stat().st_size
    dice = random.Random(seed)
    for _ in range(20):
        folder = copied(tmp_path / "n1", tmp_path / "cut")
        with (folder / FILE_NAME).open("r+b") as file:
            file.truncate(dice.randrange(1, size))
        with pytest.raises((StoreViolation, StoreBroken)), opened(folder) as store:
            assert store.last().seq == end
