"""Clients that tokenize ever new values, and what of it can be measured: gaps and stalls."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import requests

from tests.cluster.cluster import Cluster
from tvault.client.vault import Vault

CLIENTS = 8
ANSWER_SECONDS = 2.0
RETRY_SECONDS = 0.02

Write = Callable[[Sequence[str]], Sequence[str | None]]
"""Has values tokenized, with as many tries as it takes, until told to stop."""


class Writers:
    """Clients in threads of their own, each of which writes `values` new values a call, until told to
    stop: as fast as it is answered, or `every_s` seconds.

    By default a client asks one node and moves on to the next when that fails, with a short pause;
    with `through_library`, it calls the client library, and whatever that raises is raised at the end.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        *,
        clients: int = CLIENTS,
        values: int = 20,
        every_s: float = 0.0,
        through_library: bool = False,
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._values = values
        self._every_s = every_s
        self._through_library = through_library
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._clients: list[Future[None]] = []
        self._count = clients
        self._lock = threading.Lock()
        self._calls: list[tuple[float, float]] = []
        self._tokens: dict[str, str] = {}

    def __enter__(self) -> Writers:
        self._clients = [self._pool.submit(self._run, number) for number in range(self._count)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._pool.shutdown()
        for client in self._clients:
            client.result()

    def _run(self, number: int) -> None:
        if not self._through_library:
            with requests.Session() as session:
                session.trust_env = False
                self._write_on(number, _Wanderer(self._cluster, session, number, self._stopping))
            return
        with Vault(list(self._cluster.nodes.values()), self._cluster.keys["A"], deadline_s=30) as vault:
            self._write_on(number, lambda values: vault.tokenize(values).tokens)

    def _write_on(self, number: int, write: Write) -> None:
        start = time.monotonic()
        for turn in itertools.count():
            due = time.monotonic()
            if self._every_s:
                due = start + self._every_s * (turn + number / self._count)
            if self._stopping.wait(max(0.0, due - time.monotonic())):
                return
            values = [f"{self._name} {number} {turn} {i}" for i in range(self._values)]
            tokens = write(values)
            with self._lock:
                if tokens:
                    self._calls.append((due, time.monotonic()))
                    self._tokens.update(zip(values, map(str, tokens), strict=True))

    # What was measured.

    def count(self) -> int:
        """How many calls were acknowledged by now."""
        with self._lock:
            return len(self._calls)

    def tokens(self) -> dict[str, str]:
        """The token of each value that was acknowledged by now."""
        with self._lock:
            return dict(self._tokens)

    def gap(self, begin: float, end: float) -> float:
        """The longest time, in an interval, in which no client's call was acknowledged."""
        with self._lock:
            moments = sorted(moment for _, moment in self._calls if begin < moment < end)
        return max(late - early for early, late in itertools.pairwise([begin, *moments, end]))

    def stall(self, begin: float, end: float) -> float:
        """The longest time from when a client wanted to write to when that was acknowledged, of the
        calls that ended in an interval."""
        with self._lock:
            return max((late - early for early, late in self._calls if begin < late < end), default=0.0)


class _Wanderer:
    """Asks one node as long as it answers, then the next."""

    def __init__(
        self, cluster: Cluster, session: requests.Session, number: int, stopping: threading.Event
    ) -> None:
        self._urls = list(cluster.nodes.values())
        self._headers = {"Authorization": f"Bearer {cluster.keys['A']}"}
        self._session = session
        self._at = number % len(self._urls)
        self._stopping = stopping

    def __call__(self, values: Sequence[str]) -> Sequence[str]:
        while not self._stopping.is_set():
            try:
                answer = self._session.post(
                    self._urls[self._at] + "/tokenize",
                    json={"values": values},
                    headers=self._headers,
                    timeout=ANSWER_SECONDS,
                )
            except requests.RequestException:
                answer = None
            if answer is not None and answer.status_code == 200:
                tokens: list[str] = answer.json()["tokens"]
                return tokens
            assert answer is None or answer.status_code == 503, answer.text
            self._at = (self._at + 1) % len(self._urls)
            self._stopping.wait(RETRY_SECONDS)
        return []
