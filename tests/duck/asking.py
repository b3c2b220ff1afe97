"""What the nodes of a cluster were asked, as their event logs have it."""

from __future__ import annotations

from typing import Any

from tests.cluster.cluster import Cluster


class Asked:
    """Counts requests and what was in them, since it was made or last told.

    A node writes an event before it answers.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._passed = self._read()

    def told(self, event: str = "detokenize") -> list[int]:
        """How many tokens or values each request since the last time held."""
        events, before = self._read(), self._passed
        self._passed = events
        new = [one for name, listed in events.items() for one in listed[len(before[name]) :]]
        return [one["values"] for one in new if one["event"] == event]

    def _read(self) -> dict[str, list[dict[str, Any]]]:
        return {name: self._cluster.events(name) for name in self._cluster.nodes}
