"""What every store promises to readers while its writer goes on."""

from __future__ import annotations

import threading

import pytest

from tests.conformance.naive import Dice, block_of, digest_of, rows_entry
from tests.conformance.test_store import entry_with, tokens
from tvault.store.ports import Store


@pytest.mark.usefixtures("hasty_threads")
def test_a_reader_sees_an_entry_whole_or_not_at_all_while_others_are_written(store: Store) -> None:
    torn: list[str] = []
    looks = [0, 0]
    written = threading.Event()
    ready = threading.Barrier(3)

    def read(reader: int) -> None:
        dice = Dice(reader)
        ready.wait()
        while not written.is_set() or not looks[reader]:
            first = 100 * dice.random.randint(1, 60)
            asked = b"".join(tokens(first, 12))
            missing = store.find("anna", 1, asked).missing()
            if missing not in ([], list(range(12))):
                torn.append(f"{len(missing)} of the 12 tokens from {first} are missing")
            looks[reader] += 1

    readers = [threading.Thread(target=read, args=(reader,)) for reader in range(2)]
    for thread in readers:
        thread.start()
    ready.wait()
    try:
        write_and_cut(store, 60)
    finally:
        written.set()
        for thread in readers:
            thread.join()
    assert torn == []


def write_and_cut(store: Store, count: int) -> None:
    """Entries of two blocks; every fourth is cut and written again in another view, in other blocks."""
    for number in range(1, count + 1):
        previous, all_tokens = store.last(), tokens(100 * number, 12)
        halves = [block_of("anna", 1, all_tokens[:6]), block_of("anna", 1, all_tokens[6:])]
        store.write(None, [rows_entry(previous, halves)], previous.seq)
        if number % 4 == 0:
            again = [block_of("anna", 1, all_tokens[:9]), block_of("anna", 1, all_tokens[9:])]
            store.write(previous.seq, [rows_entry(previous, again, view=2)], previous.seq)
        store.settle(previous.seq)


@pytest.mark.usefixtures("hasty_threads")
def test_what_was_seen_at_the_end_of_the_journal_is_found(store: Store) -> None:
    """A reader that has seen `last()` finds every token up to there."""
    lost: list[int] = []
    written = threading.Event()
    ready = threading.Barrier(2)

    def read() -> None:
        ready.wait()
        while not written.is_set():
            seq = store.last().seq
            if seq and store.find("anna", 1, digest_of(100 * seq)).missing():
                lost.append(seq)

    reader = threading.Thread(target=read)
    reader.start()
    ready.wait()
    try:
        for number in range(1, 60):
            store.write(None, [entry_with(store.last(), tokens(100 * number, 3))], 0)
            store.settle(number)
    finally:
        written.set()
        reader.join()
    assert lost == []
