"""A world of simulated nodes under one seed: time, network, faults.  The same seed, the same run."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from tests.sim.checks import Checks
from tests.sim.node import SimNode
from tvault.replication import codec
from tvault.replication.messages import Envelope
from tvault.replication.ready import Ready

OWNERS = ("alpha", "beta")


@dataclass(frozen=True)
class Weather:
    """How bad the network is: chances of loss and duplication, and the longest delay in ms."""

    loss: float = 0.0
    duplicates: float = 0.0
    delay_ms: int = 4


CALM = Weather()


class World:
    """Runs events in the order of their time; draws every random choice from one seed."""

    def __init__(self, seed: int, nodes: int = 3) -> None:
        self.seed = seed
        self.dice = Random(seed)
        self.now = 1_000
        self.weather = CALM
        self.cut: set[tuple[str, str]] = set()
        self.wiped: set[str] = set()
        self.trace: list[str] = []
        ensemble = tuple(f"n{i + 1}" for i in range(nodes))
        self.nodes = {name: SimNode(self, name, ensemble, OWNERS) for name in ensemble}
        self.checks = Checks(self)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def start(self) -> None:
        """Start every node, at about the same time."""
        for name in self.nodes:
            self.after(self.dice.randint(0, 200), partial(self.restart, name))

    def after(self, delay: int, action: Callable[[], None]) -> None:
        """Do something `delay` ms from now."""
        self._count += 1
        heapq.heappush(self._events, (self.now + delay, self._count, action))

    def run(self, duration: int, until: Callable[[], bool] | None = None) -> bool:
        """Let `duration` ms pass, or less if `until` comes true; whether it did."""
        end = self.now + duration
        while self._events and self._events[0][0] <= end:
            self.now, _, action = heapq.heappop(self._events)
            action()
            self.checks.after_event()
            if until is not None and until():
                return True
        self.now = end
        return until is None or until()

    def send(self, envelope: Envelope, to: str) -> None:
        """Put a message on the wire, as bytes; it may be lost, doubled, late and out of order."""
        frame = codec.encode(envelope)
        weather = self.weather
        copies = 1 + (self.dice.random() < weather.duplicates) - (self.dice.random() < weather.loss)
        for _ in range(copies):
            delay = self.dice.randint(0, weather.delay_ms)
            self.after(delay, lambda: self._deliver(envelope.sender, to, frame))

    def noticed(self, node: str, ready: Ready) -> None:
        """Keep what a node tells people, for the trace of a failing seed."""
        for notice in ready.notices:
            self.note(f"{node} {notice.event} {notice.details}")

    def note(self, line: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.now:>7} {line}")

    def _deliver(self, sender: str, to: str, frame: bytes) -> None:
        if (sender, to) not in self.cut and self.nodes[to].life is not None:
            self.nodes[to].receive(codec.decode(frame))

    # Faults.

    def crash(self, name: str) -> None:
        """Kill a node, if it lives."""
        if self.nodes[name].life is not None:
            self.note(f"{name} crashes")
            self.nodes[name].crash()

    def restart(self, name: str) -> None:
        """Start a node, if it is down."""
        if self.nodes[name].life is None:
            self.note(f"{name} starts")
            self.nodes[name].start()

    def wipe(self, name: str) -> None:
        """Kill a node and lose its disk."""
        self.crash(name)
        self.note(f"{name} loses its disk")
        self.nodes[name].wipe()
        self.wiped.add(name)

    def heal(self) -> None:
        """No more faults: links whole, every node up."""
        self.weather = CALM
        self.cut.clear()
        for name in self.nodes:
            self.restart(name)

    def agrees(self) -> bool:
        """Whether all nodes are members of one view with one journal, committed to its end."""
        lives = [node.life for node in self.nodes.values()]
        states = [life.replica.state() for life in lives if life is not None]
        ends = {node.disk.store.last() for node in self.nodes.values()}
        views = {(state.view, state.can_write, state.committed) for state in states}
        if len(states) < len(self.nodes) or len(ends) > 1 or len(views) > 1:
            return False
        voters = all(node.disk.is_voter for node in self.nodes.values())
        return voters and states[0].can_write and states[0].committed == ends.pop().seq
