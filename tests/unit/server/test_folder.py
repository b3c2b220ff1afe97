"""What a node makes of the folder that it finds."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tvault.errors import VaultError
from tvault.model.commands import Rows, encode_rows
from tvault.replication.entry import ORIGIN, Kind, follow
from tvault.replication.promise import Promise, Standing
from tvault.replication.recovery import Identity
from tvault.server.folder import PROMISE_FILE, DataFolder, Opened
from tvault.store.sqlite import FILE_NAME

ME = Identity("c", ("n1", "n2", "n3"), "n1", "key 1")


def opened_once(path: Path, identity: Identity = ME) -> Opened:
    """Open, and close again as a clean stop does."""
    folder = DataFolder(path)
    try:
        opened = folder.open(identity, cache_mib=2)
        opened.store.close()
        opened.promise_file.close()
        return opened
    finally:
        folder.close()


def live_once(path: Path, entries: int = 3) -> Promise:
    """A voter that has acknowledged `entries` entries, stopped cleanly."""
    folder = DataFolder(path)
    opened = folder.open(ME, cache_mib=2)
    for _ in range(entries):
        entry = follow(opened.store.last(), 1, Kind.ROWS, encode_rows(Rows()))
        opened.store.write(None, [entry], 0)
    promise = msgspec.structs.replace(
        opened.promise, standing=Standing.VOTER, promised=1, mark=opened.store.last()
    )
    opened.promise_file.write(promise, sync=True)
    opened.store.close()
    opened.promise_file.close()
    folder.close()
    return promise


def test_an_empty_folder_makes_a_blank_node_that_may_take_part_in_a_founding(tmp_path: Path) -> None:
    promise = opened_once(tmp_path / "data" / "n1").promise
    assert (promise.standing, promise.set_aside, promise.mark) == (Standing.BLANK, False, ORIGIN)
    assert (tmp_path / "data" / "n1").stat().st_mode & 0o777 == 0o700


def test_a_node_remembers_itself_and_counts_its_boots(tmp_path: Path) -> None:
    before = live_once(tmp_path)
    after = opened_once(tmp_path)
    assert after.set_aside is None
    assert after.promise == msgspec.structs.replace(before, boot=before.boot + 1)
    assert after.store.last().seq == 3


@pytest.mark.parametrize("lost", [PROMISE_FILE, FILE_NAME])
def test_a_node_that_has_lost_a_part_of_its_memory_begins_anew_and_keeps_the_rest(
    tmp_path: Path, lost: str
) -> None:
    before = live_once(tmp_path)
    for file in tmp_path.glob(lost + "*"):
        file.unlink()
    after = opened_once(tmp_path)
    assert after.set_aside is not None
    assert after.promise.incarnation != before.incarnation
    assert (after.promise.standing, after.promise.set_aside) == (Standing.BLANK, True)
    assert after.store.last() == ORIGIN
    (aside,) = tmp_path.glob("set-aside-*")
    kept = FILE_NAME if lost == PROMISE_FILE else PROMISE_FILE
    assert (aside / kept).exists()


@pytest.mark.parametrize("survivor", [PROMISE_FILE, None])
def test_a_crash_while_files_were_set_aside_never_makes_a_voter_or_a_founder(
    tmp_path: Path, survivor: str | None
) -> None:
    """A voter whose mark was not yet written loses its journal half way through."""
    live_once(tmp_path, entries=0)
    aside = tmp_path / "set-aside-20260101T000000.000000Z"
    aside.mkdir()
    for file in [*tmp_path.glob(FILE_NAME + "*"), *tmp_path.glob(PROMISE_FILE)]:
        if file.name != survivor:
            file.rename(aside / file.name)
    after = opened_once(tmp_path)
    assert (after.promise.standing, after.promise.set_aside) == (Standing.BLANK, True)
    again = opened_once(tmp_path)
    assert again.set_aside is None, "begun anew once is enough"
    assert again.promise.incarnation == after.promise.incarnation


@pytest.mark.parametrize(
    "other",
    [
        Identity("other", ME.ensemble, "n1", "key 1"),
        Identity("c", ("n2", "n1", "n3"), "n1", "key 1"),
        Identity("c", ME.ensemble, "n2", "key 1"),
        Identity("c", ME.ensemble, "n1", "key 2"),
    ],
)
def test_a_folder_of_another_node_is_refused_and_left_as_it_is(tmp_path: Path, other: Identity) -> None:
    live_once(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(VaultError, match="is not this node's"):
        opened_once(tmp_path, other)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    with pytest.raises(VaultError, match="in use by another process"):
        DataFolder(tmp_path)
    folder.close()
    DataFolder(tmp_path).close()
