"""The promise file under torn writes, flipped bits, cut ends and failed syncs."""

from __future__ import annotations

import errno
import os
import random
import re
from pathlib import Path

import pytest

from tvault.errors import VaultError
from tvault.replication.entry import Position
from tvault.replication.promise import Promise, Standing
from tvault.store import promise as promise_module
from tvault.store.failures import PromiseDamaged, StoreBroken, StoreClosed
from tvault.store.promise import SLOT_BYTES, PromiseFile


def promised(view: int, seq: int = 0) -> Promise:
    return Promise(
        cluster="c1",
        ensemble=("n1", "n2", "n3"),
        node="n2",
        keys="0123456789abcdef",
        incarnation="0f3a",
        boot=4,
        standing=Standing.VOTER,
        set_aside=True,
        promised=view,
        mark=Position(seq=seq, view=view, digest=bytes(range(32))),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "promise"


def created(path: Path) -> PromiseFile:
    file = PromiseFile(path)
    file.create(promised(1))
    return file


def loaded(path: Path) -> Promise | None:
    file = PromiseFile(path)
    try:
        return file.load()
    finally:
        file.close()


def refuse(_: int) -> None:
    raise OSError(errno.EIO, "no sync")


def test_a_missing_file_holds_no_promise(path: Path) -> None:
    assert loaded(path) is None


def test_a_promise_comes_back_with_every_field(path: Path) -> None:
    created(path).close()
    assert loaded(path) == promised(1)


def test_a_new_file_has_both_slots_and_is_for_its_owner_alone(path: Path) -> None:
    created(path).close()
    assert path.stat().st_size == 2 * SLOT_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["promise"]


def test_a_file_that_exists_is_not_created_again(path: Path) -> None:
    created(path).close()
    with pytest.raises(FileExistsError):
        PromiseFile(path).create(promised(9))
    assert loaded(path) == promised(1)


def test_a_half_made_file_counts_as_none(path: Path) -> None:
    path.with_name("promise.new").write_bytes(b"half")
    assert loaded(path) is None
    created(path).close()
    assert loaded(path) == promised(1)


def test_the_last_promise_written_is_loaded_whether_synced_or_not(path: Path) -> None:
    file = created(path)
    for view in range(2, 12):
        file.write(promised(view), sync=view % 3 == 0)
        assert loaded(path) == promised(view)
    file.close()


def test_a_file_that_was_loaded_is_written_on(path: Path) -> None:
    created(path).close()
    for view in range(2, 9):
        file = PromiseFile(path)
        assert file.load() == promised(view - 1)
        file.write(promised(view), sync=view % 2 == 0)
        file.close()


def test_a_closed_or_unopened_file_takes_no_promise(path: Path) -> None:
    file = created(path)
    file.close()
    file.close()
    for unusable in (file, PromiseFile(path)):
        with pytest.raises(StoreClosed):
            unusable.write(promised(2), sync=True)


@pytest.mark.parametrize("sync", [False, True])
def test_a_write_torn_at_any_length_leaves_the_old_or_the_new_promise(path: Path, *, sync: bool) -> None:
    file = created(path)
    file.write(promised(2), sync=True)
    before = path.read_bytes()
    file.write(promised(3), sync=sync)
    file.close()
    after = path.read_bytes()
    images = {
        before[:at] + after[at : at + length] + before[at + length :]
        for at in (0, SLOT_BYTES)
        for length in range(SLOT_BYTES + 1)
    }
    assert len(images) > 30
    for torn in images:
        path.write_bytes(torn)
        assert loaded(path) in (promised(2), promised(3))


class Disk:
    """Syncs the file, and remembers what was on the disk then and which promises may come back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = path.read_bytes()
        self.may_come_back: list[Promise | None] = [promised(1)]

    def fsync(self, handle: int) -> None:
        os.fsync(handle)
        self.content = self.path.read_bytes()
        self.may_come_back = [loaded(self.path)]


@pytest.mark.parametrize("seed", range(20))
def test_a_power_cut_never_costs_more_than_what_was_not_synced(path: Path, seed: int) -> None:
    """Whatever part of the unsynced bytes reached the disk, the last synced promise is the oldest."""
    dice = random.Random(seed)
    created(path).close()
    disk = Disk(path)
    file = PromiseFile(path, disk.fsync)
    file.load()
    for view in range(2, 60):
        sync = dice.random() < 0.2
        file.write(promised(view), sync=sync)
        if sync:
            assert disk.may_come_back == [promised(view)]
        disk.may_come_back.append(promised(view))
        if dice.random() < 0.1:
            file.sync()
        if dice.random() < 0.2:  # the process dies, the machine goes on
            file.close()
            file = PromiseFile(path, disk.fsync)
            file.load()
        written = path.read_bytes()
        for _ in range(5):
            path.write_bytes(mixed(dice, disk.content, written))
            assert loaded(path) in disk.may_come_back
        path.write_bytes(written)
    file.close()


def mixed(dice: random.Random, old: bytes, new: bytes) -> bytes:
    """Sectors of either, at random: what a power cut may leave of unsynced pages."""
    sectors = range(0, len(new), 512)
    return b"".join(dice.choice((old, new))[at : at + 512] for at in sectors)


@pytest.mark.parametrize("marks", [0, 1, 2])
def test_damage_to_one_slot_never_brings_an_older_promise_back(path: Path, marks: int) -> None:
    file = created(path)
    for view in range(2, 6):
        file.write(promised(view), sync=True)
    for mark in range(marks):
        file.write(promised(5, seq=80 + mark), sync=False)
    file.close()
    whole = path.read_bytes()
    for byte in range(0, 2 * SLOT_BYTES, 31):
        flipped = bytearray(whole)
        flipped[byte] ^= 1 << (byte % 8)
        path.write_bytes(flipped)
        found = loaded(path)
        assert found is not None
        assert found.promised == 5


def test_any_flipped_bit_spoils_its_slot(path: Path) -> None:
    created(path).close()
    whole = path.read_bytes()
    other = bytes(SLOT_BYTES)
    for byte in range(SLOT_BYTES):
        flipped = bytearray(whole[:SLOT_BYTES] + other)
        flipped[byte] ^= 1 << (byte % 8)
        path.write_bytes(flipped)
        with pytest.raises(PromiseDamaged):
            loaded(path)


def test_a_file_cut_short_keeps_its_first_slot_or_is_damaged(path: Path) -> None:
    created(path).close()
    whole = path.read_bytes()
    for length in range(0, 2 * SLOT_BYTES, 61):
        path.write_bytes(whole[:length])
        if length < SLOT_BYTES:
            with pytest.raises(PromiseDamaged):
                loaded(path)
        else:
            assert loaded(path) == promised(1)


def test_a_slot_in_the_other_ones_place_is_no_slot(path: Path) -> None:
    created(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[SLOT_BYTES:] + whole[:SLOT_BYTES])
    with pytest.raises(PromiseDamaged):
        loaded(path)


def test_a_promise_of_a_newer_format_is_refused_not_forgotten(path: Path) -> None:
    created(path).close()
    newer = bytearray(path.read_bytes()[:SLOT_BYTES])
    newer[9] = 2
    newer[-32:] = promise_module._checksum(bytes(newer[:-32]))
    path.write_bytes(newer)
    why = f"{path} was written by another tvault: its format is 2, this one knows 1"
    with pytest.raises(VaultError, match=re.escape(why)) as refusal:
        loaded(path)
    assert refusal.value.code == "configuration"


def test_after_a_failed_sync_the_file_is_not_trusted_again(path: Path) -> None:
    created(path).close()
    broken = [True]

    def fsync(handle: int) -> None:
        if broken[0]:
            refuse(handle)

    file = PromiseFile(path, fsync)
    file.load()
    with pytest.raises(StoreBroken):
        file.write(promised(2), sync=True)
    broken[0] = False
    with pytest.raises(StoreBroken):
        file.sync()
    with pytest.raises(StoreBroken):
        file.write(promised(3), sync=False)
    file.close()


def test_after_a_failed_write_the_file_is_not_trusted_again(path: Path) -> None:
    file = created(path)
    assert file._handle is not None
    unseekable, writing = os.pipe()
    kept = os.dup(file._handle)
    os.dup2(writing, file._handle)  # the kernel refuses to write to a pipe at an offset
    with pytest.raises(StoreBroken):
        file.write(promised(2), sync=False)
    os.dup2(kept, file._handle)
    with pytest.raises(StoreBroken):
        file.write(promised(3), sync=True)
    file.close()
    for handle in (kept, unseekable, writing):
        os.close(handle)
    assert loaded(path) == promised(1)


def test_a_loaded_promise_is_made_durable_before_the_other_slot_is_touched(path: Path) -> None:
    """A process that died may have left the newest slot in the page cache alone."""
    file = created(path)
    file.write(promised(2), sync=False)
    file.close()
    before = path.read_bytes()
    again = PromiseFile(path, refuse)
    again.load()
    with pytest.raises(StoreBroken):
        again.write(promised(3), sync=False)
    again.close()
    assert path.read_bytes() == before


def test_a_promise_that_does_not_fit_is_refused_and_the_old_one_stays(path: Path) -> None:
    file = created(path)
    with pytest.raises(ValueError, match="bytes"):
        file.write(
            Promise(cluster="c" * 5000, ensemble=(), node="n", keys="k", incarnation="i"), sync=True
        )
    file.close()
    assert loaded(path) == promised(1)
