"""What every store promises, checked on each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import pytest

from tests.conformance.conftest import OpenStore
from tests.conformance.naive import (
    EPOCHS,
    OWNERS,
    Dice,
    NaiveJournal,
    block_of,
    digest_of,
    resolved,
    rows_entry,
)
from tvault.model.commands import Block, EpochStart, Rows, encode_rows
from tvault.model.records import LOOK_BYTES, LookTooLong
from tvault.replication.entry import ORIGIN, Entry, Kind, Position, follow
from tvault.store.ports import Store, StoreViolation


def tokens(first: int, count: int) -> list[bytes]:
    return [digest_of(number) for number in range(first, first + count)]


def entry_with(previous: Position, digests: list[bytes]) -> Entry:
    return rows_entry(previous, [block_of("anna", 1, digests)])


@dataclass
class Shown:
    """Everything a store shows, to compare before and after."""

    last: Position
    entries: list[Entry]
    counts: tuple[int, int]
    hint: int

    @staticmethod
    def by(store: Store) -> Shown:
        return Shown(store.last(), list(store.entries(0, 10**9)), store.counts(), store.committed_hint())


def test_an_empty_store_stands_at_the_origin(store: Store) -> None:
    assert store.last() == ORIGIN
    assert store.position(0) == ORIGIN
    assert store.position(1) is None
    assert list(store.entries(0, 100)) == []
    assert store.committed_hint() == 0
    assert store.newest_epoch("anna") == (1, 0)
    assert store.exists("anna", 1, digest_of(1)) == 0
    assert resolved(store.find("anna", 1, digest_of(1))) == [None]
    assert store.counts() == (0, 0)


def test_a_written_token_is_found_with_its_block_its_place_and_its_entry(store: Store) -> None:
    barrier = follow(ORIGIN, 3, Kind.BARRIER, b"")
    first, second = block_of("anna", 1, tokens(1, 3)), block_of("anna", 1, tokens(4, 2))
    entry = rows_entry(barrier.position, [first, second])
    store.write(None, [barrier, entry], 1)
    places = store.find("anna", 1, b"".join(map(digest_of, (5, 9, 1, 2))))
    assert resolved(places) == [(second, 1), None, (first, 0), (first, 1)]
    assert len(places.blocks) == 2
    assert places.missing() == [1]
    assert places.seq == 2
    assert store.exists("anna", 1, digest_of(9) + digest_of(3)) == 2


def test_a_token_that_is_asked_for_twice_is_found_twice(store: Store) -> None:
    block = block_of("anna", 1, tokens(1, 1))
    store.write(None, [rows_entry(ORIGIN, [block])], 0)
    assert resolved(store.find("anna", 1, digest_of(1) + digest_of(1))) == [(block, 0), (block, 0)]


def test_the_highest_entry_that_brought_one_of_the_tokens_is_named(store: Store) -> None:
    first = entry_with(ORIGIN, tokens(1, 2))
    second = entry_with(first.position, tokens(3, 2))
    store.write(None, [first, second], 2)
    store.settle(1)
    assert store.exists("anna", 1, digest_of(1) + digest_of(2)) == 1
    assert store.exists("anna", 1, digest_of(4) + digest_of(1)) == 2
    assert store.find("anna", 1, digest_of(4) + digest_of(1)).seq == 2


def test_a_digest_is_found_only_under_its_own_owner_and_epoch(store: Store) -> None:
    store.write(None, [entry_with(ORIGIN, tokens(1, 40))], 1)
    store.settle(1)
    for owner, epoch in (("bert", 1), ("anna", 2), ("", 1)):
        assert store.find(owner, epoch, b"".join(tokens(1, 40))).missing() == list(range(40))
        assert store.exists(owner, epoch, digest_of(1)) == 0


def test_two_owners_may_hold_the_same_digest(store: Store) -> None:
    mine, theirs = block_of("anna", 1, tokens(1, 2)), block_of("bert", 1, tokens(1, 2))
    store.write(None, [rows_entry(ORIGIN, [mine, theirs])], 1)
    assert resolved(store.find("anna", 1, digest_of(2))) == [(mine, 1)]
    assert resolved(store.find("bert", 1, digest_of(2))) == [(theirs, 1)]


def test_a_digest_of_another_length_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        store.find("anna", 1, bytes(15))


@pytest.mark.parametrize("rows", [Rows(), Rows(epochs=(EpochStart("anna", 2),))])
def test_entries_come_back_as_they_were_written(open_store: OpenStore, rows: Rows) -> None:
    store = open_store()
    barrier = follow(ORIGIN, 7, Kind.BARRIER, b"")
    entry = follow(barrier.position, 7, Kind.ROWS, encode_rows(rows))
    store.write(None, [barrier, entry], 0)
    assert list(open_store().entries(0, 10**6)) == [barrier, entry]


def test_entries_are_given_out_up_to_the_size_asked_for_and_at_least_one(store: Store) -> None:
    written: list[Entry] = []
    for number in range(5):
        written.append(entry_with(written[-1].position if written else ORIGIN, tokens(10 * number, 4)))
    store.write(None, written, 0)
    size = len(written[0].body)
    assert list(store.entries(0, 0)) == written[:1]
    assert list(store.entries(1, 2 * size)) == written[1:3]
    assert list(store.entries(1, 3 * size - 1)) == written[1:3]
    assert list(store.entries(3, 10**6)) == written[3:]
    assert list(store.entries(5, 10**6)) == []
    assert list(store.entries(9, 10**6)) == []


def test_a_cut_takes_back_everything_that_its_entries_brought(store: Store) -> None:
    first = rows_entry(ORIGIN, [block_of("anna", 1, tokens(1, 2))], [EpochStart("anna", 2)])
    second = rows_entry(first.position, [block_of("anna", 2, tokens(1, 2))], [EpochStart("anna", 3)])
    store.write(None, [first, second], 1)
    store.write(1, [], 1)
    assert store.last() == first.position
    assert store.position(2) is None
    assert store.newest_epoch("anna") == (2, 1)
    assert store.exists("anna", 2, digest_of(1)) == 0
    assert resolved(store.find("anna", 2, digest_of(1) + digest_of(2))) == [None, None]
    assert store.find("anna", 1, digest_of(1) + digest_of(2)).missing() == []
    assert store.counts() == (1, 2)


def test_a_cut_and_what_takes_its_place_are_one_write(store: Store) -> None:
    first = entry_with(ORIGIN, tokens(1, 2))
    dead = entry_with(first.position, tokens(3, 2))
    store.write(None, [first, dead], 1)
    block = block_of("anna", 1, [digest_of(4), digest_of(3)], b"other")
    instead = rows_entry(first.position, [block], view=9)
    store.write(1, [instead], 1)
    assert store.last() == instead.position
    assert resolved(store.find("anna", 1, digest_of(3) + digest_of(4))) == [(block, 1), (block, 0)]
    assert store.counts() == (2, 4)


def test_what_is_committed_is_not_cut(store: Store) -> None:
    first = entry_with(ORIGIN, tokens(1, 2))
    second = entry_with(first.position, tokens(3, 2))
    third = entry_with(second.position, tokens(5, 2))
    store.write(None, [first, second, third], 1)
    before = Shown.by(store)
    with pytest.raises(StoreViolation, match="committed"):
        store.write(0, [], 1)
    store.settle(2)
    with pytest.raises(StoreViolation, match="committed"):
        store.write(1, [], 1)
    assert Shown.by(store) == before


def test_a_commit_position_beyond_the_end_settles_nothing(store: Store) -> None:
    """The entries that are held may be a dead suffix, which is cut before the committed ones come."""
    dead = entry_with(ORIGIN, tokens(1, 30))
    store.write(None, [dead], 0)
    store.settle(5)
    instead = rows_entry(ORIGIN, [block_of("anna", 1, tokens(1, 30))], view=2)
    store.write(0, [instead], 1)
    assert store.last() == instead.position
    assert store.find("anna", 1, b"".join(tokens(1, 30))).missing() == []


def test_the_commit_hint_never_falls_and_never_passes_the_end(open_store: OpenStore) -> None:
    store = open_store()
    first = entry_with(ORIGIN, tokens(1, 2))
    second = entry_with(first.position, tokens(3, 2))
    store.write(None, [first], 5)
    assert store.committed_hint() == 0
    store.write(None, [second], 1)
    store.write(None, [], 0)
    assert open_store().committed_hint() == 1
    open_store().write(None, [], 2)
    assert open_store().committed_hint() == 2


def test_the_commit_hint_survives_a_cut(open_store: OpenStore) -> None:
    store = open_store()
    first = entry_with(ORIGIN, tokens(1, 2))
    second = entry_with(first.position, tokens(3, 2))
    store.write(None, [first], 0)
    store.write(None, [second], 1)
    store.write(1, [], 0)
    assert open_store().committed_hint() == 1


def broken_digest(last: Position) -> list[Entry]:
    return [msgspec.structs.replace(entry_with(last, tokens(50, 1)), digest=bytes(32))]


def gap(last: Position) -> list[Entry]:
    missing = entry_with(last, tokens(50, 1))
    return [entry_with(missing.position, tokens(60, 1))]


def other_history(_: Position) -> list[Entry]:
    return [entry_with(Position(seq=1, view=1, digest=bytes(32)), tokens(50, 1))]


def no_rows(last: Position) -> list[Entry]:
    return [follow(last, 1, Kind.ROWS, b"\xc1")]


def empty_body(last: Position) -> list[Entry]:
    return [follow(last, 1, Kind.ROWS, b"")]


def barrier_with_rows(last: Position) -> list[Entry]:
    return [follow(last, 1, Kind.BARRIER, encode_rows(Rows()))]


def half_a_digest(last: Position) -> list[Entry]:
    return [rows_entry(last, [block_of("anna", 1, [bytes(8)])])]


def empty_block(last: Position) -> list[Entry]:
    return [rows_entry(last, [block_of("anna", 1, [])])]


def huge_epoch(last: Position) -> list[Entry]:
    return [rows_entry(last, [], [EpochStart("anna", 2**63)])]


def token_of_before(last: Position) -> list[Entry]:
    return [entry_with(last, tokens(2, 1))]


def token_twice_in_one_entry(last: Position) -> list[Entry]:
    return [rows_entry(last, [block_of("anna", 1, tokens(70, 1)), block_of("anna", 1, tokens(70, 2))])]


def token_in_two_entries(last: Position) -> list[Entry]:
    first = entry_with(last, tokens(70, 1))
    return [first, entry_with(first.position, tokens(70, 1))]


@pytest.mark.parametrize("settled", [0, 1])
@pytest.mark.parametrize(
    "wrong",
    [
        broken_digest,
        gap,
        other_history,
        no_rows,
        empty_body,
        barrier_with_rows,
        half_a_digest,
        empty_block,
        huge_epoch,
        token_of_before,
        token_twice_in_one_entry,
        token_in_two_entries,
    ],
)
def test_an_entry_that_breaks_a_rule_is_refused_and_nothing_is_written(
    store: Store, wrong: Callable[[Position], list[Entry]], settled: int
) -> None:
    first = entry_with(ORIGIN, tokens(1, 30))
    store.write(None, [first], 0)
    store.settle(settled)
    before = Shown.by(store)
    good = entry_with(first.position, tokens(40, 1))
    for written in (wrong(first.position), [good, *wrong(good.position)]):
        with pytest.raises(StoreViolation):
            store.write(None, written, 1)
        assert Shown.by(store) == before
        assert store.exists("anna", 1, b"".join(tokens(31, 99))) == 0
    store.write(None, [good], 1)
    assert store.last() == good.position


def test_a_refusal_names_no_token(store: Store) -> None:
    secret = bytes(range(16))
    first = entry_with(ORIGIN, [secret])
    store.write(None, [first], 0)
    with pytest.raises(StoreViolation) as refusal:
        store.write(None, [entry_with(first.position, [secret])], 0)
    assert secret.hex() not in repr(refusal.value)
    assert repr(secret)[2:-1] not in repr(refusal.value)


@pytest.mark.parametrize("seed", range(12))
def test_a_store_answers_as_a_naive_journal_does(open_store: OpenStore, seed: int) -> None:
    dice, journal, store = Dice(seed), NaiveJournal(), open_store()
    settled = 0
    for _ in range(30):
        last = journal.last().seq
        step = dice.random.random()
        if step < 0.6:
            floor = max(settled, journal.hint)
            keep = dice.random.randint(floor, last) if step < 0.2 else last
            fresh = dice.entries(journal, keep, dice.random.randrange(4))
            committed = dice.random.randint(0, keep + len(fresh))
            cut_after = keep if keep < last else dice.random.choice((None, keep, keep + 3))
            store.write(cut_after, [entry for entry, _ in fresh], committed)
            journal.write(keep, fresh, committed)
        elif step < 0.8:
            settled = max(settled, dice.random.randint(0, last))
            store.settle(settled)
        else:
            store = open_store()
            # A store may remember more of what was committed than it was told to, never less.
            assert journal.hint <= store.committed_hint() <= max(settled, journal.hint)
            journal.hint = store.committed_hint()
            settled = settled if step < 0.9 else max(settled, journal.hint)
        assert_same_answers(store, journal, dice)


def assert_same_answers(store: Store, journal: NaiveJournal, dice: Dice) -> None:
    assert store.last() == journal.last()
    assert store.committed_hint() == journal.hint
    assert store.counts() == journal.counts()
    end = journal.last().seq
    for seq in range(end + 2):
        assert store.position(seq) == journal.position(seq)
    after = dice.random.randint(0, end)
    assert list(store.entries(after, 10**9)) == [entry for entry, _ in journal.held[after:]]
    for owner in OWNERS:
        assert store.newest_epoch(owner) == journal.newest_epoch(owner)
        for epoch in EPOCHS:
            asked = [dice.digest() for _ in range(25)]
            spots = [journal.spot(owner, epoch, digest) for digest in asked]
            highest = max((spot[0] for spot in spots if spot), default=0)
            places = store.find(owner, epoch, b"".join(asked))
            assert resolved(places) == [spot and spot[1:] for spot in spots]
            assert places.seq == highest
            assert store.exists(owner, epoch, b"".join(asked)) == highest


def test_a_look_that_would_find_too_much_is_refused_but_one_block_never_is(store: Store) -> None:
    large = LOOK_BYTES // 2 + 1
    blocks = [Block("anna", 1, digest_of(number), bytes(large)) for number in (1, 2)]
    store.write(None, [rows_entry(ORIGIN, blocks)], 0)
    assert resolved(store.find("anna", 1, digest_of(1) + digest_of(3))) != [None, None]
    with pytest.raises(LookTooLong):
        store.find("anna", 1, digest_of(1) + digest_of(2))
    alone = Block("anna", 1, digest_of(4), bytes(LOOK_BYTES + 1))
    store.write(None, [rows_entry(store.last(), [alone])], 0)
    assert len(store.find("anna", 1, digest_of(4)).blocks) == 1
