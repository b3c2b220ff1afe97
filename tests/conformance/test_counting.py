"""What every store promises of counts and of what it has checked, on each of them."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import OpenStore
from tests.conformance.naive import Dice, NaiveJournal, block_of, digest_of, rows_entry
from tests.conformance.naive_secrets import request_of, secrets_entry, version_of
from tvault.model.commands import EpochStart, SecretEnd
from tvault.replication.entry import ORIGIN
from tvault.store.ports import Checked, Counted, EpochCount, RowCounts, SecretCount, Store
from tvault.store.verification import Verification


def counted(store: Store, upto: int, done: Counted | None = None) -> Counted:
    """All rows up to an entry, a slice at a time."""
    done = Counted() if done is None else done
    while done.upto < upto:
        done = store.count_slice(done, upto, lambda: True)
    return done


def checked(store: Store, upto: int) -> Checked:
    return store.check_slice(Checked(), upto, lambda: False) if upto else Checked()


def naive_counts(journal: NaiveJournal, upto: int) -> dict[tuple[str, int], EpochCount]:
    found: dict[tuple[str, int], EpochCount] = {}
    for _, rows in journal.held[:upto]:
        for block in rows.blocks:
            blocks, tokens = found.get((block.owner, block.epoch), EpochCount())
            found[block.owner, block.epoch] = EpochCount(blocks + 1, tokens + len(block))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_what_is_counted_and_what_is_read_again_are_the_rows_that_were_written(
    store: Store, seed: int
) -> None:
    """A count goes on from an earlier one, whatever was cut and written since."""
    dice, journal = Dice(seed), NaiveJournal()
    done, committed = Counted(), 0
    for _ in range(12):
        last, hint = journal.last().seq, store.committed_hint()
        keep = dice.random.randint(hint, last)
        entries = dice.entries(journal, keep, dice.random.randrange(1, 5))
        committed = dice.random.randint(hint, keep + len(entries))
        store.write(keep, [entry for entry, _ in entries], committed)
        journal.write(keep, entries, committed)
        store.settle(committed)
        done = counted(store, committed, done)
        assert done.tokens == naive_counts(journal, committed)
        assert done.rows == RowCounts().and_of([rows for _, rows in journal.held[:committed]])
        assert checked(store, committed).rows == done.rows
        assert store.indexed(committed) == committed
        assert sum(store.count_index(committed)) == done.rows.tokens
    for earlier in range(committed + 1):
        assert sum(store.count_index(earlier)) == checked(store, earlier).rows.tokens


def test_secrets_are_counted_with_their_versions_and_those_that_are_valid_no_more(
    open_store: OpenStore,
) -> None:
    store = open_store()
    begun = secrets_entry(ORIGIN, [version_of("key", 1, 10), version_of("other", 1, 10)])
    ended = secrets_entry(begun.position, ends=[SecretEnd("anna", "key", 1, 20)])
    back = secrets_entry(ended.position, [version_of("key", 2, 30)], requests=[request_of(1)])
    store.write(None, [begun, ended, back], 3)
    states = [SecretCount(2, 2, 0), SecretCount(2, 2, 1), SecretCount(2, 3, 0)]
    assert [counted(store, upto).secrets["anna"] for upto in (1, 2, 3)] == states
    done = counted(store, 1)
    for upto in (2, 3):
        done = counted(store, upto, done)
        assert done.secrets == {"anna": states[upto - 1]}
    assert done.rows == RowCounts(entries=3, versions=3, ends=1, requests=1)
    assert open_store().check_slice(Checked(), 3, lambda: False).rows == done.rows


def test_epochs_are_told_with_the_entries_that_began_them(open_store: OpenStore) -> None:
    store = open_store()
    first = rows_entry(ORIGIN, epochs=[EpochStart("anna", 2), EpochStart("bert", 2)])
    second = rows_entry(first.position, epochs=[EpochStart("anna", 3)])
    store.write(None, [first, second], 2)
    expected = {"anna": [(2, 1), (3, 2)], "bert": [(2, 1)]}
    for told in (store.epochs(), open_store().epochs(), checked(open_store(), 2).epochs):
        assert {owner: list(starts) for owner, starts in told.items()} == expected
    assert dict(checked(open_store(), 1).epochs) == {"anna": [(2, 1)], "bert": [(2, 1)]}


def test_nothing_is_counted_in_an_empty_store(store: Store) -> None:
    assert store.epochs() == {}
    assert sum(store.count_index(0)) == 0
    assert store.count_slice(Counted(), 0, lambda: False).rows == RowCounts()
    assert store.check_database(lambda: False) is None


@pytest.mark.parametrize("upto", [0, 1, 7, 8])
def test_a_whole_check_finds_nothing_wrong_and_tells_how_far_it_has_come(
    store: Store, upto: int
) -> None:
    for number in range(8):
        block = block_of("anna", 1, [digest_of(number)])
        store.write(None, [rows_entry(store.last(), [block])], number)
    store.settle(7)
    verification = Verification(store, upto)
    for _ in verification.slices():
        assert verification.last.seq <= upto
    assert (verification.step, verification.findings) == ("done", [])
    assert verification.last == store.position(upto)
    assert verification.rows == RowCounts(entries=upto, blocks=upto, tokens=upto)
