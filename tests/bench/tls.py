"""What TLS costs: two clusters, one with it and one without, asked in turn; figures are ratios.

    python -m tests.bench.tls

Prints the table of docs/how-to/tls.md.
"""

from __future__ import annotations

import http.client
import json
import ssl
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench import machine
from tests.certificates import issued
from tests.cluster.cluster import Cluster
from tests.cluster.secure import HOST, speak_tls
from tvault.client.vault import Vault
from tvault.trust import verifying

ROUNDS = 12
CALLS = 150
REQUESTS = 12
VALUES = 5000
CONNECTIONS = 60
KINDS = {
    "call": "a single value, new, over a connection that stands",
    "bulk": "5,000 values a request, new, by the library",
    "connection": "a connection and one GET /health",
}


@dataclass
class Costs:
    """Of one kind on one cluster: seconds of each round, and CPU seconds of the client and all nodes."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


class Subject:
    """One of the two clusters."""

    def __init__(self, cluster: Cluster, ca: Path | None) -> None:
        self._cluster = cluster
        self._context = None if ca is None else verifying(ca)
        self._vault = Vault([cluster.nodes["n1"]], cluster.keys["A"], ca=ca)
        self._address = urlsplit(cluster.nodes["n1"]).netloc
        self._connection = self._connect()
        self._made = 0
        self.costs = {kind: Costs() for kind in KINDS}

    def _connect(self) -> http.client.HTTPConnection:
        if self._context is None:
            return http.client.HTTPConnection(self._address)
        return http.client.HTTPSConnection(self._address, context=self._context)

    def round(self) -> None:
        """Each kind once."""
        for kind, act in (("call", self._call), ("bulk", self._bulk), ("connection", self._greet)):
            self._measure(self.costs[kind], act)

    def _measure(self, costs: Costs, act: Callable[[], float]) -> None:
        before = self._cpu()
        costs.seconds.append(act())
        costs.cpu.append(self._cpu() - before)

    def _cpu(self) -> float:
        nodes = (process.pid for process in self._cluster.processes.values())
        return time.process_time() + sum(machine.cpu_seconds(pid) for pid in nodes)

    def _call(self) -> float:
        """The median of so many calls."""
        headers = {
            "Authorization": f"Bearer {self._cluster.keys['A']}",
            "Content-Type": "application/json",
        }
        times = []
        for value in self._values(CALLS):
            began = time.perf_counter()
            self._connection.request("POST", "/tokenize", json.dumps({"values": [value]}), headers)
            answer = self._connection.getresponse()
            answer.read()
            times.append(time.perf_counter() - began)
            assert answer.status == 200
        return statistics.median(times)

    def _bulk(self) -> float:
        batches = [self._values(VALUES) for _ in range(REQUESTS)]
        began = time.perf_counter()
        for batch in batches:
            self._vault.tokenize(batch)
        return (time.perf_counter() - began) / REQUESTS

    def _greet(self) -> float:
        times = []
        for _ in range(CONNECTIONS):
            began = time.perf_counter()
            connection = self._connect()
            connection.request("GET", "/health")
            connection.getresponse().read()
            connection.close()
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    def _values(self, count: int) -> list[str]:
        first, self._made = self._made, self._made + count
        return [f"{number:032}" for number in range(first, first + count)]


ACTS = {"call": CALLS, "bulk": REQUESTS, "connection": CONNECTIONS}
"""How often each kind is done in a round."""


def main() -> None:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        subjects = []
        for name in ("plain", "tls"):
            cluster = stack.enter_context(Cluster(Path(place) / name))
            files = issued(Path(place) / name / "tls", HOST) if name == "tls" else None
            if files is not None:
                speak_tls(cluster, files)
            cluster.start()
            cluster.wait_until_whole()
            subjects.append(Subject(cluster, files and files.ca))
        for number in range(ROUNDS):
            for subject in subjects[:: 1 if number % 2 else -1]:
                subject.round()
        plain, secure = subjects
        print(f"{ssl.OPENSSL_VERSION}, {len(plain.costs['call'].seconds)} rounds of each in turn\n")
        print("| what | plain, ms | TLS, ms | ratio | CPU of all, plain, ms | TLS, ms | ratio |")
        print("|---|---|---|---|---|---|---|")
        for kind, title in KINDS.items():
            print(f"| {title} | {row(plain.costs[kind], secure.costs[kind], ACTS[kind])} |")


def row(plain: Costs, secure: Costs, times: int) -> str:
    """The cells of a kind, that is done so often in a round."""
    cells = []
    for one, other in ((plain.seconds, secure.seconds), (plain.cpu, secure.cpu)):
        share = 1 if one is plain.seconds else times
        before, after = (1e3 * statistics.median(each) / share for each in (one, other))
        cells += [f"{before:.2f}", f"{after:.2f}", f"{after / before:.2f}"]
    return " | ".join(cells)


if __name__ == "__main__":
    main()
