"""Merges of runs whose files a disk has changed: damage is noticed, mended, never given a checksum."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cluster.disks import flip_bit
from tests.conformance.naive import block_of, digest_of, rows_entry
from tvault.store.building import FAN_IN
from tvault.store.failures import JournalDamaged
from tvault.store.runs import Run
from tvault.store.sqlite import SqliteStore

TOKENS = 50


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """One run less than make a merge."""
    with closing(SqliteStore(tmp_path, run_tokens=TOKENS)) as store:
        for _ in range(FAN_IN - 1):
            add(store)
        assert len(runs_of(store)) == FAN_IN - 1
        yield store


def add(store: SqliteStore) -> None:
    """An entry that makes a run, and whatever follows from it."""
    last = store.last()
    first = TOKENS * last.seq
    digests = [digest_of(number) for number in range(first, first + TOKENS)]
    store.write(None, [rows_entry(last, [block_of("anna", 1, digests)])], last.seq + 1)
    store.settle(last.seq + 1)
    assert store._index.wait_until_idle(20)


def runs_of(store: SqliteStore) -> tuple[Run, ...]:
    return store._index.snapshot.runs


@pytest.mark.parametrize("column", range(4))
def test_a_source_that_was_damaged_meanwhile_is_made_again_and_then_merged(
    store: SqliteStore, column: int
) -> None:
    path = runs_of(store)[1].path
    flip_bit(path, min(512 + column * 8 * TOKENS + 8, path.stat().st_size - 1))
    add(store)
    (merged,) = runs_of(store)
    merged.check()
    count = TOKENS * FAN_IN
    places = store.find("anna", 1, b"".join(digest_of(number) for number in range(count + 1)))
    assert places.missing() == [count]
    store.settle(store.last().seq)
    work = store.index_work()
    assert (work.runs, work.merges, work.repairs) == (1, 1, 1)
    assert work.merge_seconds > 0


def test_a_source_that_is_gone_is_made_again_and_then_merged(store: SqliteStore) -> None:
    runs_of(store)[0].path.unlink()
    add(store)
    assert [len(run) for run in runs_of(store)] == [TOKENS * FAN_IN]


def test_damage_of_run_and_journal_together_is_damage_of_the_journal(store: SqliteStore) -> None:
    with store._database.transaction() as connection:
        connection.execute("UPDATE block SET sealed = x'00' WHERE seq = 2")
    flip_bit(runs_of(store)[1].path, 600)
    add(store)
    with pytest.raises(JournalDamaged, match="entry 2"):
        store.settle(store.last().seq)
