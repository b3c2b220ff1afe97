"""A data folder that is filled from a backup: whole, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.server.test_folder import ME, live_once, opened_once
from tests.unit.store.test_backup import journal, written
from tvault.errors import VaultError
from tvault.replication.entry import Entry
from tvault.replication.promise import Standing
from tvault.server.folder import UNFINISHED, DataFolder
from tvault.server.restoring import EmptyFolder
from tvault.store.backup import Backup
from tvault.store.sqlite import SqliteStore


@pytest.fixture
def entries() -> Sequence[Entry]:
    return journal()


@pytest.fixture
def backup(tmp_path: Path, entries: Sequence[Entry]) -> Backup:
    written(tmp_path / "backup", entries)
    return Backup(tmp_path / "backup")


def restore(path: Path, backup: Backup) -> None:
    with closing(EmptyFolder(path)) as folder:
        folder.restore(backup, ME, 2, lambda _: None)


class Interrupted(Exception):
    """The restore ends where it stands."""


def interrupted(path: Path, backup: Backup) -> None:
    """Restore, and stop when the journal is written."""

    def stop(done: float) -> None:
        if done == 1:
            raise Interrupted

    with closing(EmptyFolder(path)) as folder, pytest.raises(Interrupted):
        folder.restore(backup, ME, 2, stop)


def test_a_restored_folder_holds_the_journal_and_no_vote(
    tmp_path: Path, backup: Backup, entries: Sequence[Entry]
) -> None:
    restore(tmp_path / "n1", backup)
    opened = opened_once(tmp_path / "n1")
    assert opened.set_aside is None
    promise = opened.promise
    assert promise.standing is Standing.BLANK
    assert promise.mark == promise.start == entries[-1].position
    assert promise.promised == entries[-1].view
    assert promise.incarnation
    with closing(SqliteStore(tmp_path / "n1")) as store:
        assert store.entries(0, 1 << 30) == entries
        assert store.committed_hint() == entries[-1].seq
    assert not (tmp_path / "n1" / UNFINISHED).exists()


def test_two_nodes_of_one_backup_live_different_lives(tmp_path: Path, backup: Backup) -> None:
    restore(tmp_path / "a", backup)
    restore(tmp_path / "b", backup)
    lives = {opened_once(tmp_path / name).promise.incarnation for name in "ab"}
    assert len(lives) == 2


def test_no_node_starts_on_a_folder_that_is_half_restored(tmp_path: Path, backup: Backup) -> None:
    interrupted(tmp_path / "n1", backup)
    with pytest.raises(
        VaultError, match="is half restored: 'tvault restore' was interrupted; repeat it"
    ):
        opened_once(tmp_path / "n1")


def test_a_restore_that_was_interrupted_can_be_repeated(
    tmp_path: Path, backup: Backup, entries: Sequence[Entry]
) -> None:
    interrupted(tmp_path / "n1", backup)
    for file in sorted((tmp_path / "n1" / UNFINISHED).iterdir()):  # it had come further still
        file.rename(tmp_path / "n1" / file.name)
    restore(tmp_path / "n1", backup)
    assert opened_once(tmp_path / "n1").promise.mark == entries[-1].position


def test_a_folder_that_holds_something_is_not_restored(tmp_path: Path, backup: Backup) -> None:
    live_once(tmp_path / "n1")
    before = {file.name for file in (tmp_path / "n1").iterdir()}
    with pytest.raises(VaultError, match="is not empty"):
        restore(tmp_path / "n1", backup)
    assert {file.name for file in (tmp_path / "n1").iterdir()} == before


def test_a_folder_in_use_is_not_restored(tmp_path: Path, backup: Backup) -> None:
    with closing(DataFolder(tmp_path / "n1")), pytest.raises(VaultError, match="in use"):
        restore(tmp_path / "n1", backup)


def test_a_folder_with_nothing_but_an_event_log_is_empty(tmp_path: Path, backup: Backup) -> None:
    (tmp_path / "n1").mkdir()
    (tmp_path / "n1" / "events.jsonl").write_text("{}\n")
    restore(tmp_path / "n1", backup)
    assert (tmp_path / "n1" / "events.jsonl").read_text() == "{}\n"


def test_a_damaged_backup_leaves_a_folder_on_which_no_node_starts(
    tmp_path: Path, backup: Backup
) -> None:
    path = backup.folder / "entries"
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(VaultError, match="ends within entry"):
        restore(tmp_path / "n1", backup)
    with pytest.raises(VaultError, match="half restored"):
        opened_once(tmp_path / "n1")
