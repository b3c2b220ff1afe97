"""Run files: what they find, what damage they notice, and how they are chosen to be merged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvault.replication.entry import ORIGIN, Position
from tvault.store.building import (
    FAN_IN,
    NO_EPOCHS,
    first_to_merge,
    in_parts,
    joint_stretch,
    write_run,
)
from tvault.store.masked import ABSENT, Keys
from tvault.store.ports import StoreViolation
from tvault.store.runs import Columns, Run, RunDamaged, Stretch, open_run

HALVES = st.one_of(st.sampled_from([0, 1, 2, 2**63, 2**64 - 1]), st.integers(0, 2**64 - 1))
PAIRS = st.tuples(HALVES, HALVES)
TOKENS = st.dictionaries(PAIRS, st.integers(0, 2**40), max_size=60)

Tokens = dict[tuple[int, int], int]

MASKS = bytes(8)


def place(seq: int) -> Position:
    return Position(seq, 1, seq.to_bytes(32, "big"))


def columns_of(tokens: Tokens) -> Columns:
    pairs = np.array(list(tokens), dtype=np.uint64).reshape(-1, 2)
    return Columns(pairs[:, 0].copy(), pairs[:, 1].copy(), np.array(list(tokens.values()), np.int64))


def run_of(folder: Path, tokens: Tokens, after: int = 0, last: int = 1) -> Run:
    start = ORIGIN if after == 0 else place(after)
    stretch = Stretch(start, place(last), len(tokens), 1, last, NO_EPOCHS, MASKS)
    return write_run(folder, stretch, in_parts([columns_of(tokens)]))


def look(run: Run, pairs: list[tuple[int, int]]) -> list[int]:
    columns = columns_of(dict.fromkeys(pairs, 0))
    found = np.full(len(columns.high), ABSENT, dtype=np.int64)
    run.find_into(Keys(columns.high, columns.low), found)
    return [int(spot) for spot in found]


@settings(max_examples=60)
@given(tokens=TOKENS, asked=st.lists(PAIRS, unique=True))
def test_a_run_finds_exactly_its_tokens_even_when_high_halves_are_equal(
    tmp_path_factory: pytest.TempPathFactory, tokens: Tokens, asked: list[tuple[int, int]]
) -> None:
    run = run_of(tmp_path_factory.mktemp("runs"), tokens)
    run.check()
    everything = list(dict.fromkeys([*asked, *tokens]))
    assert look(run, everything) == [tokens.get(pair, ABSENT) for pair in everything]
    again = open_run(run.path)
    assert look(again, everything) == look(run, everything)
    assert again.stretch == run.stretch


@settings(max_examples=60)
@given(older=TOKENS, newer=TOKENS)
def test_runs_merge_into_the_run_of_all_or_share_a_token(
    tmp_path_factory: pytest.TempPathFactory, older: Tokens, newer: Tokens
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    runs = [run_of(folder, older, 0, 1), run_of(folder, newer, 1, 2)]
    parts = in_parts([run.columns for run in runs])
    if older.keys() & newer.keys():
        with pytest.raises(StoreViolation):
            write_run(folder, joint_stretch(runs), parts)
        assert sorted(path.suffix for path in folder.iterdir()) == [".run", ".run"]
        return
    both = write_run(folder, joint_stretch(runs), parts)
    both.check()
    everything = sorted({**older, **newer})
    assert look(both, everything) == [{**older, **newer}[pair] for pair in everything]
    assert (both.stretch.after, both.stretch.last) == (ORIGIN, place(2))


def test_a_merge_of_many_tokens_is_written_in_parts_and_finds_all(tmp_path: Path) -> None:
    dice = np.random.default_rng(5)
    sources = []
    for number in range(3):
        high = np.sort(dice.integers(0, 2**64, 200_000, dtype=np.uint64))
        low = dice.integers(0, 2**64, 200_000, dtype=np.uint64)
        sources.append(Columns(high, low, np.arange(200_000) + 200_000 * number))
    parts = list(in_parts(sources))
    assert len(parts) > 4
    stretch = Stretch(ORIGIN, place(1), 600_000, 1, 1, NO_EPOCHS, MASKS)
    run = write_run(tmp_path, stretch, parts)
    run.check()
    assert (run.columns.high[1:] >= run.columns.high[:-1]).all()
    for source in sources:
        found = np.full(200_000, ABSENT, dtype=np.int64)
        run.find_into(Keys(source.high, source.low), found)
        assert np.array_equal(found, source.spots)
    unknown = np.full(200_000, ABSENT, dtype=np.int64)
    high = dice.integers(0, 2**64, 200_000, dtype=np.uint64)
    run.find_into(Keys(high, high), unknown)
    assert (unknown == ABSENT).all()


def test_a_run_refuses_a_token_that_stands_in_it_twice() -> None:
    tokens = Columns(
        np.array([1, 3, 1], np.uint64), np.array([2, 4, 2], np.uint64), np.arange(3, dtype=np.int64)
    )
    with pytest.raises(StoreViolation):
        list(in_parts([tokens]))


def test_damage_anywhere_in_a_file_is_noticed(tmp_path: Path) -> None:
    run = run_of(tmp_path, {(number << 58, number): number for number in range(40)})
    whole = run.path.read_bytes()
    unused = range(whole.index(b"\0" * 64), 512)  # the rest of the head
    for at in range(len(whole)):
        if at in unused:
            continue
        run.path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
        with pytest.raises(RunDamaged):
            open_run(run.path).check()
    for size in (0, 5, 511, 512, 513, len(whole) - 1):
        run.path.write_bytes(whole[:size])
        with pytest.raises(RunDamaged):
            open_run(run.path).check()
    run.path.write_bytes(whole + b"\0")
    with pytest.raises(RunDamaged):
        open_run(run.path).check()


@given(st.lists(st.integers(0, 2**17), min_size=1, max_size=400))
def test_merging_keeps_runs_few_and_writes_each_token_a_few_times(added: list[int]) -> None:
    sizes: list[int] = []
    written = 0
    for size in added:
        sizes.append(size)
        while (first := first_to_merge(sizes)) is not None:
            written += sum(sizes[first:])
            sizes[first:] = [sum(sizes[first:])]
    assert sum(sizes) == sum(added)
    tiers = sum(added).bit_length() // 2 + 1
    assert len(sizes) <= (FAN_IN - 1) * tiers
    assert written <= sum(added) * 2 * tiers
