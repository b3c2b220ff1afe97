"""Which columns of which tables hold tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from tvault.duck.names import parts_of, quoted, shown, text
from tvault.errors import VaultError
from tvault.model.tokens import PATTERN

SAMPLED = 600
"""How many rows are looked at, at each of three places of a table."""


@dataclass(frozen=True)
class Column:
    """A column, and how many of the values in a sample were tokens; both 0 when it was declared."""

    name: str
    tokens: int = 0
    sampled: int = 0

    @property
    def is_declared(self) -> bool:
        """Whether somebody said that it holds tokens, and no sample was taken."""
        return not self.sampled


@dataclass(frozen=True)
class Found:
    """A table or view with columns that hold tokens, by its name in SQL; `view` is that of the view in
    which they are recovered, if there is one."""

    source: str
    view: str | None
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Table:
    """A table or view of the user, where it stands, and its columns with their types."""

    database: str
    schema: str
    name: str
    is_stored: bool
    rows: int
    columns: tuple[tuple[str, str], ...]

    @property
    def texts(self) -> list[str]:
        """The columns that can hold tokens."""
        return [name for name, kind in self.columns if kind == "VARCHAR"]

    @property
    def sql(self) -> str:
        """Its whole name in SQL."""
        return quoted(self.database, self.schema, self.name)

    @property
    def shown(self) -> str:
        """Its whole name for people."""
        return shown(self.database, self.schema, self.name)


def asked(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    """All rows of a query: a result that is not read to its end stands in the way of the next one."""
    rows: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
    return rows


def tables(connection: duckdb.DuckDBPyConnection) -> tuple[list[Table], list[str]]:
    """The user's tables and views, those of the current database and schema first; and sentences about
    the views that cannot be read."""
    (database, schema), *_ = asked(connection, "SELECT current_database(), current_schema()")
    columns: dict[tuple[Any, ...], list[tuple[str, str]]] = {}
    for *place, name, kind in asked(
        connection,
        "SELECT database_name, schema_name, table_name, column_name, data_type "
        "FROM duckdb_columns() WHERE NOT internal ORDER BY column_index",
    ):
        columns.setdefault(tuple(place), []).append((name, kind))
    found, warnings = [], []
    for *place, rows, is_stored in asked(
        connection,
        "SELECT database_name, schema_name, table_name, estimated_size, type = 'duckdb' "
        "FROM duckdb_tables() JOIN duckdb_databases() USING (database_name) "
        "WHERE NOT duckdb_tables.internal",
    ):
        key = (place[0], place[1], place[2])
        found.append(
            Table(*key, is_stored=is_stored, rows=rows or 0, columns=tuple(columns.get(key, [])))
        )
    for *place, _ in asked(
        connection,
        "SELECT database_name, schema_name, view_name, 0 FROM duckdb_views() WHERE NOT internal",
    ):
        key = (place[0], place[1], place[2])
        try:
            described = asked(connection, f"DESCRIBE {quoted(*key)}")
        except duckdb.Error:
            warnings.append(f"{shown(*key)} is left out: it cannot be read")
            continue
        listed = tuple((name, kind) for name, kind, *_ in described)
        found.append(Table(*key, is_stored=False, rows=0, columns=listed))
    here = (database, schema)

    def order(table: Table) -> tuple[bool, bool, str, str, str]:
        place = (table.database, table.schema)
        return (place != here, table.database != database, *place, table.name)

    return sorted(found, key=order), warnings


def sampled(connection: duckdb.DuckDBPyConnection, table: Table) -> list[Column]:
    """The columns of texts with what a sample shows, those without values left out.

    The sample is taken at the beginning, in the middle and at the end of a table, and at the beginning
    of a view.  Raises `duckdb.Error`.
    """
    names = table.texts
    if not names:
        return []
    listed = ", ".join(quoted(name) for name in names)
    starts = [0]
    if table.is_stored and table.rows > 3 * SAMPLED:
        starts += [table.rows // 2, table.rows - SAMPLED]
    wheres = [f"WHERE rowid >= {start}" if start else "" for start in starts]
    rows = " UNION ALL ".join(
        f"(SELECT {listed} FROM {table.sql} {where} LIMIT {SAMPLED})" for where in wheres
    )
    counted = _counted(connection, names, rows)
    for name in names:
        if not counted[name].sampled and (len(starts) > 1 or not table.is_stored):
            column = quoted(name)
            some = f"SELECT {column} FROM {table.sql} WHERE {column} IS NOT NULL LIMIT {SAMPLED}"
            counted |= _counted(connection, [name], some)
    return [column for column in counted.values() if column.sampled]


def _counted(
    connection: duckdb.DuckDBPyConnection, names: Sequence[str], rows: str
) -> dict[str, Column]:
    pattern = text(PATTERN)
    counts = ", ".join(
        f"count({name}), count(*) FILTER (regexp_full_match({name}, {pattern}))"
        for name in map(quoted, names)
    )
    (numbers,) = asked(connection, f"SELECT {counts} FROM ({rows})")
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return {
        name: Column(name, tokens, values) for name, (values, tokens) in zip(names, pairs, strict=True)
    }


def declared(found: Sequence[Table], columns: Sequence[str]) -> list[tuple[Table, list[Column]]]:
    """The tables of the columns that somebody named `[[database.]schema.]table.column`, in the order of
    `found`.  Of several tables of one name the first counts.  Raises `VaultError` (`usage`)."""
    chosen: dict[int, dict[str, Column]] = {}
    for given in columns:
        *place, name = parts_of(given)
        if not 1 <= len(place) <= 3:
            raise VaultError("usage", f"{given!r} does not say of which table: such as visits.ssn")
        at = next((at for at, table in enumerate(found) if _is_called(table, place)), None)
        if at is None:
            raise VaultError(
                "usage", f"there is no table {shown(*place)}, of which {given!r} is a column"
            )
        kinds = {column.lower(): (column, kind) for column, kind in found[at].columns}
        if name.lower() not in kinds:
            there = ", ".join(shown(column) for column, _ in found[at].columns)
            raise VaultError("usage", f"there is no column {given!r}; {found[at].shown} has {there}")
        column, kind = kinds[name.lower()]
        if kind != "VARCHAR":
            raise VaultError("usage", f"{given!r} is of the type {kind}; tokens are VARCHAR")
        chosen.setdefault(at, {})[column] = Column(column)
    return [(found[at], [*named.values()]) for at, named in sorted(chosen.items())]


def _is_called(table: Table, place: Sequence[str]) -> bool:
    whole = [part.lower() for part in (table.database, table.schema, table.name)]
    given = [part.lower() for part in place]
    # Between a database and a table, SQL may leave out the schema main.
    short = [whole[0], whole[2]] if whole[1] == "main" else None
    return whole[3 - len(given) :] == given or given == short
