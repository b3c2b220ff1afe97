"""A real cluster for tests: processes of the installed executable, real ports, real files."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import requests

from tvault.events import EVENTS, Filter, pages, read
from tvault.events.catalog import COMMON

READY_SECONDS = 20.0
POLL_SECONDS = 0.02

GATEWAY = "gateway"
"""What a cluster's gateway is called, unless there are several."""


def free_base_port(nodes: int, hundreds: int = 2) -> int:
    """A base whose ports can all be bound now, below those that connections are given: one of each
    hundred for each node, the first for clients, the second for nodes."""
    for _ in range(200):
        base = random.SystemRandom().randrange(12_000, 32_000)
        ports = [base + 100 * hundred + i for hundred in range(hundreds) for i in range(1, nodes + 1)]
        if all(_can_bind(port) for port in ports):
            return base
    raise AssertionError("no free ports on this machine")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def tvault(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tvault", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | environment,
    )


def eventually(true: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
    """Wait until something observable comes true."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        pause.wait(POLL_SECONDS)


class Cluster:
    """`tvault init` in `folder`, one process a node, started and killed at will."""

    def __init__(
        self,
        folder: Path,
        nodes: int = 3,
        fields: tuple[str, ...] = ("ssn",),
        owners: tuple[str, ...] = ("A", "B"),
        hundreds: int = 2,
    ) -> None:
        self.folder = folder
        self.owner = owners[0]
        self.base_port = free_base_port(nodes, hundreds)
        arguments = [part for owner in owners for part in ("--owner", owner)]
        arguments += [part for field in fields for part in ("--field", field)]
        done = tvault(
            "init",
            str(folder),
            "--nodes",
            str(nodes),
            "--base-port",
            str(self.base_port),
            *arguments,
            "--json",
        )
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        self.config = folder / "tvault.toml"
        self.nodes: dict[str, str] = {node["id"]: node["api"] for node in document["nodes"]}
        self.peers: dict[str, str] = {node["id"]: node["peer"] for node in document["nodes"]}
        self.keys = {owner["id"]: owner["api_key"] for owner in document["owners"]}
        self.gateways: dict[str, str] = {}
        self.configs = dict.fromkeys(self.nodes, self.config)
        self.prefixes: dict[str, tuple[str, ...]] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._logged: dict[str, int] = {}
        self.session = requests.Session()
        self.session.trust_env = False

    # Processes.

    def start(self, *names: str) -> None:
        """Start nodes (all, without names) and return at once."""
        for name in names or tuple(self.nodes):
            self._serve(name, self.configs[name], "--node", name)

    def start_gateway(self, name: str = GATEWAY, config: Path | None = None) -> None:
        """Start a gateway, anew at its old port if there was one, and return at once."""
        if name not in self.gateways:
            self.gateways[name] = f"http://127.0.0.1:{free_base_port(1) + 1}"
        address = self.gateways[name].removeprefix("http://")
        self._serve(name, config or self.config, "--gateway", "--listen", address)

    def open(self) -> None:
        """Start all nodes and a gateway, and wait until they are one whole vault."""
        self.start()
        self.start_gateway(GATEWAY)
        self.wait_until_whole()
        eventually(lambda: self.health(GATEWAY) == "ok")

    def _serve(self, name: str, config: Path, *arguments: str) -> None:
        with self.log(name).open("ab") as log:
            self._logged[name] = log.tell()
            command = (*self.prefixes.get(name, ()), sys.executable, "-m", "tvault", "serve")
            self.processes[name] = subprocess.Popen(
                [*command, "--config", str(config), *arguments],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def kill(self, name: str) -> None:
        """End a node at once, as a crash does."""
        self.signal(name, signal.SIGKILL)
        self.wait_for_end(name)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a node's process; one that is to stand still does so on return."""
        process = self.processes[name]
        process.send_signal(number)
        if number == signal.SIGSTOP:
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def wait_for_end(self, name: str) -> tuple[int, str]:
        """The exit code of a node that ends, and what it wrote to stderr."""
        code = self.processes.pop(name).wait(timeout=30)
        return code, self.said(name)

    def said(self, name: str) -> str:
        """What a node has written to stderr since its last start."""
        return self.log(name).read_bytes()[self._logged[name] :].decode()

    def ended(self) -> list[str]:
        """The nodes whose processes have ended by themselves."""
        return [name for name, process in self.processes.items() if process.poll() is not None]

    def data(self, name: str) -> Path:
        """The folder that is all of a node's state."""
        return self.folder / "data" / name

    def log(self, name: str) -> Path:
        """What a node has written to stderr in all its lives."""
        return self.folder / f"{name}.log"

    def stop(self) -> None:
        """End all that runs."""
        for name in list(self.processes):
            self.kill(name)
        self.session.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_until_healthy(self) -> None:
        """Until every node takes writes."""
        eventually(lambda: all(self.is_healthy(name) for name in self.nodes))

    def wait_until_whole(self, seconds: float = READY_SECONDS) -> None:
        """Until every node is in the chain."""
        eventually(self.is_whole, seconds)

    def is_whole(self) -> bool:
        """Whether all nodes say that they are in the same chain of all, and well."""
        told = [self.glance(name) for name in self.nodes]
        chains = {(status["view"], *status["chain"]) if status else () for status in told}
        return (
            len(chains) == 1
            and len(chains.pop()) == 1 + len(self.nodes)
            and all(self.health(name) == "ok" for name in self.nodes)
        )

    # Clients.

    def url(self, name: str) -> str:
        """Where clients reach a node or a gateway."""
        return self.gateways.get(name) or self.nodes[name]

    def health(self, name: str) -> str:
        """What a node says of its health; empty when it does not answer."""
        document = self.glance(name, "/health")
        return "" if document is None else str(document["status"])

    def is_healthy(self, name: str) -> bool:
        """Whether the node says that it can take writes now."""
        try:
            return self.session.get(self.url(name) + "/health", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def glance(self, name: str, path: str = "/status", seconds: float = 1.0) -> dict[str, Any] | None:
        """The document that a GET answers, whatever its status, or None when none comes in time."""
        headers = {"Authorization": f"Bearer {self.keys[self.owner]}"}
        try:
            answer = self.session.get(self.url(name) + path, headers=headers, timeout=seconds)
            document: dict[str, Any] = answer.json()
        except requests.RequestException:
            return None
        return document

    def post(
        self, name: str, path: str, body: object, owner: str = "", timeout: float = 30
    ) -> requests.Response:
        """One call, once, to one node."""
        headers = {"Authorization": f"Bearer {self.keys[owner or self.owner]}"}
        return self.session.post(self.url(name) + path, json=body, headers=headers, timeout=timeout)

    def ask(
        self, name: str, method: str, path: str, body: object = None, **headers: str
    ) -> requests.Response:
        """One call of the first owner, once, on a connection of its own; headers' names have `_` for
        `-`."""
        named = {header.replace("_", "-"): text for header, text in headers.items()}
        bearer = {"Authorization": f"Bearer {self.keys[self.owner]}"}
        url = self.url(name) + path
        return requests.request(method, url, json=body, headers=bearer | named, timeout=30)

    def get(self, name: str, path: str, owner: str = "") -> Any:
        """The document that a GET answers."""
        headers = {"Authorization": f"Bearer {self.keys[owner or self.owner]}"}
        answer = self.session.get(self.url(name) + path, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def tokenize(self, name: str, values: list[Any], owner: str = "") -> list[str]:
        """The tokens of values, which must be acknowledged: at once, or by a retry after a 503, as any
        client does while a view is still settling."""
        answers: list[requests.Response] = []

        def is_answered() -> bool:
            answers.append(self.post(name, "/tokenize", {"values": values}, owner))
            return answers[-1].status_code != 503

        eventually(is_answered)
        answer = answers[-1]
        assert answer.status_code == 200, answer.text
        tokens: list[str] = answer.json()["tokens"]
        return tokens

    def detokenize(self, name: str, tokens: list[str], owner: str = "") -> list[Any]:
        """The values of tokens, None where not found; the call must be answered."""
        answer = self.post(name, "/detokenize", {"tokens": tokens}, owner)
        assert answer.status_code == 200, answer.text
        values: list[Any] = answer.json()["values"]
        return values

    def status(self, name: str) -> Any:
        """The node's own account of itself."""
        return self.get(name, "/status")

    def by_role(self, role: str) -> str:
        """The node that has a role now."""
        return next(name for name in list(self.nodes) if self.status(name)["role"] == role)

    def agree(self) -> bool:
        """Whether all nodes have one committed journal, to its end."""
        journals = [self.status(name)["journal"] for name in self.nodes]
        return all(j == journals[0] and j["last"] == j["committed"] for j in journals)

    def events(self, name: str, *wanted: str) -> list[dict[str, Any]]:
        """What a node has noted: all of it, or the events of these names.  None is without a field that
        the catalog names, or has another one."""
        if not self.data(name).is_dir():
            return []
        log = pages(partial(read, self.data(name), Filter(events=frozenset(wanted))))
        events = [event for page in log for event in page.events]
        for event in events:
            assert set(event) == {*COMMON, *EVENTS[event["event"]].fields}, event
        return events
