"""The catalog of recovered views: what stands in it, by which names."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from tvault.client.bulk import MOST_VALUES
from tvault.duck.functions import DETOKENIZE, DETOKENIZE_LISTS
from tvault.duck.names import quoted, shown
from tvault.duck.recognition import Column, Table, asked
from tvault.errors import VaultError

_MAIN = "main"


class Catalog:
    """A database in memory of its own, attached to a connection, whose files stay as they are."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._taken: set[tuple[str, str]] = set()
        _refuse_taken(connection, name)
        asked(connection, f"ATTACH ':memory:' AS {quoted(name)}")

    def fill(self) -> None:
        """Make what stands in it whatever tables there are.  Raises `duckdb.Error`."""
        macro = quoted(self._name, _MAIN, "revealed")
        asked(self._connection, f"CREATE MACRO {macro}(query) AS TABLE ({_REVEALED})")

    def offer(self, table: Table, columns: Iterable[Column]) -> str:
        """The name of a new view of the table with these columns recovered: `schema.table`, without the
        schema where it is main.  Where that name is taken, the schema's name has the database's before
        it.  Raises `duckdb.Error`."""
        schema = table.schema
        if (schema.lower(), table.name.lower()) in self._taken:
            schema = f"{table.database}.{table.schema}"
        self._taken.add((schema.lower(), table.name.lower()))
        recovered = ", ".join(
            f"system.main.{DETOKENIZE}({quoted(column.name)}) AS {quoted(column.name)}"
            for column in columns
        )
        asked(self._connection, f"CREATE SCHEMA IF NOT EXISTS {quoted(self._name, schema)}")
        asked(
            self._connection,
            f"CREATE VIEW {quoted(self._name, schema, table.name)} AS "
            f"SELECT * REPLACE ({recovered}) FROM {table.sql}",
        )
        place = () if schema == _MAIN else (schema,)
        return shown(self._name, *place, table.name)


# The tokens stay in the order in which they first appear, which mostly is the order in which they were
# made: so a node finds many of them side by side.  The part after WHERE asks for nothing; it makes a
# query with several columns an error.
_REVEALED = f"""
SELECT unnest(tokens) AS token, unnest(system.main.{DETOKENIZE_LISTS}(tokens)) AS value FROM (
  SELECT list(token ORDER BY place) AS tokens FROM (
    SELECT token, place, (row_number() OVER (ORDER BY place) - 1) // {MOST_VALUES} AS part FROM (
      SELECT token, min(place) AS place FROM (
        SELECT given.token::VARCHAR AS token, row_number() OVER () AS place
        FROM query(query) AS given(token)
        WHERE (SELECT true OR (FROM query(query) LIMIT 0) IS NULL)
      ) WHERE token IS NOT NULL GROUP BY token
    )
  ) GROUP BY part
)
"""


def _refuse_taken(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Refuse a name that would be two things at once."""
    taken = asked(
        connection,
        "SELECT 'database', database_name FROM duckdb_databases() UNION "
        "SELECT 'schema', schema_name FROM duckdb_schemas()",
    )
    for kind, other in taken:
        if other.lower() == name.lower():
            raise VaultError(
                "usage",
                f"there is a {kind} {shown(other)} already, and the recovered views need a name of "
                "their own: give attach() another one with catalog=",
            )
