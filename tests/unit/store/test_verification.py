"""What the whole check of a store finds: in use, and in the files of one that is not."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.cluster.disks import flip_bit
from tests.conformance.naive import digest_of
from tests.conformance.naive_secrets import request_of, secrets_entry, version_of
from tests.unit.store.test_checking import ENTRIES, TOKENS, filled
from tvault.errors import VaultError
from tvault.model.commands import SecretEnd
from tvault.store.failures import StoreBlocked
from tvault.store.memory import MemoryStore
from tvault.store.ports import Inspectable
from tvault.store.sqlite import FILE_NAME, SqliteStore
from tvault.store.stopped import StoppedStore
from tvault.store.verification import Finding, Verification

LAST = ENTRIES + 2
"""Two entries about secrets follow those of `filled`."""

SECRET = b"a sealed secret value"


def folder_of(tmp_path: Path) -> Path:
    """Holds the history of `filled` and two entries about secrets, all committed; half is in runs."""
    with closing(filled(tmp_path)) as store:
        row = version_of("key", 1, 10)
        sealed = type(row.sealed)(SECRET, row.sealed.nonce, row.sealed.wrapped_key, row.sealed.key_id)
        row = type(row)(row.owner, row.name, row.version, row.valid_from, sealed)
        first = secrets_entry(store.last(), [row], requests=[request_of(1)])
        second = secrets_entry(first.position, ends=[SecretEnd("anna", "key", 1, 20)])
        store.write(None, [first, second], LAST)
    return tmp_path


def found(store: Inspectable, upto: int = LAST) -> list[Finding]:
    verification = Verification(store, upto)
    for _ in verification.slices():
        pass
    return verification.findings


def of_stopped(folder: Path) -> list[Finding]:
    with closing(StoppedStore(folder)) as store:
        return found(store, store.last().seq)


def of_running(folder: Path, change: Callable[[], object]) -> list[Finding]:
    """What a store in use finds that was opened before its files changed."""
    with closing(SqliteStore(folder, run_tokens=5 * TOKENS)) as store:
        change()
        return found(store)


def execute(folder: Path, script: str) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.executescript(script)


def flip(file: Path, wanted: bytes) -> None:
    flip_bit(file, file.read_bytes().index(wanted) + 2)


def first_run(folder: Path) -> Path:
    return min((folder / "index").glob("*.run"))


def content(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file of a folder: when it was changed, and what is in it."""
    return {
        str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_sound_files_are_found_sound_running_and_stopped(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    assert of_running(folder, lambda: None) == []
    assert of_stopped(folder) == []


@pytest.mark.parametrize(
    ("script", "seq", "named"),
    [
        ("UPDATE block SET sealed = zeroblob(12) WHERE seq = 11", 11, "entry 11"),
        ("DELETE FROM block WHERE seq = 32 AND owner = 'bert'", 32, "entry 32"),
        ("UPDATE entry SET view = 99 WHERE seq = 14", 14, "entry 14"),
        ("DELETE FROM entry WHERE seq = 12", 12, "entry 13"),
        ("UPDATE secret_version SET key_id = 'm9'", LAST - 1, f"entry {LAST - 1}"),
        ("DELETE FROM secret_end", LAST, f"entry {LAST}"),
        ("UPDATE epoch SET epoch = 7 WHERE seq = 10", 10, "entry 10"),
        ("UPDATE entry SET committed = committed + 1 WHERE seq = 9", 9, "stored with entry 9"),
    ],
)
def test_a_row_that_was_changed_or_removed_is_named_by_the_first_entry_that_is_not_whole(
    tmp_path: Path, script: str, seq: int, named: str
) -> None:
    folder = folder_of(tmp_path)
    for findings in (of_running(folder, lambda: execute(folder, script)), of_stopped(folder)):
        first = next(finding for finding in findings if finding.seq is not None)
        assert (first.where, first.seq, first.is_mended) == (FILE_NAME, seq, False)
        assert named in first.what


@pytest.mark.parametrize("wanted", [digest_of(3 * TOKENS), b"sealed of 03", SECRET])
def test_a_bit_that_flips_in_the_journal_is_found_and_the_entry_is_named(
    tmp_path: Path, wanted: bytes
) -> None:
    folder = folder_of(tmp_path)
    execute(folder, "PRAGMA wal_checkpoint(TRUNCATE)")
    flip(folder / FILE_NAME, wanted)
    seqs = [finding.seq for finding in of_stopped(folder)]
    assert (LAST - 1 if wanted == SECRET else 3) in seqs


@pytest.mark.parametrize(
    ("script", "named"),
    [
        (
            "INSERT INTO block VALUES (-1, 0, 'anna', 1, zeroblob(32), x'00')",
            "the tables hold 57 blocks of entries up to 42, the journal has 56",
        ),
        (
            "INSERT INTO secret_end VALUES (-1, -5, 'anna', 'none', 1, 1, x'00')",
            "the tables hold 2 ends of entries up to 42, the journal has 1",
        ),
        (
            "INSERT INTO epoch VALUES (-1, 0, 'anna', 99)",
            "epochs",
        ),
    ],
)
def test_a_row_of_no_entry_is_found_by_the_counts(tmp_path: Path, script: str, named: str) -> None:
    folder = folder_of(tmp_path)
    for findings in (of_running(folder, lambda: execute(folder, script)), of_stopped(folder)):
        (finding,) = findings
        assert named in finding.what


def test_sqlites_own_check_is_run(tmp_path: Path) -> None:
    """An index that lacks a row hides nothing from the journal's digests."""
    folder = folder_of(tmp_path)
    script = (
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET rootpage ="
        " (SELECT rootpage FROM sqlite_schema WHERE name = 'secretend_seq')"
        " WHERE name = 'epoch_seq'"
    )
    execute(folder, script)
    assert any("SQLite's own check" in finding.what for finding in of_stopped(folder))


@pytest.mark.parametrize("at", [10, 520])
def test_a_damaged_file_of_the_index_is_named_and_the_journal_is_sound(tmp_path: Path, at: int) -> None:
    folder = folder_of(tmp_path)
    run = first_run(folder)
    flip_bit(run, at)
    (finding,) = of_stopped(folder)
    assert (finding.where, finding.is_mended) == (f"index/{run.name}", True)


def test_a_damaged_file_of_the_index_in_use_is_named_and_mended(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    run = first_run(folder)
    with closing(SqliteStore(folder, run_tokens=5 * TOKENS)) as store:
        flip_bit(run, 520)
        (finding,) = found(store)
        assert (finding.where, finding.is_mended) == (f"index/{run.name}", True)
        assert store._index.wait_until_idle(10)
        assert found(store) == []


@pytest.mark.parametrize("lost", ["masks", "all"])
def test_a_stopped_node_without_its_index_is_checked_all_the_same(tmp_path: Path, lost: str) -> None:
    folder = folder_of(tmp_path)
    names = {path.name for path in (folder / "index").glob("*.run")}
    if lost == "masks":
        (folder / "index" / "masks").unlink()
    else:
        shutil.rmtree(folder / "index")
        names = set()
    assert {finding.where for finding in of_stopped(folder)} == {f"index/{name}" for name in names}


def test_an_index_that_holds_more_than_the_journal_is_found(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    with closing(SqliteStore(folder, run_tokens=5 * TOKENS)) as store:
        store._index.snapshot.generations[-1]._spots[bytes(16)] = 1
        (finding,) = found(store)
        assert finding.where == "index"
        assert "the index holds 85 tokens of entries up to 42, the journal has 84" in finding.what


def test_epochs_that_are_answered_from_memory_are_compared_with_the_journal(tmp_path: Path) -> None:
    with closing(SqliteStore(folder_of(tmp_path))) as store:
        store._epochs = {"anna": ((9, 5),)}
        (finding,) = found(store)
        assert "the epochs that are answered" in finding.what


def test_files_of_a_stopped_node_are_not_changed_by_a_byte(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    before = content(folder)
    assert of_stopped(folder) == []
    assert content(folder) == before


CRASHING = """
import os, sys
from pathlib import Path
from tests.unit.store.test_checking import filled
filled(Path(sys.argv[1]))
os._exit(9)
"""


@pytest.mark.parametrize("has_shared_memory", [True, False])
def test_the_log_that_a_crash_leaves_is_read_with_the_journal_and_left_as_it_is(
    tmp_path: Path, *, has_shared_memory: bool
) -> None:
    subprocess.run([sys.executable, "-c", CRASHING, str(tmp_path)], check=False)
    shared, log = tmp_path / f"{FILE_NAME}-shm", tmp_path / f"{FILE_NAME}-wal"
    assert log.stat().st_size > 0
    if not has_shared_memory:
        shared.unlink()
    tmp_path.chmod(0o500)
    before = content(tmp_path)
    with closing(StoppedStore(tmp_path)) as store:
        assert store.last().seq == ENTRIES
        assert found(store, ENTRIES) == []
    assert content(tmp_path) == before
    tmp_path.chmod(0o700)


def test_a_journal_of_another_version_is_refused_and_not_migrated(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    for version, what_to_do in (
        (1, "start its node once"),
        (9, "use the version of tvault that wrote it"),
    ):
        execute(
            folder, f"PRAGMA user_version = {version}; PRAGMA application_id = {0x74560000 + version}"
        )
        before = content(folder)
        with pytest.raises(VaultError, match=what_to_do) as caught:
            StoppedStore(folder)
        assert caught.value.code == "configuration"
        assert content(folder) == before


def test_a_journal_with_an_entry_less_than_a_run_vouches_for_is_damage(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    tables = ("entry", "block", "epoch", "secret_version", "secret_end", "secret_request")
    execute(folder, ";".join(f"DELETE FROM {table} WHERE seq > 15" for table in tables))  # noqa: S608
    with pytest.raises(Exception, match="which was committed"):
        StoppedStore(folder)


def test_a_check_that_is_told_to_stop_ends_sqlites_part_early(tmp_path: Path) -> None:
    with closing(SqliteStore(folder_of(tmp_path))) as store:
        assert store.check_database(lambda: True) is None


class Blocked(MemoryStore):
    """Cannot be read now."""

    def check_database(self, is_over: Callable[[], bool]) -> str | None:
        assert not is_over()
        raise StoreBlocked("out of memory")


def test_what_is_no_damage_is_raised() -> None:
    with pytest.raises(StoreBlocked):
        found(Blocked(), 0)
