"""A cluster to be measured: which node has which role, and what each uses meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import machine
from tests.bench.report import Details
from tests.cluster.cluster import Cluster
from tests.cluster.recovery import PLACES


@contextmanager
def fleet(folder: Path) -> Iterator[Cluster]:
    """Three nodes, all in the chain, with nothing stored and the settings that `tvault init` writes.
    When a measurement fails, what the nodes said is shown."""
    with Cluster(folder / "vault") as cluster:
        cluster.start()
        cluster.wait_until_whole()
        try:
            yield cluster
        except AssertionError:
            for name in cluster.nodes:
                print(f"{name}: {cluster.said(name)}", file=sys.stderr)
            raise


def places(cluster: Cluster) -> dict[str, str]:
    """The node at each place of the chain."""
    chain: list[str] = cluster.status(next(iter(cluster.processes)))["chain"]
    return dict(zip(PLACES, chain, strict=True))


@dataclass(frozen=True)
class Use:
    """CPU seconds of the client and of the node at each place."""

    client: float
    nodes: dict[str, float]

    def per_million(self, count: int) -> Details:
        """CPU seconds for each million of values, by who used them."""
        spent = {"client": self.client, **self.nodes}
        told = {who: round(1e6 * seconds / count, 2) for who, seconds in spent.items()}
        return told | {"all": round(1e6 * sum(spent.values()) / count, 2)}


def cpu_by_place(cluster: Cluster) -> dict[str, float]:
    """CPU seconds that each node has used by now."""
    return {
        place: machine.cpu_seconds(cluster.processes[name].pid)
        for place, name in places(cluster).items()
    }


def spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What was used between two accounts."""
    return {place: round(after[place] - before[place], 3) for place in before}


def in_a_process(module: str, task: Details, environment: dict[str, str] | None = None) -> Any:
    """Have a module of this suite do a task in a process of its own: JSON in, JSON out.  It has these
    variables beside those of this process."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(task),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | (environment or {}),
    )
    assert done.returncode == 0, f"{module} failed"
    return json.loads(done.stdout)
