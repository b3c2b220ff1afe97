"""Single calls: one value a request, on each node, by several clients at a time; and rotations."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bench import bare
from tests.bench.callers import Told
from tests.bench.fleet import cpu_by_place, fleet, places, spent
from tests.bench.report import Details, Row, at_most
from tests.bench.scale import Scale
from tests.cluster.cluster import Cluster
from tests.cluster.recovery import PLACES
from tvault.client.vault import Vault

P50_MS, P99_MS = 5.0, 20.0
"""The targets of a single tokenize."""

TOKENS = 500
ROTATIONS = 20


def measure(folder: Path, scale: Scale) -> list[Row]:
    """What nothing can undercut, and right after it the calls of a node."""
    trips = bare.measure(scale)
    rows = [*trips.rows, bare.durable_write(folder)]
    with fleet(folder) as cluster:
        tokens = cluster.tokenize("n1", [f"kept {number}" for number in range(TOKENS)])
        for clients, place in product(scale.clients, PLACES):
            prefix = f"{place[0]}-{clients}-"
            calls = _called(cluster, place, clients, scale.seconds, path="/tokenize", prefix=prefix)
            rows += _tokenize_rows(place, clients, calls, trips.small[clients])
        for clients, place in product(scale.clients, PLACES):
            calls = _called(cluster, place, clients, scale.seconds, path="/detokenize", tokens=tokens)
            rows.append(_detokenize_row(place, clients, calls, trips.small[clients]))
        rows.append(rotations(cluster, trips.by_requests_ms))
    return rows


@dataclass(frozen=True)
class Calls:
    """What the clients tell, and the CPU milliseconds of the node at each place for one call."""

    told: Told
    cpu_ms: dict[str, float]

    def details(self) -> Details:
        """What stands below the row."""
        told = self.told
        return {
            "calls": told.calls,
            "calls_per_s": told.per_second,
            "p99_ms": told.p99_ms,
            "worst_ms": told.worst_ms,
            "refused_tries": told.refused,
            "client_busy_percent": round(100 * told.client_share),
            "cpu_ms_per_call": self.cpu_ms,
        }


def _called(cluster: Cluster, place: str, clients: int, seconds: float, **wish: Any) -> Calls:
    address = urlsplit(cluster.nodes[places(cluster)[place]])
    task = {
        "host": address.hostname,
        "port": address.port,
        "key": cluster.keys["A"],
        "clients": clients,
        "seconds": seconds,
    }
    before = cpu_by_place(cluster)
    told = bare.call_many(**task, **wish)
    used = spent(before, cpu_by_place(cluster))
    return Calls(told, {name: 1e3 * seconds / told.calls for name, seconds in used.items()})


def _tokenize_rows(place: str, clients: int, calls: Calls, trip: Told) -> Iterator[Row]:
    title = f"tokenize one new value, {place}, {bare.many(clients)}"
    against = "bare HTTP, as many clients"
    yield Row(
        "single calls",
        f"{title}, median",
        calls.told.p50_ms,
        "ms p50",
        trip.p50_ms,
        against,
        at_most(P50_MS),
        calls.details(),
    )
    yield Row("single calls", title, calls.told.p99_ms, "ms p99", trip.p99_ms, against, at_most(P99_MS))


def _detokenize_row(place: str, clients: int, calls: Calls, trip: Told) -> Row:
    return Row(
        "single calls",
        f"detokenize one token, {place}, {bare.many(clients)}",
        calls.told.p50_ms,
        "ms p50",
        trip.p50_ms,
        "bare HTTP, as many clients",
        details=calls.details(),
    )


def rotations(cluster: Cluster, trip_ms: float) -> Row:
    """A rotation through the client library, which asks the nodes in turn: milliseconds until it is
    acknowledged, after which no answer of any node has an older epoch."""
    taken = []
    with Vault(list(cluster.nodes.values()), cluster.keys["A"]) as vault:
        epoch = vault.epoch()
        for _ in range(ROTATIONS):
            began = time.perf_counter()
            epoch = vault.rotate_epoch(epoch + 1).epoch
            taken.append(1e3 * (time.perf_counter() - began))
    taken.sort()
    details = {"worst_ms": taken[-1], "rotations": len(taken)}
    return Row(
        "single calls",
        "rotate the epoch, any node, 1 client",
        taken[len(taken) // 2],
        "ms p50",
        trip_ms,
        "bare HTTP by requests",
        details=details,
    )
