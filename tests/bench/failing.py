"""What clients see of a node that fails, and how fast it is back; measured as `make recovery` does."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from tests.bench import baseline
from tests.bench.fleet import fleet
from tests.bench.report import Row, at_most
from tests.bench.scale import Scale
from tests.cluster import recovery
from tests.cluster.cluster import Cluster
from tests.cluster.writers import Writers


def measure(folder: Path, scale: Scale) -> list[Row]:
    """Gaps without writes after a kill of each role, then the return of a node that missed much."""
    with fleet(folder) as cluster:
        return [*gaps(cluster, scale), *catch_up(cluster, folder, scale)]


def gaps(cluster: Cluster, scale: Scale) -> list[Row]:
    """The longest time without an acknowledged write of any of eight clients, around `kill -9` of a node
    and its return."""
    rows = []
    with Writers(cluster, "gap") as writers:
        for place in recovery.PLACES:
            taken = [recovery.write_gap(cluster, writers, place) for _ in range(scale.kills)]
            title = f"no writes after kill -9 of the {place}"
            rows += [
                Row(
                    "failures",
                    f"{title}, median",
                    median(taken),
                    "s",
                    target=at_most(recovery.MEDIAN_GAP_SECONDS),
                    details={"all_s": taken},
                ),
                Row(
                    "failures",
                    f"{title}, worst",
                    max(taken),
                    "s",
                    target=at_most(recovery.WORST_GAP_SECONDS),
                ),
            ]
    return rows


def catch_up(cluster: Cluster, folder: Path, scale: Scale) -> list[Row]:
    """Mappings a second that a node takes over, from the start of its process until it is in the chain,
    while clients go on writing; beside a raw file that is filled with as many rows."""
    raw = baseline.insert_rate(folder, scale.missed, baseline.TUNED)
    back = recovery.rejoin(cluster, scale.missed)
    return [
        Row(
            "failures",
            f"catch-up on {back.missed:,} mappings",
            back.missed / back.back_s,
            "values/s",
            raw.per_second,
            "raw inserts, tuned",
            details={"back_after_s": back.back_s, "written_meanwhile_per_s": back.rate},
        ),
        Row(
            "failures",
            "  longest wait of a client meanwhile",
            back.stall_s,
            "s",
            target=at_most(recovery.STALL_SECONDS),
        ),
    ]
