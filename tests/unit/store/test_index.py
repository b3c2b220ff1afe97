"""The token index against a plain dict, with keys that collide in their high halves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.naive import block_of, digest_of, rows_entry
from tvault.model.commands import Block
from tvault.replication.entry import ORIGIN, Position
from tvault.store.index import Keep, TokenIndex
from tvault.store.masked import ABSENT, PLACE_BITS, SECRET_BYTES, Masks
from tvault.store.opening import keep_masks
from tvault.store.ports import StoreViolation
from tvault.store.records import Stored

IDLE_SECONDS = 20.0

MASKS = Masks(bytes(SECRET_BYTES))


def digest_with_key(owner: str, high: int, low: int) -> bytes:
    """The digest whose key is (high, low): what masks it, masks it back."""
    key = ((high << 64) | low) ^ int.from_bytes(MASKS.mask(owner, 1), "big")
    return digest_of(key)


class NoJournal:
    """A journal that nobody has to read."""

    def position(self, seq: int) -> Position | None:
        return ORIGIN if seq == 0 else None

    def entries(self, after: Position, until: int) -> Iterator[Stored]:
        raise AssertionError(f"nothing was damaged, and yet entries {after.seq} to {until} are read")

    def top_block(self, seq: int) -> int:
        return seq

    def tokens_after(self, _: int) -> int:
        return 0


class Written:
    """An index and the blocks that were written to it, one entry a block; both have the same number."""

    def __init__(self, folder: Path, run_tokens: int = 4) -> None:
        (folder / "index").mkdir()
        keep_masks(folder / "index", MASKS)
        self.index = TokenIndex(folder / "index", NoJournal(), 0, run_tokens)
        self.positions = [ORIGIN]
        self.top = 0

    def add(self, block: Block, keep: int | None = None) -> None:
        """Cut after `keep` if given, then add `block`."""
        end = len(self.positions) - 1 if keep is None else keep
        position = self.positions[end]
        self.top += 1
        batch = self.index.judge([block], [self.top], self.top - 1 if keep is None else keep)
        last = rows_entry(position, [block]).position
        self.positions[end + 1 :] = [last]
        cut = Keep(position, keep or 0, cuts=keep is not None)
        self.index.apply(cut, batch, [], last, self.top)

    def settle(self, committed: int) -> None:
        """Settle, and wait until all that follows from it is done."""
        self.index.settle(committed)
        assert self.index.wait_until_idle(IDLE_SECONDS)

    def find(self, *digests: bytes) -> list[int]:
        """The spots of digests of anna's."""
        spots: list[int] = self.index.snapshot.find("anna", 1, b"".join(digests)).tolist()
        return spots


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    written = Written(tmp_path)
    yield written
    written.index.close()


@pytest.mark.parametrize("settle", [False, True])
def test_tokens_with_equal_high_halves_are_told_apart_everywhere(
    written: Written, *, settle: bool
) -> None:
    digests = [digest_with_key("anna", 7, low) for low in (5, 0, 2**64 - 1, 6)]
    written.add(block_of("anna", 1, digests))
    if settle:
        written.settle(1)
        assert len(written.index.snapshot.runs) == 1
    absent = digest_with_key("anna", 7, 4)
    assert written.find(*digests, absent) == [(1 << PLACE_BITS) | place for place in range(4)] + [ABSENT]


@given(
    owners=st.lists(st.tuples(st.text(max_size=9), st.integers(0, 2**63 - 1)), min_size=2, unique=True)
)
def test_no_two_owners_or_epochs_share_a_mask(owners: list[tuple[str, int]]) -> None:
    assert len({MASKS.mask(owner, epoch) for owner, epoch in owners}) == len(owners)


def test_no_two_stores_share_a_mask() -> None:
    secrets = [bytes(SECRET_BYTES), bytes(SECRET_BYTES - 1) + b"\1"]
    assert len({Masks(secret).mask("anna", 1) for secret in secrets}) == len(secrets)
    assert len({Masks(secret).name for secret in secrets}) == len(secrets)


def test_masks_do_not_tell_their_secret() -> None:
    masks = Masks(b"0123456789abcdef")
    assert "0123" not in repr(masks)
    assert masks.secret.hex() not in repr(masks)


