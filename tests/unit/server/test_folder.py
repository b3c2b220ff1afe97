"""What a node makes of the folder that it finds."""

from __future__ import annotations

import fcntl
import os
import re
import resource
import threading
from pathlib import Path

import msgspec
import pytest

from tvault.errors import VaultError
from tvault.model.commands import Rows, encode_rows
from tvault.replication.entry import ORIGIN, Kind, follow
from tvault.replication.promise import Promise, Standing
from tvault.replication.recovery import Identity
from tvault.server.folder import DOUBTFUL, LOCK_FILE, PROMISE_FILE, DataFolder, Opened
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
    assert after.promise.life != before.life
    again = msgspec.structs.replace(before, boot=before.boot + 1, life=after.promise.life)
    assert after.promise == again
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


def test_files_in_doubt_are_set_aside_with_the_doubt_and_the_reason_stays_known(tmp_path: Path) -> None:
    before = live_once(tmp_path)
    folder = DataFolder(tmp_path)
    opened = folder.open(ME, cache_mib=2)
    opened.doubt("a sync failed")
    opened.store.close()
    opened.promise_file.close()
    folder.close()

    after = opened_once(tmp_path)
    assert after.set_aside == "a sync failed"
    assert after.promise.incarnation != before.incarnation
    assert (after.promise.standing, after.promise.set_aside) == (Standing.BLANK, True)
    (aside,) = tmp_path.glob("set-aside-*")
    assert {DOUBTFUL, FILE_NAME, PROMISE_FILE} <= {file.name for file in aside.iterdir()}

    again = opened_once(tmp_path)
    assert again.set_aside is None, "the doubt is dealt with"
    assert again.last_set_aside is not None
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ: a sync failed", again.last_set_aside)
    assert before_any_doubt(tmp_path / "other") is None


def before_any_doubt(path: Path) -> str | None:
    live_once(path)
    return opened_once(path).last_set_aside


def test_a_doubt_needs_no_room_on_the_disk_for_its_words(tmp_path: Path) -> None:
    """In a child, whose files may not grow at all."""
    live_once(tmp_path)
    child = os.fork()
    if child == 0:
        try:
            folder = DataFolder(tmp_path)
            opened = folder.open(ME, cache_mib=2)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            opened.doubt("a sync failed")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0, "that the words did not fit is no failure"
    assert (tmp_path / DOUBTFUL).stat().st_size == 0
    assert opened_once(tmp_path).set_aside is not None


@pytest.mark.parametrize("moved", [[], [FILE_NAME], [FILE_NAME, PROMISE_FILE]])
def test_a_crash_while_doubtful_files_were_set_aside_a_second_time_leaves_none_of_them_trusted(
    tmp_path: Path, moved: list[str]
) -> None:
    """Files were set aside here before, so that alone betrays nothing: the doubt goes last."""
    live_once(tmp_path)
    (tmp_path / PROMISE_FILE).unlink()
    opened_once(tmp_path)
    folder = DataFolder(tmp_path)
    opened = folder.open(ME, cache_mib=2)
    entry = follow(opened.store.last(), 1, Kind.ROWS, encode_rows(Rows()))
    opened.store.write(None, [entry], 0)
    opened.promise_file.write(
        msgspec.structs.replace(opened.promise, standing=Standing.VOTER), sync=True
    )
    opened.doubt("a sync failed")
    opened.store.close()
    opened.promise_file.close()
    folder.close()
    aside = tmp_path / "set-aside-20990101T000000.000000Z"
    aside.mkdir()
    for name in moved:
        for file in tmp_path.glob(name + "*"):
            file.rename(aside / file.name)

    after = opened_once(tmp_path)
    assert (after.promise.standing, after.promise.set_aside) == (Standing.BLANK, True)
    assert after.promise.incarnation != opened.promise.incarnation
    assert after.store.last() == ORIGIN
    assert not (tmp_path / DOUBTFUL).exists()


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
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(VaultError, match="is not this node's"):
        opened_once(tmp_path, other)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    with pytest.raises(VaultError, match="in use by another process"):
        DataFolder(tmp_path)
    folder.close()
    DataFolder(tmp_path).close()


def test_who_looks_whether_a_folder_is_in_use_keeps_no_node_from_starting(tmp_path: Path) -> None:
    live_once(tmp_path)
    look = os.open(tmp_path / LOCK_FILE, os.O_RDONLY)
    fcntl.flock(look, fcntl.LOCK_SH)
    end_of_look = threading.Timer(0.05, os.close, [look])
    end_of_look.start()
    DataFolder(tmp_path).close()
    end_of_look.join()
