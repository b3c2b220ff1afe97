"""What grows with the number of values stored: cost of a value, memory, and the start of a node."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench import baseline, machine, starting
from tests.bench.bulk import Took, by_library
from tests.bench.fleet import fleet, places
from tests.bench.report import Row, at_most, ratio_at_most
from tests.bench.scale import Scale
from tests.cluster.cluster import Cluster, eventually

PROBES = 3
SAMPLES = 200_000
FILL = 500_000
AGREE_SECONDS = 60.0
COST_RATIO, NODE_MIB = 1.2, 400.0
"""The targets: cost of a value at the largest size to that at the smallest; memory of a node."""

TOKENIZE, DETOKENIZE = "tokenize new values", "detokenize, shuffled"
PREFIX = "grow-"


@dataclass(frozen=True)
class Cost:
    """Microseconds of a value: of the clock, and of CPU over client and nodes."""

    wall_us: float
    cpu_us: float


@dataclass(frozen=True)
class Stage:
    """What was measured with so many values stored: costs of tvault and of the raw file by operation,
    and memory of the node at each place."""

    stored: int
    costs: dict[str, Cost]
    raw: dict[str, Cost]
    fill_per_second: float
    memory: dict[str, dict[str, float]]


class Growing:
    """A cluster and a raw file that are filled alike."""

    def __init__(
        self, cluster: Cluster, connection: sqlite3.Connection, folder: Path, scale: Scale
    ) -> None:
        self._cluster = cluster
        self._connection = connection
        self._tokens = folder / "tokens.txt"
        self._probed = folder / "probed.txt"
        self._scale = scale
        self._keep = max(1, scale.stored[-1] // SAMPLES)
        self.stored = 0
        self._raw_stored = 0

    def stage(self, size: int) -> Stage:
        """Fill both to `size` and measure; probes add to what is stored."""
        before, seconds = self.stored, 0.0
        while self.stored < size:
            seconds += self._write(min(FILL, size - self.stored), self._tokens, self._keep).seconds
        fill_per_second = (self.stored - before) / seconds
        baseline.load(self._connection, range(self._raw_stored, size))
        self._raw_stored = size
        raw = self._raw_costs()
        probe = self._scale.probe
        costs = {
            TOKENIZE: _middle(lambda _: self._write(probe, self._probed, probe)),
            DETOKENIZE: _middle(
                lambda seed: self._run("detokenize", self._tokens, count=probe, seed=seed)
            ),
        }
        eventually(self._cluster.agree, AGREE_SECONDS)
        return Stage(size, costs, raw, fill_per_second, memory_by_place(self._cluster))

    def _write(self, count: int, file: Path, keep: int) -> Took:
        took = self._run("tokenize", file, count=count, first=self.stored, keep=keep)
        self.stored += count
        return took

    def _run(self, action: str, file: Path, **wish: Any) -> Took:
        scale = self._scale
        return by_library(
            self._cluster,
            action,
            file,
            prefix=PREFIX,
            batch=scale.batch,
            threads=scale.threads,
            **wish,
        )

    def _raw_costs(self) -> dict[str, Cost]:
        numbers = range(self._raw_stored, self._raw_stored + self._scale.probe)
        self._raw_stored = numbers.stop
        insert = baseline.inserted(self._connection, baseline.rows(numbers))
        step = numbers.stop / self._scale.probe
        some = [baseline.token_of(int(at * step)) for at in range(self._scale.probe)]
        baseline.shuffle(some)
        look_up = baseline.looked_up(self._connection, some)
        return {
            name: Cost(1e6 / one.per_second, one.cpu_us)
            for name, one in ((TOKENIZE, insert), (DETOKENIZE, look_up))
        }


def _middle(run: Callable[[int], Took]) -> Cost:
    """The cost of a value at the median of a few runs, each told its number from 1 on."""
    runs = [run(number) for number in range(1, PROBES + 1)]
    return Cost(
        median(1e6 / took.per_second for took in runs),
        median(1e6 * (took.use.client + sum(took.use.nodes.values())) / took.count for took in runs),
    )


def memory_by_place(cluster: Cluster) -> dict[str, dict[str, float]]:
    """What each node holds now."""
    return {
        place: machine.memory(cluster.processes[name].pid) for place, name in places(cluster).items()
    }


def measure(folder: Path, scale: Scale) -> list[Row]:
    """All sizes, and then how long nodes take to start with all that stored."""
    raw_file = baseline.sqlite_file(folder / "baseline.sqlite", baseline.TUNED)
    with fleet(folder) as cluster, raw_file as connection:
        empty = starting.starts(cluster)
        growing = Growing(cluster, connection, folder, scale)
        stages = [growing.stage(size) for size in scale.stored]
        rows = [row for stage in stages for row in _cost_rows(stage)]
        rows += _growth_rows(stages[0], stages[-1])
        rows += [_memory_row(stage) for stage in stages]
        return rows + starting.rows(empty, starting.starts(cluster), growing.stored)


def _cost_rows(stage: Stage) -> list[Row]:
    return [
        Row(
            "growth",
            f"{name}, {stage.stored:,} stored",
            cost.wall_us,
            "us a value",
            stage.raw[name].wall_us,
            "raw SQLite with as much in it",
            details={"cpu_us": cost.cpu_us, "raw_cpu_us": stage.raw[name].cpu_us}
            | ({"filled_values_per_s": stage.fill_per_second} if name == TOKENIZE else {}),
        )
        for name, cost in stage.costs.items()
    ]


def _growth_rows(small: Stage, large: Stage) -> list[Row]:
    return [
        Row(
            "growth",
            f"{name}, {large.stored:,} stored, {kind}",
            getattr(large.costs[name], attribute),
            "us a value",
            getattr(small.costs[name], attribute),
            f"itself with {small.stored:,} stored",
            ratio_at_most(COST_RATIO),
        )
        for name in large.costs
        for kind, attribute in (("by the clock", "wall_us"), ("CPU", "cpu_us"))
    ]


def _memory_row(stage: Stage) -> Row:
    return Row(
        "growth",
        f"memory of a node, {stage.stored:,} stored",
        max(node["rss_mib"] for node in stage.memory.values()),
        "MiB",
        target=at_most(NODE_MIB),
        details=stage.memory,
    )
