"""`tvault inspect state` and `verify` on the folders of stopped nodes, without any configuration."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.conformance.naive import block_of, digest_of, rows_entry
from tests.conformance.naive_secrets import secrets_entry, version_of
from tests.unit.cli.running import CommandLine
from tests.unit.store.test_verification import content
from tvault.replication.entry import Position
from tvault.replication.recovery import Identity
from tvault.server.folder import DOUBTFUL, DataFolder
from tvault.store.sqlite import FILE_NAME

ENTRIES = 8


def node_folder(node: str, own: int = ENTRIES + 2, committed: int = ENTRIES) -> Path:
    """The folder of a node that has stopped, with its own history from entry `own` on; the last entry
    is about a secret."""
    path = Path("data") / node
    folder = DataFolder(path)
    opened = folder.open(Identity("c", ("n1", "n2", "n3"), node, "keys"), 16)
    store = opened.store
    for number in range(1, ENTRIES):
        block = block_of("anna", 1, [digest_of(number)], b"other" if number >= own else b"sealed")
        store.write(None, [rows_entry(store.last(), [block])], min(number, committed))
    store.write(None, [secrets_entry(store.last(), [version_of("hidden-name", 1, 10)])], committed)
    opened.promise_file.write(replace(opened.promise, mark=store.last()), sync=True)
    opened.promise_file.close()
    store.close()
    folder.close()
    return path


def execute(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path / FILE_NAME)) as connection:
        connection.executescript(script)


def test_folders_are_compared_with_each_other_and_nothing_in_them_changes(tvault: CommandLine) -> None:
    folders = [node_folder("n1"), node_folder("n2", committed=3)]
    before = [content(folder) for folder in folders]
    ran = tvault("inspect", "verify", "--data", folders[0], "--data", folders[1], "--json")
    assert ran.code == 0, ran.err
    assert (ran.document["sound"], ran.document["differences"]) == (True, [])
    assert ran.document["first_differing"] is None
    told = [
        (node["node"], node["data"], node["committed"], node["checked"])
        for node in ran.document["nodes"]
    ]
    assert told == [("n1", "data/n1", ENTRIES, ENTRIES), ("n2", "data/n2", 3, ENTRIES)]
    assert tvault("inspect", "state", "--data", folders[0]).code == 0
    assert [content(folder) for folder in folders] == before


def test_the_first_entry_at_which_folders_differ_is_named_and_the_exit_code_is_1(
    tvault: CommandLine,
) -> None:
    node_folder("n1"), node_folder("n2", own=5)
    ran = tvault("inspect", "verify", "--data", "data/n1", "--data", "data/n2")
    assert ran.code == 1
    assert ran.out.decode().splitlines()[-1] == "data/n2 differs from data/n1 from entry 5 on"
    ran = tvault("inspect", "verify", "--data", "data/n1", "--data", "data/n2", "--json")
    assert (ran.code, ran.document["sound"], ran.document["first_differing"]) == (1, False, 5)


def test_damage_is_told_by_file_and_entry(tvault: CommandLine) -> None:
    execute(node_folder("n1"), "UPDATE block SET sealed = x'00' WHERE seq = 4")
    ran = tvault("inspect", "verify", "--data", "data/n1")
    assert ran.code == 1
    assert "journal.sqlite (entry 4): the rows of entry 4 do not give its digest" in ran.out.decode()
    assert "damaged" in ran.out.decode()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda path: (path / FILE_NAME).write_bytes(b"no database" * 900), "file is not a database"),
        (lambda path: os.truncate(path / FILE_NAME, 9000), "malformed"),
        (lambda path: (path / "promise").write_bytes(bytes(8192)), "the promise file is damaged"),
        (lambda path: (path / "promise").unlink(), "a journal without a promise file"),
        (lambda path: (path / DOUBTFUL).write_bytes(b"bad disk"), "not to be trusted: bad disk"),
        (
            lambda path: execute(
                path,
                "DELETE FROM entry WHERE seq > 6; DELETE FROM block WHERE seq > 6;"
                "DELETE FROM secret_version; UPDATE entry SET committed = 0",
            ),
            "the commit position stored with entry 6 is damaged",
        ),
    ],
)
def test_files_that_are_not_whole_are_told_clearly_and_the_exit_code_is_1(
    tvault: CommandLine, spoil: object, named: str
) -> None:
    path = node_folder("n1")
    assert callable(spoil)
    spoil(path)
    ran = tvault("inspect", "verify", "--data", path)
    assert ran.code == 1, ran.err
    assert named in ran.out.decode()
    assert "internal error" not in ran.err


def test_a_journal_that_has_lost_what_the_node_acknowledged_is_found(tvault: CommandLine) -> None:
    """SQLite drops a damaged end of its log in silence."""
    path = node_folder("n1", committed=2)
    whole = DataFolder(path)
    opened = whole.open(Identity("c", ("n1", "n2", "n3"), "n1", "keys"), 16)
    mark = Position(seq=ENTRIES + 1, view=1, digest=bytes(32))
    opened.promise_file.write(replace(opened.promise, mark=mark), sync=True)
    opened.promise_file.close()
    opened.store.close()
    whole.close()
    ran = tvault("inspect", "verify", "--data", path)
    assert ran.code == 1
    assert f"does not hold entry {ENTRIES + 1} as acknowledged" in ran.out.decode()


def test_a_folder_in_use_is_left_alone(tvault: CommandLine) -> None:
    path = node_folder("n1")
    lock = os.open(path / "lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    for name in ("state", "verify"):
        ran = tvault("inspect", name, "--data", path)
        assert ran.code == 2
        assert "in use by a running node: ask that without --data" in ran.err
    os.close(lock)


@pytest.mark.parametrize("name", ["state", "verify"])
def test_what_is_no_data_folder_is_refused(tvault: CommandLine, name: str) -> None:
    Path("empty").mkdir()
    for folder, why in (("none", "no such folder"), ("empty", "holds no journal.sqlite")):
        ran = tvault("inspect", name, "--data", folder)
        assert (ran.code, ran.out) == (2, b"")
        assert why in ran.err


def test_a_folder_without_its_journal_is_not_taken_for_an_empty_one(tvault: CommandLine) -> None:
    path = node_folder("n1")
    (path / FILE_NAME).unlink()
    shutil.rmtree(path / "index")
    for name in ("state", "verify"):
        ran = tvault("inspect", name, "--data", path)
        assert ran.code == 1
        assert "journal.sqlite is gone" in ran.err + ran.out.decode()
    assert not (path / FILE_NAME).exists()


def test_the_state_of_a_folder_is_told_without_the_names_of_secrets(tvault: CommandLine) -> None:
    node_folder("n1")
    ran = tvault("inspect", "state", "--data", "data/n1", "--json")
    (node,) = ran.document["nodes"]
    assert (node["node"], node["journal"]["tokens"], node["journal"]["committed"]) == ("n1", 7, ENTRIES)
    (owner,) = node["owners"]
    assert (owner["owner"], owner["active"]) == ("anna", 1)
    assert owner["secrets"] == {"names": 1, "versions": 1, "ended": 0}
    text = tvault("inspect", "state", "--data", "data/n1").out
    assert b"anna   1      active  7       7       1        1         0" in text
    assert b"hidden-name" not in ran.out + text
