"""The strongest peer beside tvault in the same run: PostgreSQL with two synchronous standbys."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import click

from tests.bench import bulk
from tests.bench.bulk import Took
from tests.bench.fleet import fleet, in_a_process
from tests.bench.postgres_servers import Servers, programs, servers
from tests.bench.report import Row, ratio_at_least
from tests.bench.scale import Scale

AHEAD = 1.0
BATCHES = (1_000, 5_000)
"""Values a statement: the faster of the two counts for PostgreSQL."""

TITLES = {
    "new": "tokenize new values",
    "known": "tokenize known values",
    "in order": "detokenize, as made",
    "shuffled": "detokenize, shuffled",
}


@dataclass(frozen=True)
class Peer:
    """Values a second, and CPU seconds for a million of them, of the client and of all servers."""

    batch: int
    per_second: float
    client_cpu: float
    servers_cpu: float


def measure(folder: Path, scale: Scale) -> list[Row]:
    """PostgreSQL, and right after it tvault, doing the same with as many values."""
    place = programs()
    if place is None or importlib.util.find_spec("psycopg") is None:
        what = "PostgreSQL" if place is None else "psycopg, which make bench PEERS=1 installs,"
        click.echo(f"no peer is measured: {what} is not there", err=True)
        return []
    best: dict[str, Peer] = {}
    for batch in BATCHES:
        with servers(place, folder / f"postgres-{batch}") as running:
            for name, peer in postgres_runs(running, scale, batch).items():
                if name not in best or best[name].per_second < peer.per_second:
                    best[name] = peer
    with fleet(folder) as cluster:
        took = dict(bulk.library_runs(cluster, folder, scale))
    return [_row(name, took[name], best[name]) for name in TITLES]


def postgres_runs(running: Servers, scale: Scale, batch: int) -> dict[str, Peer]:
    """The same four runs as `bulk.library_runs`."""
    kinds = {
        "new": ("tokenize", 0),
        "known": ("tokenize", 0),
        "in order": ("detokenize", 0),
        "shuffled": ("detokenize", 1),
    }
    return {
        name: _run(running, scale, batch, action=action, seed=seed)
        for name, (action, seed) in kinds.items()
    }


def _run(running: Servers, scale: Scale, batch: int, **wish: str | int) -> Peer:
    if wish["action"] == "detokenize":
        assert running.asked("VACUUM ANALYZE mapping") == "VACUUM"  # as autovacuum would, a little later
    before = running.cpu_seconds()
    task = {"folder": str(running.folder), "port": running.port, "count": scale.values}
    told = in_a_process(
        "tests.bench.postgres_client", task | wish | {"batch": batch, "threads": scale.threads}
    )
    spent = running.cpu_seconds() - before
    million = told["count"] / 1e6
    return Peer(
        batch, told["count"] / told["seconds"], told["cpu_seconds"] / million, round(spent / million, 2)
    )


def _row(name: str, took: Took, peer: Peer) -> Row:
    return Row(
        "peers",
        f"{TITLES[name]}, tvault by library",
        took.per_second,
        "values/s",
        peer.per_second,
        "PostgreSQL, two synchronous standbys",
        ratio_at_least(AHEAD),
        took.details()
        | {
            "postgres_cpu_s_per_million": {"client": peer.client_cpu, "servers": peer.servers_cpu},
            "postgres_batch": peer.batch,
        },
    )
