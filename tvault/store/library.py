"""Which SQLite this Python has."""

from __future__ import annotations

import sqlite3

VERSION = sqlite3.sqlite_version

_RACING = ((3, 7, 0), (3, 51, 2))
"""Both included: see `store.database`."""


def has_wal_race(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether two connections that write to one WAL can damage it.  A node has only one that writes."""
    return _RACING[0] <= version <= _RACING[1]
