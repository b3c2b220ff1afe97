"""Counting the rows of a node's tables, a part at a time: by SQLite's own sums, which let other threads
work meanwhile and read nothing that is sealed.

Rows are only ever inserted, in the order of the journal: what was counted of committed entries stays so,
and a later count goes on from there.
"""
# ruff: noqa: S608  the statements are put together from constants

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from tvault.model.commands import DIGEST_BYTES
from tvault.store.failures import JournalDamaged
from tvault.store.ports import Counted, EpochCount, RowCounts, SecretCount

ROWS_AT_ONCE: Final = 2**14
"""Rows that one statement counts: a few hundredths of a second."""

_LEAST_ID: Final = -(2**63)


def _part(columns: str, table: str, key: str = "id") -> str:
    return (
        f"(SELECT {columns} FROM {table} WHERE {key} > :mark AND seq <= :upto"
        f" ORDER BY {key} LIMIT :most)"
    )


class _Table(NamedTuple):
    """A table, the statement that counts some of its rows, by owner, and what is done with the sums.

    Each row of an answer begins with the highest id and the number of the rows counted.
    """

    name: str
    query: str
    add: Callable[[Counted, Sequence[Any]], Counted]


def _add_entries(counted: Counted, row: Sequence[Any]) -> Counted:
    return _with(counted, entries=row[1])


def _add_epochs(counted: Counted, row: Sequence[Any]) -> Counted:
    return _with(counted, epochs=row[1])


def _add_requests(counted: Counted, row: Sequence[Any]) -> Counted:
    return _with(counted, requests=row[1])


def _add_blocks(counted: Counted, row: Sequence[Any]) -> Counted:
    _, blocks, owner, epoch, length = row
    tokens = length // DIGEST_BYTES
    before = counted.tokens.get((owner, epoch), EpochCount())
    counts = EpochCount(before.blocks + blocks, before.tokens + tokens)
    counted = counted._replace(tokens={**counted.tokens, (owner, epoch): counts})
    return _with(counted, blocks=blocks, tokens=tokens)


def _add_versions(counted: Counted, row: Sequence[Any]) -> Counted:
    _, versions, owner, firsts, returns = row
    counted = _with_secrets(counted, owner, SecretCount(firsts, versions, -returns))
    return _with(counted, versions=versions)


def _add_ends(counted: Counted, row: Sequence[Any]) -> Counted:
    _, ends, owner = row
    return _with(_with_secrets(counted, owner, SecretCount(ended=ends)), ends=ends)


def _with(counted: Counted, **more: int) -> Counted:
    rows = counted.rows._asdict()
    return counted._replace(rows=RowCounts(**{name: rows[name] + more.get(name, 0) for name in rows}))


def _with_secrets(counted: Counted, owner: str, more: SecretCount) -> Counted:
    before = counted.secrets.get(owner, SecretCount())
    counts = SecretCount(*map(sum, zip(before, more, strict=True)))
    return counted._replace(secrets={**counted.secrets, owner: counts})


_RETURNS: Final = (
    "sum(EXISTS (SELECT 1 FROM secret_end e"
    " WHERE e.owner = v.owner AND e.name = v.name AND e.version = v.version - 1))"
)
"""Versions that make a secret valid again that had ended."""

_TABLES: Final = (
    _Table("entry", f"SELECT max(seq), count(*) FROM {_part('seq', 'entry', 'seq')}", _add_entries),
    _Table("epoch", f"SELECT max(id), count(*) FROM {_part('id', 'epoch')}", _add_epochs),
    _Table(
        "block",
        "SELECT max(id), count(*), owner, epoch, sum(size)"
        f" FROM {_part('id, owner, epoch, length(digests) AS size', 'block')} GROUP BY owner, epoch",
        _add_blocks,
    ),
    _Table(
        "secret_version",
        f"SELECT max(id), count(*), owner, sum(version = 1), {_RETURNS}"
        f" FROM {_part('id, owner, name, version', 'secret_version')} v GROUP BY owner",
        _add_versions,
    ),
    _Table(
        "secret_end",
        f"SELECT max(id), count(*), owner FROM {_part('id, owner', 'secret_end')} GROUP BY owner",
        _add_ends,
    ),
    _Table(
        "secret_request", f"SELECT max(id), count(*) FROM {_part('id', 'secret_request')}", _add_requests
    ),
)


def count_slice(
    connection: sqlite3.Connection, done: Counted, upto: int, is_over: Callable[[], bool]
) -> Counted:
    """`Inspectable.count_slice` on a disk."""
    marks = list(done.marks) or [_LEAST_ID] * len(_TABLES)
    for place, table in enumerate(_TABLES):
        while True:
            asked = {"mark": marks[place], "upto": upto, "most": ROWS_AT_ONCE}
            answer = connection.execute(table.query, asked).fetchall()
            counted = [row for row in answer if row[1]]
            try:
                for row in counted:
                    done = table.add(done, row)
            except TypeError:
                raise JournalDamaged(
                    f"columns of the table {table.name} do not have their types"
                ) from None
            marks[place] = max([marks[place], *(row[0] for row in counted)])
            done = done._replace(marks=tuple(marks))
            if sum(row[1] for row in counted) < ROWS_AT_ONCE:
                break
            if is_over():
                return done
    return done._replace(upto=upto)
