"""The token index against a plain dict, with keys that collide in their high halves."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.naive import block_of, digest_of
from tvault.model.commands import Block
from tvault.store.index import (
    ABSENT,
    PLACE_BITS,
    Batch,
    EntrySize,
    Keep,
    Keys,
    Run,
    TokenIndex,
    mask,
    merged,
    sorted_run,
)
from tvault.store.ports import StoreViolation

HALVES = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1])
PAIRS = st.tuples(HALVES, HALVES)


def keys_of(pairs: Iterable[tuple[int, int]]) -> Keys:
    return np.array(list(pairs), dtype=np.uint64).reshape(-1, 2)


def run_of(spots: dict[tuple[int, int], int]) -> Run:
    return sorted_run(keys_of(spots), np.array(list(spots.values()), dtype=np.int64))


def look(run: Run, pairs: list[tuple[int, int]]) -> list[int]:
    return [int(spot) for spot in run.find(keys_of(sorted(pairs)))]


def digest_with_key(owner: str, high: int, low: int) -> bytes:
    """The digest whose key is (high, low): what masks it, masks it back."""
    key = ((high << 64) | low) ^ int.from_bytes(mask(owner, 1), "big")
    return digest_of(key)


class Written:
    """An index and the blocks that were written to it, one entry a block."""

    def __init__(self, run_tokens: int = 4, largest_run: int = 2**20) -> None:
        self.index = TokenIndex(run_tokens, largest_run)
        self.count = 0

    def add(self, block: Block, keep: int | None = None) -> None:
        """Cut after `keep` if given (entry and block id have the same number), then add `block`."""
        cut = Keep(keep or 0, keep or 0, cuts=keep is not None)
        key = self.count + 1
        batch = self.index.judge([block], [key], self.count if keep is None else keep)
        self.count = key
        self.index.apply(cut, batch, [EntrySize(key, key, len(block))], key)


@given(spots=st.dictionaries(PAIRS, st.integers(0, 2**40)), asked=st.lists(PAIRS))
def test_a_run_finds_exactly_its_tokens_even_when_high_halves_are_equal(
    spots: dict[tuple[int, int], int], asked: list[tuple[int, int]]
) -> None:
    assert look(run_of(spots), asked) == [spots.get(pair, ABSENT) for pair in sorted(asked)]


@given(st.dictionaries(PAIRS, st.integers(0, 2**40)), st.dictionaries(PAIRS, st.integers(0, 2**40)))
def test_two_runs_merge_into_the_run_of_both_or_share_a_token(
    older: dict[tuple[int, int], int], newer: dict[tuple[int, int], int]
) -> None:
    if older.keys() & newer.keys():
        with pytest.raises(StoreViolation):
            merged(run_of(older), run_of(newer))
        return
    both = merged(run_of(older), run_of(newer))
    everything = sorted({**older, **newer})
    assert look(both, everything) == [{**older, **newer}[pair] for pair in everything]
    assert len(both) == len(everything)


def test_a_run_refuses_a_token_that_stands_in_it_twice() -> None:
    with pytest.raises(StoreViolation):
        sorted_run(keys_of([(1, 2), (3, 4), (1, 2)]), np.arange(3))


@pytest.mark.parametrize("settle", [False, True])
def test_tokens_with_equal_high_halves_are_told_apart_everywhere(*, settle: bool) -> None:
    written = Written()
    digests = [digest_with_key("anna", 7, low) for low in (5, 0, 2**64 - 1, 6)]
    written.add(block_of("anna", 1, digests))
    if settle:
        written.index.settle(1)
        assert len(written.index.snapshot.runs) == 1
    absent = digest_with_key("anna", 7, 4)
    spots = written.index.snapshot.find("anna", 1, b"".join([*digests, absent]))
    assert spots.tolist() == [(1 << PLACE_BITS) | place for place in range(4)] + [ABSENT]


@given(
    owners=st.lists(st.tuples(st.text(max_size=9), st.integers(0, 2**63 - 1)), min_size=2, unique=True)
)
def test_no_two_owners_or_epochs_share_a_mask(owners: list[tuple[str, int]]) -> None:
    assert len({mask(owner, epoch) for owner, epoch in owners}) == len(owners)


def test_the_dict_and_the_runs_hold_masked_digests_only() -> None:
    written = Written()
    digests = [digest_of(number) for number in range(1, 5)]
    written.add(block_of("anna", 1, digests))
    assert not written.index.snapshot.recent.keys() & set(digests)
    assert all(len(name) == 16 for name in written.index.snapshot.recent)


def test_settled_tokens_leave_the_dict_and_stay_found() -> None:
    written = Written(run_tokens=8)
    for number in range(100):
        written.add(block_of("anna", 1, [digest_of(3 * number + place) for place in range(3)]))
        written.index.settle(number - 2)
    snapshot = written.index.snapshot
    assert len(snapshot.recent) <= 8 + 3 * 4
    assert len(snapshot.runs) <= 8
    everything = b"".join(digest_of(number) for number in range(301))
    expected = [((n // 3 + 1) << PLACE_BITS) | n % 3 for n in range(300)]
    assert snapshot.find("anna", 1, everything).tolist() == [*expected, ABSENT]


def test_runs_grow_no_larger_than_they_may() -> None:
    written = Written(run_tokens=4, largest_run=32)
    for number in range(64):
        written.add(block_of("anna", 1, [digest_of(4 * number + place) for place in range(4)]))
        written.index.settle(number + 1)
    sizes = [len(run) for run in written.index.snapshot.runs]
    assert sum(sizes) == 256
    assert max(sizes) <= 32
    assert len(sizes) < 20


def test_a_cut_forgets_tokens_of_the_dict_and_they_may_come_again() -> None:
    written = Written()
    written.add(block_of("anna", 1, [digest_of(1)]))
    written.add(block_of("anna", 1, [digest_of(2)]))
    written.add(block_of("anna", 1, [digest_of(3), digest_of(2)]), keep=1)
    spots = written.index.snapshot.find("anna", 1, digest_of(1) + digest_of(2) + digest_of(3))
    assert [spot >> PLACE_BITS for spot in spots.tolist()] == [1, 3, 3]


def test_what_was_cut_is_never_settled() -> None:
    written = Written(run_tokens=2)
    written.add(block_of("anna", 1, [digest_of(1)]))
    written.add(block_of("anna", 1, [digest_of(2)]))
    written.add(block_of("anna", 1, [digest_of(3)]), keep=1)
    written.index.settle(3)
    (run,) = written.index.snapshot.runs
    assert sorted(spot >> PLACE_BITS for spot in run.spots.tolist()) == [1, 3]


@pytest.mark.parametrize("settled", [0, 1])
def test_a_token_that_stands_already_is_refused(settled: int) -> None:
    written = Written(run_tokens=1)
    written.add(block_of("anna", 1, [digest_of(1)]))
    written.index.settle(settled)
    with pytest.raises(StoreViolation):
        written.add(block_of("anna", 1, [digest_of(9), digest_of(1)]))
    assert written.index.snapshot.find("anna", 1, digest_of(9)).tolist() == [ABSENT]


def test_an_older_snapshot_shows_nothing_that_came_after_it() -> None:
    written = Written()
    written.add(block_of("anna", 1, [digest_of(1)]))
    older = written.index.snapshot
    written.add(block_of("anna", 1, [digest_of(2)]))
    assert older.find("anna", 1, digest_of(2)).tolist() == [ABSENT]
    assert older.find("anna", 1, digest_of(1)).tolist() != [ABSENT]


def test_an_older_snapshot_goes_on_finding_what_was_settled_since() -> None:
    written = Written(run_tokens=1)
    written.add(block_of("anna", 1, [digest_of(1)]))
    older = written.index.snapshot
    written.index.settle(1)
    assert older.find("anna", 1, digest_of(1)).tolist() == [1 << PLACE_BITS]


def test_a_loaded_index_is_the_one_that_was_written() -> None:
    blocks = [block_of("anna", 1, [digest_of(4 * n + place) for place in range(4)]) for n in range(50)]
    index = TokenIndex(largest_run=64)
    for at in range(0, 50, 5):
        index.load(blocks[at : at + 5], [2 * n + 1 for n in range(at, at + 5)])
    everything = b"".join(digest_of(number) for number in range(201))
    expected = [((2 * (n // 4) + 1) << PLACE_BITS) | n % 4 for n in range(200)]
    assert index.snapshot.find("anna", 1, everything).tolist() == [*expected, ABSENT]
    assert index.snapshot.settled_top == 99


def test_loading_a_token_twice_is_refused_in_whatever_run_it_is() -> None:
    index = TokenIndex(largest_run=1)
    for number in range(8):
        index.load([block_of("anna", 1, [digest_of(number)])], [number + 1])
    with pytest.raises(StoreViolation):
        index.load([block_of("anna", 1, [digest_of(3)])], [9])


def test_a_batch_without_tokens_changes_nothing() -> None:
    index = TokenIndex()
    batch = index.judge([], [], 0)
    assert isinstance(batch, Batch)
    index.apply(Keep(0, 0, cuts=False), batch, [EntrySize(1, 0, 0)], 0)
    index.settle(1)
    assert index.snapshot.find("anna", 1, b"").tolist() == []
