"""The links between the nodes of a cluster, each node in a network namespace of its own.

A cut here loses packets, as a broken cable does: connections are not told, and what was sent is sent
again for ever longer.  Needs root and `ip`; no packet leaves the machine.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from random import SystemRandom

from tests.cluster.cluster import Cluster
from tests.cluster.wires import Mode, Pair

NOBODY = "02:00:00:00:00:01"
"""The hardware address of no interface: what is sent there is lost."""


class Namespaces:
    """Moves the nodes of a cluster that does not run yet into namespaces; `close` takes these away.

    Fills the same place as `wires.Wires`: `hold` and `reset` both lose packets, and a delay is none.
    Raises `OSError` or `CalledProcessError` where the machine does not allow it.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.pairs: list[Pair] = [(a, b) for a in cluster.nodes for b in cluster.nodes if a != b]
        number = SystemRandom().randrange(256)
        self._space = {name: f"tvault{number}-{name}" for name in cluster.nodes}
        self._address = {name: f"198.18.{number}.{i}" for i, name in enumerate(cluster.nodes, 1)}
        self._hardware = {name: f"02:00:00:00:01:{i:02x}" for i, name in enumerate(cluster.nodes, 1)}
        self._undo = ExitStack()
        bridge = f"tvault{number}"
        try:
            self._make(f"link add {bridge} type bridge", f"link del {bridge}")
            _ip(f"addr add 198.18.{number}.254/24 dev {bridge}", f"link set {bridge} up")
            for i, name in enumerate(cluster.nodes, 1):
                self._add(name, bridge, f"tv{number}-{i}")
            self.heal()
        except BaseException:
            self.close()
            raise
        self._move(cluster)

    def _add(self, name: str, bridge: str, outside: str) -> None:
        space = self._space[name]
        self._make(f"netns add {space}", f"netns del {space}")
        hardware, address = self._hardware[name], self._address[name]
        self._make(
            f"link add {outside} type veth peer name eth0 address {hardware} netns {space}",
            f"link del {outside}",  # a namespace lives on with the connections that were not closed
        )
        _ip(
            f"link set {outside} master {bridge} up",
            f"-n {space} addr add {address}/24 dev eth0",
            f"-n {space} link set eth0 up",
            f"-n {space} link set lo up",
        )

    def _make(self, command: str, undo: str) -> None:
        _ip(command)
        self._undo.callback(_ip, undo)

    def _move(self, cluster: Cluster) -> None:
        text = cluster.config.read_text()
        for name in cluster.nodes:
            for urls in (cluster.nodes, cluster.peers):
                here = urls[name].removeprefix("http://")
                there = here.replace("127.0.0.1", self._address[name])
                text = text.replace(f'"{here}"', f'"{there}"')
                urls[name] = f"http://{there}"
            cluster.prefixes[name] = ("ip", "netns", "exec", self._space[name])
        cluster.config.write_text(text.replace("# insecure = false", "insecure = true"))

    def set(self, pairs: Iterable[Pair], mode: Mode, delay_ms: int = 0) -> None:  # noqa: ARG002
        """Lose what these nodes send, or let it pass."""
        orders: defaultdict[str, list[str]] = defaultdict(list)
        for sender, receiver in pairs:
            hardware = self._hardware[receiver] if mode == "pass" else NOBODY
            entry = f"{self._address[receiver]} lladdr {hardware} dev eth0 nud permanent"
            orders[sender].append(f"neigh replace {entry}\n")
        for sender, lines in orders.items():
            command = ("ip", "-n", self._space[sender], "-batch", "-")
            subprocess.run(command, input="".join(lines).encode(), check=True, capture_output=True)

    def heal(self) -> None:
        """Let everything through."""
        self.set(self.pairs, "pass")

    def close(self) -> None:
        """Take the namespaces away, with the nodes that still run there left to their owner."""
        self._undo.close()


def _ip(*commands: str) -> None:
    if shutil.which("ip") is None:
        raise OSError("there is no command 'ip'")
    for command in commands:
        subprocess.run(("ip", *command.split()), check=True, capture_output=True)
