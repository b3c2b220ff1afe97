"""Readers beside a writer that cuts and a merger that makes, merges and repairs runs, against a dict."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.conformance.naive import block_of, digest_of, resolved, rows_entry
from tests.unit.store.killing import SPREAD
from tvault.store.sqlite import SqliteStore

ENTRIES = 100
TOKENS = 12
READERS = 2


def tokens(number: int) -> list[bytes]:
    return [digest_of((number * TOKENS + place) * SPREAD % 2**128) for place in range(TOKENS)]


class Truth:
    """What was committed before now, and what was cut."""

    def __init__(self) -> None:
        self.committed: list[int] = []
        self.cut: list[int] = []
        self.wrong: list[str] = []
        self.looks = [0] * READERS

    def look(self, store: SqliteStore, reader: int, dice: random.Random) -> None:
        committed = dice.sample(self.committed, min(4, len(self.committed)))
        cut = dice.sample(self.cut, min(2, len(self.cut)))
        asked = [token for number in committed + cut for token in tokens(number)]
        dice.shuffle(asked)
        there = {token: number for number in committed for token in tokens(number)}
        found = resolved(store.find("anna", 1, b"".join(asked)))
        for token, place in zip(asked, found, strict=True):
            sealed = None if place is None else int(place[0].sealed)
            if sealed != there.get(token):
                self.wrong.append(f"a token of {there.get(token)} is in {sealed}")
        self.looks[reader] += 1


@contextmanager
def reading(store: SqliteStore, truth: Truth) -> Iterator[None]:
    is_over = threading.Event()

    def read(reader: int) -> None:
        dice = random.Random(reader)
        while not is_over.is_set():
            truth.look(store, reader, dice)

    readers = [threading.Thread(target=read, args=(reader,)) for reader in range(READERS)]
    for thread in readers:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in readers:
            thread.join()


@pytest.mark.usefixtures("hasty_threads")
def test_readers_see_all_that_was_committed_and_nothing_that_was_cut_while_runs_come_and_go(
    tmp_path: Path,
) -> None:
    truth, dice = Truth(), random.Random(1)
    with closing(SqliteStore(tmp_path, run_tokens=4 * TOKENS)) as store:
        with reading(store, truth):
            for number in range(ENTRIES):
                last = store.last()
                block = block_of("anna", 1, tokens(number), b"%d" % number)
                store.write(None, [rows_entry(last, [block])], last.seq)
                if dice.random() < 0.3:
                    store.write(last.seq, [], last.seq)
                    truth.cut.append(number)
                    continue
                seq = store.last().seq
                store.settle(seq if dice.random() < 0.7 else last.seq)
                truth.committed.append(number)
                if store._index.snapshot.runs and dice.random() < 0.2:
                    store._index._merger.repair(dice.choice(store._index.snapshot.runs))
            assert store._index.wait_until_idle(20)
        assert truth.wrong == []
        assert min(truth.looks) > 0
        store.settle(store.last().seq)
        for run in store._index.snapshot.runs:
            run.check()
