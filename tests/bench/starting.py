"""How long nodes take to start after `kill -9`; the system still has their files in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.fleet import places
from tests.bench.report import Row, at_most
from tests.cluster.cluster import Cluster, eventually

START_SECONDS = 120.0
ANSWER_SECONDS = 5.0
"""The target for one node with 5,000,000 values; all at once share the cores."""

ONE, ALL = "one node", "all nodes"


@dataclass(frozen=True)
class Start:
    """Seconds from the start of the process, or of all: until `/status` answers, and until all nodes
    are in the chain."""

    answers_s: float
    whole_s: float


def starts(cluster: Cluster) -> dict[str, Start]:
    """The start of the tail while the others go on, and of all nodes at once."""
    return {
        ONE: _start(cluster, [places(cluster)["tail"]]),
        ALL: _start(cluster, list(cluster.nodes)),
    }


def _start(cluster: Cluster, names: list[str]) -> Start:
    for name in names:
        cluster.kill(name)
    began = time.monotonic()
    cluster.start(*names)

    def since(true: Callable[[], bool]) -> float:
        eventually(true, START_SECONDS)
        return time.monotonic() - began

    answers_s = since(lambda: all(cluster.glance(name) is not None for name in names))
    return Start(answers_s, since(cluster.is_whole))


def rows(empty: dict[str, Start], full: dict[str, Start], stored: int) -> list[Row]:
    """Beside the start of the same nodes with nothing stored."""
    found = []
    for who, start in full.items():
        title, against = f"start of {who}, {stored:,} stored", "with nothing stored"
        found += [
            Row(
                "growth",
                f"{title}: /status answers",
                start.answers_s,
                "s",
                empty[who].answers_s,
                against,
                at_most(ANSWER_SECONDS) if who == ONE else None,
            ),
            Row(
                "growth",
                f"{title}: in the chain",
                start.whole_s,
                "s",
                empty[who].whole_s,
                against,
            ),
        ]
    return found