def test_neither_memory_nor_files_hold_plain_digests(written: Written) -> None:
    digests = [digest_of((1 << 127) // 3 + number) for number in range(1, 5)]
    written.add(block_of("anna", 1, digests))
    (generation, _) = written.index.snapshot.generations
    assert not set(generation.tokens()[0].names()) & set(digests)
    written.settle(1)
    (run,) = written.index.snapshot.runs
    content = run.path.read_bytes()
    assert not any(digest in content or digest[::-1] in content for digest in digests)


def test_settled_tokens_leave_the_memory_and_stay_found(written: Written) -> None:
    for number in range(100):
        written.add(block_of("anna", 1, [digest_of(3 * number + place) for place in range(3)]))
        written.settle(number - 2)
    snapshot = written.index.snapshot
    assert sum(map(len, snapshot.generations)) <= 4 * 5
    assert len(snapshot.runs) <= 12
    expected = [((n // 3 + 1) << PLACE_BITS) | n % 3 for n in range(300)]
    assert written.find(*(digest_of(number) for number in range(301))) == [*expected, ABSENT]


def test_a_cut_forgets_tokens_of_the_memory_and_they_may_come_again(written: Written) -> None:
    written.add(block_of("anna", 1, [digest_of(1)]))
    written.add(block_of("anna", 1, [digest_of(2)]))
    written.add(block_of("anna", 1, [digest_of(3), digest_of(2)]), keep=1)
    spots = written.find(digest_of(1), digest_of(2), digest_of(3))
    assert [spot >> PLACE_BITS for spot in spots] == [1, 3, 3]


@pytest.mark.parametrize("keep", range(1, 8))
def test_a_cut_anywhere_leaves_what_stands_before_it(written: Written, keep: int) -> None:
    """Generations end after two entries each: a cut falls on their ends, between, and into the last."""
    for number in range(7):
        written.add(block_of("anna", 1, [digest_of(2 * number), digest_of(2 * number + 1)]))
    written.settle(min(keep, 2))
    written.add(block_of("anna", 1, [digest_of(100)]), keep=keep)
    spots = written.find(*(digest_of(number) for number in range(14)), digest_of(100))
    expected = [n // 2 + 1 if n < 2 * keep else ABSENT for n in range(14)]
    assert [spot >> PLACE_BITS if spot != ABSENT else ABSENT for spot in spots] == [*expected, 8]
    written.settle(keep + 1)
    assert written.find(*(digest_of(number) for number in range(14)), digest_of(100)) == spots


def test_only_what_is_settled_becomes_a_run(written: Written) -> None:
    for number in range(6):
        written.add(block_of("anna", 1, [digest_of(2 * number), digest_of(2 * number + 1)]))
    for committed, runs in ((1, 0), (2, 1), (3, 1), (5, 2), (6, 3)):
        written.settle(committed)
        assert len(written.index.snapshot.runs) == runs


def test_what_was_handed_over_is_added_to_no_more_though_a_cut_ends_where_it_does(
    tmp_path: Path,
) -> None:
    written = Written(tmp_path)
    in_the_way = tmp_path / "index" / f"{0:020d}-{2:020d}.part"
    in_the_way.mkdir()  # so that the run is not made, and its generation stays
    for number in range(3):
        written.add(block_of("anna", 1, [digest_of(2 * number), digest_of(2 * number + 1)]))
    written.index.settle(2)
    written.add(block_of("anna", 1, [digest_of(9)]), keep=2)
    first, newest = written.index.snapshot.generations
    assert (len(first), first.last) == (4, written.positions[2])
    assert (len(newest), newest.last) == (1, written.positions[3])
    written.index.close()


def test_what_was_cut_is_never_in_a_run(tmp_path: Path) -> None:
    written = Written(tmp_path, run_tokens=2)
    written.add(block_of("anna", 1, [digest_of(1)]))
    written.add(block_of("anna", 1, [digest_of(2)]))
    written.add(block_of("anna", 1, [digest_of(3)]), keep=1)
    written.settle(2)
    (run,) = written.index.snapshot.runs
    assert sorted(spot >> PLACE_BITS for spot in run.columns.spots.tolist()) == [1, 3]
    assert run.stretch.last == written.positions[2]
    written.index.close()


@pytest.mark.parametrize("settled", [0, 1])
def test_a_token_that_stands_already_is_refused(tmp_path: Path, settled: int) -> None:
    written = Written(tmp_path, run_tokens=1)
    written.add(block_of("anna", 1, [digest_of(1)]))
    written.settle(settled)
    with pytest.raises(StoreViolation):
        written.add(block_of("anna", 1, [digest_of(9), digest_of(1)]))
    with pytest.raises(StoreViolation):
        written.add(block_of("anna", 1, [digest_of(9), digest_of(9)]))
    assert written.find(digest_of(9)) == [ABSENT]
    written.index.close()


def test_a_token_that_a_merge_finds_twice_stops_the_writer(tmp_path: Path) -> None:
    """As a defect of the judge would let it in: the runs are what catches it at last."""
    written = Written(tmp_path, run_tokens=1)
    for number in (1, 2, 3, 1):
        block = block_of("anna", 1, [digest_of(number)])
        position = written.positions[-1]
        batch = TokenIndex(tmp_path / "other", NoJournal(), 0).judge([block], [written.top + 1], 0)
        written.top += 1
        written.positions.append(rows_entry(position, [block]).position)
        keep = Keep(position, 0, cuts=False)
        written.index.apply(keep, batch, [], written.positions[-1], written.top)
    written.settle(4)
    with pytest.raises(StoreViolation, match="twice"):
        written.index.settle(4)
    written.index.close()


def test_an_older_snapshot_shows_nothing_that_came_after_it(written: Written) -> None:
    written.add(block_of("anna", 1, [digest_of(1)]))
    older = written.index.snapshot
    written.add(block_of("anna", 1, [digest_of(2)]))
    assert older.find("anna", 1, digest_of(2)).tolist() == [ABSENT]
    assert older.find("anna", 1, digest_of(1)).tolist() != [ABSENT]


def test_an_older_snapshot_goes_on_finding_what_was_settled_and_merged_since(tmp_path: Path) -> None:
    written = Written(tmp_path, run_tokens=1)
    older = []
    for number in range(1, 10):
        written.add(block_of("anna", 1, [digest_of(number)]))
        older.append(written.index.snapshot)
        written.settle(number)
        older.append(written.index.snapshot)
    for number, snapshot in enumerate(older):
        known = number // 2 + 1
        spots = snapshot.find("anna", 1, b"".join(digest_of(n) for n in range(1, 11)))
        assert [spot >> PLACE_BITS for spot in spots.tolist()] == [
            n if n <= known else ABSENT for n in range(1, 11)
        ]
    written.index.close()


def test_a_batch_without_tokens_changes_nothing(written: Written) -> None:
    batch = written.index.judge([], [], 0)
    written.index.apply(Keep(ORIGIN, 0, cuts=False), batch, [], ORIGIN, 0)
    written.settle(1)
    assert written.find() == []
    assert np.array_equal(batch.spots, np.array([], dtype=np.int64))
