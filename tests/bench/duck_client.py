"""A DuckDB session in a process of its own that recovers the tokens of a table in several ways, in turn.

It is told what to do by JSON.  Every answer is compared with that of a join with a table of the values.
"""

from __future__ import annotations

import json
import sys
import time

import duckdb
import msgspec

from tests.bench.machine import cpu_seconds
from tvault import duck
from tvault.client.vault import Vault

DIGEST = "SELECT count(*), count(value), bit_xor(hash(visit, value)) FROM "
"""Equal for equal rows, in whatever order they come."""

SQL = {
    "local": "{0} JOIN plain USING (token)",
    "revealed": "{0} JOIN vault.revealed('SELECT token FROM {0}') USING (token)",
    "view": "(SELECT visit, token AS value FROM vault.{0})",
}
REVEAL, ROWS = "reveal", "SELECT visit, token AS value FROM {0}"
Digest = tuple[int, ...]


class Task(msgspec.Struct):
    """Recover the column `token` of `table` in the DuckDB file `database`, in all of `ways`, round after
    round up to `rounds` of them, beginning none after `seconds`."""

    urls: list[str]
    key: str
    database: str
    table: str
    ways: list[str]
    rounds: int
    seconds: float
    pids: list[int]


class Run(msgspec.Struct):
    """Seconds by the clock, and of CPU: of this process, and of the processes with these `pids`."""

    way: str
    seconds: float
    client_cpu_s: float
    nodes_cpu_s: float


def recovered(
    connection: duckdb.DuckDBPyConnection, attached: duck.Attached, task: Task, way: str
) -> Digest:
    """The digest of the table with its values."""
    if way != REVEAL:
        return _digest(connection, SQL[way].format(task.table))
    table = attached.reveal(ROWS.format(task.table), "value")
    connection.register("revealed_rows", table)
    return _digest(connection, "revealed_rows")


def _digest(connection: duckdb.DuckDBPyConnection, rows: str) -> Digest:
    found: Digest = connection.execute(DIGEST + rows).fetchall()[0]
    return found


def clocked(task: Task, way: str, wanted: Digest | None) -> tuple[Run, Digest]:
    """One run in a session that knows no value yet; the clock starts when it stands."""
    with Vault(task.urls, task.key) as vault, duckdb.connect() as connection:
        connection.execute(f"ATTACH '{task.database}' AS data (READ_ONLY)")
        connection.execute("USE data")
        with duck.attach(connection, vault) as attached:
            nodes, cpu, wall = _cpu_of(task.pids), time.process_time(), time.perf_counter()
            found = recovered(connection, attached, task, way)
            seconds, client = time.perf_counter() - wall, time.process_time() - cpu
            run = Run(way, seconds, client, _cpu_of(task.pids) - nodes)
    assert wanted in {None, found}, f"{way} gives other values than a local join"
    return run, found


def _cpu_of(pids: list[int]) -> float:
    return sum(map(cpu_seconds, pids))


def rounds_of(task: Task) -> list[Run]:
    """All runs."""
    runs: list[Run] = []
    wanted: Digest | None = None
    began = time.monotonic()
    while len(runs) < task.rounds * len(task.ways) and (
        not runs or time.monotonic() - began < task.seconds
    ):
        for way in task.ways:
            run, wanted = clocked(task, way, wanted)
            runs.append(run)
    return runs


def main() -> None:
    """One task from stdin; its runs on stdout."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    print(json.dumps(msgspec.to_builtins(rounds_of(task))))


if __name__ == "__main__":
    main()
