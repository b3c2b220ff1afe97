"""SQL for tests: tables of tokens, and results as lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

Json = dict[str, Any]
Rows = list[tuple[Any, ...]]


def rows(con: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] = ()) -> Rows:
    """All rows of a query."""
    found: Rows = con.execute(sql, list(parameters)).fetchall()
    return found


def store(con: duckdb.DuckDBPyConnection, name: str, /, **columns: Sequence[object]) -> None:
    """Make a table of columns."""
    con.register("given", pa.table(dict(columns)))
    con.execute(f"CREATE TABLE {name} AS FROM given")
    con.unregister("given")
