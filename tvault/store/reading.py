"""The journal as the token index reads it: entry by entry, and checked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from itertools import islice
from typing import Protocol

from tvault.replication.entry import Position
from tvault.store.failures import JournalDamaged
from tvault.store.records import (
    Stored,
    read_counts_after,
    read_journal,
    read_last_block,
    read_position,
)

_ENTRIES_A_LOOK = 2**12  # a look that lasts keeps the file's log from being emptied,
_BYTES_A_LOOK = 2**22  # and what it has read is held in memory


class Looks(Protocol):
    """Gives connections to read from."""

    def look(self) -> AbstractContextManager[sqlite3.Connection]:
        """A reading connection inside one read transaction."""


class DatabaseReader:
    """Fills `building.JournalReader`.  Any thread that may look; raises what `look` does."""

    def __init__(self, database: Looks) -> None:
        self._database = database

    def position(self, seq: int) -> Position | None:
        with self._database.look() as connection:
            return read_position(connection, seq)

    def entries(self, after: Position, until: int) -> Iterator[Stored]:
        while after.seq < until:
            some = self._look_at(after, min(_ENTRIES_A_LOOK, until - after.seq))
            if not some:
                raise JournalDamaged(f"entry {after.seq + 1} is gone")
            yield from some
            after = some[-1].entry.position

    def top_block(self, seq: int) -> int:
        with self._database.look() as connection:
            return read_last_block(connection, seq)

    def tokens_after(self, seq: int) -> int:
        with self._database.look() as connection:
            return read_counts_after(connection, seq)[1]

    def _look_at(self, after: Position, count: int) -> Sequence[Stored]:
        taken: list[Stored] = []
        size = 0
        with self._database.look() as connection, closing(read_journal(connection, after)) as following:
            for stored in islice(following, count):
                taken.append(stored)
                size += len(stored.entry.body)
                if size >= _BYTES_A_LOOK:
                    break
        return taken
