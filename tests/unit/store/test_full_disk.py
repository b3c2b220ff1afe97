"""A disk that is really full: a small file system of its own, where one may be mounted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.disks import BALLAST, NO_DISK, SmallDisk
from tests.unit.store.test_sqlite import entry_with, found
from tvault.replication.entry import ORIGIN, Position
from tvault.store.failures import StoreFull
from tvault.store.sqlite import FILE_NAME, SqliteStore

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[SmallDisk, Path]]:
    folder = tmp_path / "small"
    disk = SmallDisk(folder, 16)
    yield disk, folder
    disk.close()


def fill(store: SqliteStore, sealed: bytes) -> Position:
    """Write until nothing more can be; the end.  Entry `n` brings the tokens from `3 n` on."""
    for _ in range(5000):
        last = store.last()
        entry = entry_with(last, 3 * (last.seq + 1), sealed=sealed)
        try:
            store.write(None, [entry], last.seq)
        except StoreFull:
            return last
    raise AssertionError("the disk does not get full")


def test_a_disk_that_gets_full_is_told_as_full_and_nothing_is_lost_or_half_written(
    disk: tuple[SmallDisk, Path], not_tried: Callable[[str], None]
) -> None:
    small, folder = disk
    if not small.is_mounted:
        not_tried(NO_DISK)
        return
    (folder / BALLAST).write_bytes(bytes(MIB))
    store = SqliteStore(folder)
    for sealed in (bytes(100_000), bytes(3_000), b"s"):
        last = fill(store, sealed)
        for _ in range(3):
            with pytest.raises(StoreFull):
                store.write(None, [entry_with(last, 3 * (last.seq + 1), sealed=bytes(100_000))], 0)
            assert store.last() == last
        assert all(found(store, 3 * seq) for seq in range(1, last.seq + 1))
        assert not found(store, 3 * (last.seq + 1))
    assert not store.has_room()
    store.close()
    small.clear(None)
    again = SqliteStore(folder)
    assert again.last() == last
    fill(again, bytes(100_000))
    again.close()


def test_a_disk_has_room_again_when_a_quarter_of_it_is_free(
    disk: tuple[SmallDisk, Path], not_tried: Callable[[str], None]
) -> None:
    small, folder = disk
    store = SqliteStore(folder)
    store.write(None, [entry_with(ORIGIN, 1)], 0)
    assert store.has_room()
    if small.is_mounted:
        ballast = folder / BALLAST
        ballast.write_bytes(bytes(13 * MIB))
        assert not store.has_room(), "a little room would be used up in a moment"
        small.fill(os.getpid())
        assert not store.has_room()
        with pytest.raises(StoreFull):
            store._database.probe()
        small.clear(None)
        assert store.has_room()
    else:
        not_tried(NO_DISK)
    store.write(None, [entry_with(store.last(), 10)], 1)
    assert found(store, 10)
    store.close()
    assert (folder / FILE_NAME).exists()
