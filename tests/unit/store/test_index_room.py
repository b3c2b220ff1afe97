"""The index on a disk with little room: it leaves that to the journal, and misses nothing."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cluster.disks import BALLAST, NO_DISK, SmallDisk
from tests.conformance.naive import block_of, rows_entry
from tests.unit.store.test_index_readers import TOKENS, tokens
from tvault.store.failures import StoreFull
from tvault.store.folders import SPARED_BYTES
from tvault.store.sqlite import INDEX_FOLDER, SqliteStore

MIB = 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[SmallDisk, Path]]:
    folder = tmp_path / "small"
    disk = SmallDisk(folder, SPARED_BYTES // MIB + 8)
    yield disk, folder
    disk.close()


def add(store: SqliteStore, count: int, sealed: bytes = b"sealed") -> None:
    for _ in range(count):
        last = store.last()
        store.write(None, [rows_entry(last, [block_of("anna", 1, tokens(last.seq), sealed)])], last.seq)
        store.settle(last.seq)


def finds_all(store: SqliteStore) -> bool:
    asked = b"".join(token for number in range(store.last().seq + 1) for token in tokens(number))
    end = TOKENS * store.last().seq
    return store.find("anna", 1, asked).missing() == list(range(end, end + TOKENS))


def test_runs_wait_for_room_that_the_journal_may_need_and_are_made_once_there_is_some(
    disk: tuple[SmallDisk, Path], not_tried: Callable[[str], None]
) -> None:
    small, folder = disk
    if not small.is_mounted:
        not_tried(NO_DISK)
        return
    with closing(SqliteStore(folder, run_tokens=2 * TOKENS)) as store:
        add(store, 10)
        assert store._index.wait_until_idle(10)
        before = set((folder / INDEX_FOLDER).iterdir())
        with (folder / BALLAST).open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, 31 * MIB)
        add(store, 40)
        assert not store._index.wait_until_idle(0)
        small.fill(os.getpid())
        with pytest.raises(StoreFull):
            add(store, 1000, sealed=bytes(100_000))
        assert set((folder / INDEX_FOLDER).iterdir()) == before
        assert finds_all(store)
        small.clear(None)
        add(store, 10)
        store.settle(store.last().seq)
        assert store._index.wait_until_idle(10)
        assert set((folder / INDEX_FOLDER).iterdir()) != before
        assert len(store._index.snapshot.generations) == 1
        assert finds_all(store)
    with closing(SqliteStore(folder)) as again:
        assert finds_all(again)


def test_too_many_open_files_are_waited_out_and_no_reason_to_doubt_anything(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path, run_tokens=2 * TOKENS)) as store:
        add(store, 1)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.open(tmp_path, os.O_RDONLY)  # the next descriptor that there is
        os.close(lowest)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, most))
        try:
            add(store, 20)
            assert not store._index.wait_until_idle(0.2)
            assert finds_all(store)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert store._index.wait_until_idle(20)
        assert len(store._index.snapshot.generations) == 1
        assert finds_all(store)
