"""What a gateway costs and takes off the nodes: the same work asked of a gateway and of the nodes."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from tests.bench import bare, machine
from tests.bench.bulk import Took, by_library
from tests.bench.fleet import fleet
from tests.bench.report import Row
from tests.bench.scale import Scale
from tests.cluster.cluster import Cluster, eventually

GATEWAY = "gateway"
ROUNDS = 3


def measure(folder: Path, scale: Scale) -> list[Row]:
    """Bulk and single calls, the two ways in turn."""
    with fleet(folder) as cluster:
        cluster.start_gateway(GATEWAY)
        eventually(lambda: cluster.health(GATEWAY) == "ok")
        return [*_bulk(cluster, folder, scale), _single(cluster, scale)]


def _bulk(cluster: Cluster, folder: Path, scale: Scale) -> list[Row]:
    wish = {"count": scale.values // 2, "batch": scale.batch, "threads": scale.threads}
    rows = []
    for title in ("new", "known"):
        took, apart = {}, 0.0
        for way, urls in (("nodes", [*cluster.nodes.values()]), (GATEWAY, [cluster.url(GATEWAY)])):
            before = _cpu(cluster)
            tokens = folder / f"{title}-{way}.txt"
            took[way] = by_library(cluster, "tokenize", tokens, urls=urls, prefix=f"{way}-", **wish)
            apart = _cpu(cluster) - before
        rows.append(_bulk_row(title, took, apart, scale.values // 2))
    return rows


def _bulk_row(title: str, took: dict[str, Took], apart: float, count: int) -> Row:
    used = {way: sum(one.use.nodes.values()) * 1e6 / count for way, one in took.items()}
    return Row(
        GATEWAY,
        f"tokenize {title} values through a gateway",
        took[GATEWAY].per_second,
        "values/s",
        took["nodes"].per_second,
        "the nodes asked directly",
        details={
            "cpu_of_nodes_asked_directly_s_per_million": used["nodes"],
            "cpu_of_nodes_behind_it_s_per_million": used[GATEWAY],
            "cpu_of_the_gateway_s_per_million": apart * 1e6 / count,
        },
    )


def _single(cluster: Cluster, scale: Scale) -> Row:
    names = (*cluster.nodes, GATEWAY)
    p50: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(ROUNDS):
        for name in names:
            address = urlsplit(cluster.url(name))
            told = bare.call_many(
                host=address.hostname,
                port=address.port,
                key=cluster.keys["A"],
                clients=1,
                seconds=scale.seconds / ROUNDS,
                path="/tokenize",
                prefix=f"{name}-{turn}-",
            )
            p50[name].append(told.p50_ms)
    direct = median(figure for name in cluster.nodes for figure in p50[name])
    return Row(
        GATEWAY,
        "single tokenize through a gateway, 1 client, p50",
        median(p50[GATEWAY]),
        "ms",
        direct,
        "the nodes asked directly",
    )


def _cpu(cluster: Cluster) -> float:
    return machine.cpu_seconds(cluster.processes[GATEWAY].pid)
