"""The links between the nodes of a cluster, led through a proxy that can cut and slow them down."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from tests.cluster.cluster import Cluster

Pair = tuple[str, str]
"""Who sends, and who receives."""

Mode = Literal["pass", "hold", "reset"]


class Wires:
    """Gives each node of a cluster that does not run yet a configuration of its own, in which the
    others are reached through a proxy.  Everything gets through until `set`; `close` ends the proxy."""

    def __init__(self, cluster: Cluster) -> None:
        self.pairs: list[Pair] = [(a, b) for a in cluster.nodes for b in cluster.nodes if a != b]
        targets = {_name(pair): int(cluster.peers[pair[1]].rsplit(":", 1)[1]) for pair in self.pairs}
        self._proxy = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.proxy", json.dumps(targets)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        self.ports: dict[str, int] = self._line()
        text = cluster.config.read_text()
        for name in cluster.nodes:
            own = text
            for other in cluster.nodes:
                if other != name:
                    old, port = targets[f"{name}>{other}"], self.ports[f"{name}>{other}"]
                    own = re.sub(
                        rf'^peer = "127\.0\.0\.1:{old}"', f'peer = "127.0.0.1:{port}"', own, flags=re.M
                    )
            cluster.configs[name] = cluster.folder / f"tvault-{name}.toml"
            cluster.configs[name].write_text(own)

    def set(self, pairs: Iterable[Pair], mode: Mode, delay_ms: int = 0) -> None:
        """What happens from now on to messages that these nodes send: they pass, after a delay; they
        are held back until they may pass; or connections break and none is taken."""
        assert self._proxy.stdin is not None
        order = {_name(pair): (mode, delay_ms) for pair in pairs}
        self._proxy.stdin.write(json.dumps(order).encode() + b"\n")
        self._proxy.stdin.flush()
        assert self._line() == "done"

    def heal(self) -> None:
        """Let everything through at once."""
        self.set(self.pairs, "pass")

    def close(self) -> None:
        """End the proxy."""
        self._proxy.communicate(timeout=10)

    def _line(self) -> Any:
        assert self._proxy.stdout is not None
        return json.loads(self._proxy.stdout.readline())


def _name(pair: Pair) -> str:
    return f"{pair[0]}>{pair[1]}"
