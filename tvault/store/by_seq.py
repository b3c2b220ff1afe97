"""Rows of one table, handed out entry by entry."""

from __future__ import annotations

import sqlite3
from typing import Any


class BySeq:
    """Rows whose first column is a seq, in rising order, handed out seq by seq."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self._next: tuple[Any, ...] | None = cursor.fetchone()

    def take(self, seq: int) -> list[tuple[Any, ...]]:
        """The rows of `seq`, which must not be lower than the last one asked for."""
        taken = []
        while self._next is not None and self._next[0] == seq:
            taken.append(self._next)
            self._next = self._cursor.fetchone()
        return taken

    def has_more(self) -> bool:
        """Whether there are rows of a higher seq."""
        return self._next is not None

    def close(self) -> None:
        """End the statement."""
        self._cursor.close()
