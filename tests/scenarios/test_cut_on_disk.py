"""A cut and what takes its place are one transaction: a disk that fills up between them undoes both."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tvault.model.commands import Block, Rows, encode_rows
from tvault.replication.entry import ORIGIN, Entry, Kind, Position, follow
from tvault.store.failures import StoreFull
from tvault.store.sqlite import SqliteStore


def entry(previous: Position, view: int, token: int, size: int) -> Entry:
    block = Block("A", 1, token.to_bytes(16, "big"), bytes(size))
    return follow(previous, view, Kind.ROWS, encode_rows(Rows(blocks=(block,))))


def test_a_full_disk_takes_back_a_cut_with_what_should_follow(tmp_path: Path) -> None:
    first = entry(ORIGIN, 3, 1, 100)
    second = entry(first.position, 3, 2, 100)
    other = entry(first.position, 6, 3, 200_000)
    store = SqliteStore(tmp_path)
    store.write(None, [first, second], 1)
    writer = store._database._writer
    writer.pragma("max_page_count", writer.pragma("page_count"))
    with pytest.raises(StoreFull):
        store.write(1, [other], 1)
    store.close()
    again = SqliteStore(tmp_path)
    assert again.last() == second.position
    assert list(again.entries(0, 10**6)) == [first, second]
    again.close()


def test_a_cut_leaves_no_row_behind(tmp_path: Path) -> None:
    first = entry(ORIGIN, 3, 1, 100)
    second = entry(first.position, 3, 2, 100)
    store = SqliteStore(tmp_path)
    store.write(None, [first, second], 1)
    store.write(1, [], 1)
    store.close()
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as file:
        assert file.execute("SELECT count(*), max(seq) FROM block").fetchone() == (1, 1)
    again = SqliteStore(tmp_path)
    other = entry(first.position, 6, 2, 100)
    again.write(None, [other], 1)
    assert again.counts() == (2, 2)
    again.close()
