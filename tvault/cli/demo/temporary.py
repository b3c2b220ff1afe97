"""A cluster of three nodes that is gone when the demo is."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from tvault.cli.demo.patients import FIELDS
from tvault.cli.nodes import Nodes
from tvault.cli.overview import Overview
from tvault.cli.processes import NodeProcess
from tvault.client.vault import Vault
from tvault.config import Config, load
from tvault.errors import VaultError

NODES = 3
OWNER, OTHER_OWNER = "clinic", "lab"
FOLDER = "cluster"
CONFIG = f"{FOLDER}/tvault.toml"

FIRST_PORT, LAST_PORT = 12_000, 32_000
"""Below those that a system gives to connections."""

PEER_PORTS_ABOVE = 100
TRIES = 5
"""How often a start is tried: a port that was free may be taken before a node has it."""

LOOK_SECONDS = 0.05
HEALTH_SECONDS = 1.0
WAIT_SECONDS = 60.0
COMMAND_SECONDS = 600.0
END_SECONDS = 10.0
LOG_LINES = 3

NOT_HANDED_ON = "TVAULT_"
"""Variables that begin so would lead to another cluster than this one."""

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class TemporaryCluster:
    """Its folder, its nodes as processes of this machine, and the commands that are run on it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.nodes: dict[str, NodeProcess] = {}
        self.keys: dict[str, str] = {}
        self._gone: set[str] = set()
        self._config: Config | None = None

    @property
    def config(self) -> Config:
        """What `tvault init` has written."""
        if self._config is None:
            self._config = load(str(self.place / CONFIG), {})
        return self._config

    def init_command(self) -> str:
        """How the folder is made, at ports that are free at this moment."""
        fields = " ".join(f"--field {shlex.quote(field)}" for field in FIELDS)
        return (
            f"tvault init {FOLDER} --base-port {_free_base_port()} \\\n"
            f"    --owner {OWNER} --owner {OTHER_OWNER} \\\n    {fields} \\\n    --json > init.json"
        )

    def take_keys(self) -> None:
        """Put each owner's API key, as `init` has told it, into a file that this user alone can read."""
        for owner in json.loads((self.place / "init.json").read_bytes())["owners"]:
            self.keys[owner["id"]] = owner["api_key"]
            file = os.open(self.place / f"{owner['id']}.key", os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(file, "w") as opened:
                opened.write(owner["api_key"] + "\n")

    def try_to_start(self) -> bool:
        """Start all nodes.  False, and as if nothing had been, when one finds its port taken."""
        for node in self.config.nodes:
            self.start(node.id)
        try:
            self.wait(
                "every node answers", lambda: all(self._is_up(each) for each in self.nodes.values())
            )
        except VaultError:
            if not any("ddress already in use" in self.log(name) for name in self.nodes):
                raise
            self.end()
            shutil.rmtree(self.place / FOLDER)
            self._config = None
            return False
        return True

    def start(self, name: str) -> None:
        """Start one node; its log goes on."""
        self._gone.discard(name)
        with (self.place / f"{name}.log").open("ab") as log:
            self.nodes[name] = NodeProcess(self.config.path, self.config.node(name), None, log)

    def kill(self, name: str) -> None:
        """Let the node have no moment more."""
        self._gone.add(name)
        self.nodes[name].kill()

    def log(self, name: str) -> str:
        """What a node has said so far."""
        return (self.place / f"{name}.log").read_text("utf-8", "replace")

    def settled(self, what: str, is_so: Callable[[Overview], bool]) -> Overview:
        """What the nodes say of themselves once all are in one chain and this is so."""
        said: list[Overview] = []

        def is_settled() -> bool:
            said[:] = [Overview.of(Nodes(self.config), HEALTH_SECONDS)]
            return said[0].state == "whole" and is_so(said[0])

        self.wait(what, is_settled)
        return said[0]

    def chain(self) -> list[str]:
        """The chain from its head on, once all nodes are in it."""
        said = self.settled("all nodes are in one chain", lambda told: bool(told.nodes[0]["chain"]))
        chain: list[str] = said.nodes[0]["chain"]
        return chain

    def vault(self, name: str | None = None, owner: str = OWNER) -> Vault:
        """The library, at one node or at all of them."""
        urls = [node.api.url for node in self.config.nodes if name in (None, node.id)]
        return Vault(urls, self.keys[owner], deadline_s=WAIT_SECONDS)

    def wait(
        self,
        what: str,
        is_so: Callable[[], bool],
        look_s: float = LOOK_SECONDS,
        most_s: float = WAIT_SECONDS,
    ) -> None:
        """Wait until it is so, as long as all nodes run that should.  Raises `VaultError`."""
        end = time.monotonic() + most_s
        while not is_so():
            self.look()
            if time.monotonic() > end:
                raise VaultError("unavailable", f"waited {most_s:.0f} s in vain until {what}")
            time.sleep(look_s)

    def look(self) -> None:
        """Raise `VaultError` when a node has ended that was not told to."""
        for name, node in self.nodes.items():
            if name not in self._gone and node.has_just_ended():
                last = "\n".join(self.log(name).splitlines()[-LOG_LINES:])
                raise VaultError(
                    "unavailable",
                    f"node {name} has ended by itself ({node.ending}); its log ends:\n{last}",
                )

    def run(self, command: str, expected: int = 0) -> str:
        """What the shell's command prints.  Raises `VaultError` when its exit code is another one."""
        code, text = self.ended(command)
        if code != expected:
            raise VaultError("internal", f"exit code {code} of: {command}\n{text.rstrip()}")
        return text

    def ended(self, command: str) -> tuple[int, str]:
        """The exit code of the shell's command, and what it prints on stdout and stderr.

        Raises `VaultError` when a node ends meanwhile, and when the command takes too long.
        """
        with tempfile.TemporaryFile(dir=self.place) as printed:
            with self.begun(command, printed) as process:
                self.wait(
                    f"this ends: {command}", lambda: process.poll() is not None, most_s=COMMAND_SECONDS
                )
            printed.seek(0)
            return process.returncode, printed.read().decode("utf-8", "replace")

    @contextmanager
    def begun(
        self, command: str, output: IO[bytes], errors: IO[bytes] | int = subprocess.STDOUT
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A command of the shell while it runs, in a session of its own: it ends with this context.

        `tvault` is this installation, whatever the path says.
        """
        ours = f'tvault() {{ {shlex.quote(sys.executable)} -m tvault "$@"; }}\n'
        process = subprocess.Popen(  # noqa: S603 - our own commands
            ["/bin/sh", "-c", ours + command],
            cwd=self.place,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def end(self) -> None:
        """End all nodes, and wait until they have."""
        for node in self.nodes.values():
            node.ask_to_end()
        for node in self.nodes.values():
            node.wait_for_end(END_SECONDS)
        self.nodes.clear()

    def _environment(self) -> dict[str, str]:
        rest = {name: text for name, text in os.environ.items() if not name.startswith(NOT_HANDED_ON)}
        ours = {"TVAULT_CONFIG": CONFIG, "PYTHONUNBUFFERED": "1"}
        if OWNER in self.keys:
            ours["TVAULT_API_KEY"] = self.keys[OWNER]
        return {**rest, **ours}

    def _is_up(self, node: NodeProcess) -> bool:
        return node.is_up or node.has_just_come_up(HEALTH_SECONDS)


@contextmanager
def temporary_cluster(*, is_kept: bool) -> Iterator[TemporaryCluster]:
    """A folder for a cluster; whatever happens, its nodes are ended, and it is removed unless it is to
    be kept."""
    place = Path(tempfile.mkdtemp(prefix="tvault-demo-"))
    cluster = TemporaryCluster(place)
    try:
        yield cluster
    finally:
        before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
        try:
            cluster.end()
        finally:
            if not is_kept:
                shutil.rmtree(place, ignore_errors=True)
            for number, handler in before.items():
                signal.signal(number, handler)


def _free_base_port() -> int:
    """A base above which all ports of the nodes can be bound now."""
    dice = random.SystemRandom()
    for _ in range(200):
        base = dice.randrange(FIRST_PORT, LAST_PORT)
        ports = [
            base + more + number for more in (0, PEER_PORTS_ABOVE) for number in range(1, NODES + 1)
        ]
        if all(_can_bind(port) for port in ports):
            return base
    raise VaultError("usage", f"no free ports between {FIRST_PORT} and {LAST_PORT} on this machine")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
        return False
