"""Joins in DuckDB with the values of tokens, each beside a join with a table of the values."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from tests.bench.bulk import by_library
from tests.bench.fleet import fleet, in_a_process
from tests.bench.report import Row, at_most
from tests.bench.scale import Scale
from tests.cluster.cluster import Cluster

PREFIX = "duck-"
ROUNDS, SECONDS = 3, 6.0
TARGET_ROWS, FEW_TARGET_S, MANY_TARGET_S = 1_000_000, 2.0, 12.0
"""The targets, for so many rows: with 50,000 different tokens, and with 600,000."""

WAYS = ("local", "revealed", "reveal", "view")
TITLES = {
    "revealed": "vault.revealed() joined",
    "reveal": "reveal() to an Arrow table",
    "view": "a view",
}
PLAIN = """
    CREATE TABLE plain AS
    SELECT number, token, '{1}' || lpad(number::VARCHAR, {2}, '0') AS value
    FROM read_csv('{0}', delim=' ', header=false, columns={{'number': 'BIGINT', 'token': 'VARCHAR'}})
"""
TABLE = """
    CREATE TABLE {0} AS
    SELECT visit, token
    FROM (SELECT range AS visit, if(range < {1}, range, hash(range) % {1}) AS number FROM range({2}))
    JOIN plain USING (number)
    ORDER BY {3}
"""
AGAINST = "DuckDB's join with a table of the values"


def measure(folder: Path, scale: Scale) -> list[Row]:
    """Few and many different tokens in no order, and many in the order in which they were made."""
    few, many = scale.values // 20, scale.values * 3 // 5
    tokens, database = folder / "tokens.txt", folder / "visits.duckdb"
    with fleet(folder) as cluster:
        by_library(
            cluster,
            "tokenize",
            tokens,
            prefix=PREFIX,
            count=many,
            batch=scale.batch,
            threads=scale.threads,
        )
        write_tables(database, tokens, scale.values, {"few": few, "many": many})
        runs = {table: _runs(cluster, database, table, WAYS) for table in ("few", "many")}
        runs["in_order"] = _runs(cluster, database, "in_order", WAYS[:-1])
    return [
        *_rows(runs["few"], scale.values, f"{few:,} tokens", FEW_TARGET_S),
        *_rows(runs["many"], scale.values, f"{many:,} tokens", MANY_TARGET_S),
        *_rows(runs["in_order"], scale.values, f"{many:,} as they were made", MANY_TARGET_S),
    ]


def write_tables(database: Path, tokens: Path, rows: int, distinct: dict[str, int]) -> None:
    """A DuckDB file with `plain`, every token beside its value; a table for each of `distinct` with so
    many tokens in its rows, each once at least, in no order; and `in_order`, the last of them in the
    order in which the tokens were made."""
    with duckdb.connect(str(database)) as connection:
        connection.execute(PLAIN.format(tokens, PREFIX, 32 - len(PREFIX)))
        for name, count in distinct.items():
            connection.execute(TABLE.format(name, count, rows, "hash(visit, 1)"))
        connection.execute(TABLE.format("in_order", count, rows, "visit"))


def _runs(cluster: Cluster, database: Path, table: str, ways: tuple[str, ...]) -> list[dict[str, Any]]:
    task = {
        "urls": list(cluster.nodes.values()),
        "key": cluster.keys["A"],
        "database": str(database),
        "table": table,
        "ways": ways,
        "rounds": ROUNDS,
        "seconds": SECONDS,
        "pids": [process.pid for process in cluster.processes.values()],
    }
    runs: list[dict[str, Any]] = in_a_process("tests.bench.duck_client", task)
    return runs


def _rows(runs: list[dict[str, Any]], rows: int, what: str, target_s: float) -> list[Row]:
    """Medians; the view has no target: it asks for each piece of the table by itself."""
    limit = _median(runs, "local", "seconds")
    target = at_most(target_s) if rows == TARGET_ROWS else None
    return [
        Row(
            "duck",
            f"{title}, {rows:,} rows, {what}",
            _median(runs, way, "seconds"),
            "s",
            limit,
            AGAINST,
            None if way == "view" else target,
            {name: _median(runs, way, name) for name in ("client_cpu_s", "nodes_cpu_s")},
        )
        for way, title in TITLES.items()
        if any(run["way"] == way for run in runs)
    ]


def _median(runs: list[dict[str, Any]], way: str, name: str) -> float:
    figures: list[float] = [run[name] for run in runs if run["way"] == way]
    return median(figures)
