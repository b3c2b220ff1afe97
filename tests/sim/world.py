"""A world of simulated nodes under one seed: time, events, and what is true of all nodes together."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from tests.history.operations import Operation
from tests.sim.checks import Checks
from tests.sim.network import CALM, Network
from tests.sim.node import HOUR_US, SimNode
from tests.sim.secret_ledger import SecretLedger
from tests.sim.trace import Trace
from tvault.replication.ready import Timing

OWNERS = ("alpha", "beta")
BEGAN_US = 1_780_000_000_000_000
"""When a world begins, in microseconds since 1970."""


class World:
    """Runs events in the order of their time; draws every random choice from one seed."""

    def __init__(
        self, seed: int, nodes: int = 3, timing: Timing | None = None, *, full_trace: bool = False
    ) -> None:
        self.dice = Random(seed)
        self.random = self.dice.random
        self.now = 1_000
        self.moment = 1_000.0
        self.timing = timing if timing is not None else Timing()
        self.trace = Trace(full=full_trace)
        self.counts: Counter[str] = Counter()
        self.operations: list[Operation] = []
        self.lost: str | None = None
        self.padding = b""
        self._events: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self.network = Network(self)
        ensemble = tuple(f"n{i + 1}" for i in range(nodes))
        self.nodes = {name: SimNode(self, name, ensemble, OWNERS) for name in ensemble}
        self.checks = Checks(self)
        self.secrets = SecretLedger(self.dice.randbytes, lambda: self.wall_us() + HOUR_US)

    def post(self, delay: int, action: Callable[..., None], *details: Any) -> None:
        """Do something `delay` ms from now."""
        self._count += 1
        heapq.heappush(self._events, (self.now + delay, self._count, action, details))

    def run(self, duration: int, until: Callable[[], bool] | None = None) -> bool:
        """Let `duration` ms pass, or less if `until` comes true; whether it did.

        `moment` tells events of one millisecond apart: whatever happens has one moment.
        """
        end = self.now + duration
        events, pop = self._events, heapq.heappop
        while events and events[0][0] <= end:
            now, _, action, details = pop(events)
            self.moment = self.moment + 1e-6 if now == self.now else float(now)
            self.now = now
            action(*details)
            if until is not None and until():
                return True
        if end > self.now:
            self.now, self.moment = end, float(end)
        return until is None or until()

    def wall_us(self) -> int:
        """What a wall clock shows that is right, in microseconds since 1970."""
        return BEGAN_US + self.now * 1000

    def note(self, line: str) -> None:
        """Add a line to the trace."""
        self.trace.note(self.now, line)

    # What is true of all nodes together.

    def is_whole(self) -> bool:
        """Whether all nodes are members of one open chain, vote, and know of all that was committed."""
        first: tuple[int, tuple[str, ...]] | None = None
        for node in self.nodes.values():
            if node.life is None or node.is_paused:
                return False
            state = node.life.state
            if not state.can_write or len(state.chain) < len(self.nodes) or not node.may_vote:
                return False
            if first is None:
                first = state.view, state.chain
            if first != (state.view, state.chain) or not node.is_member:
                return False
        return True

    def agrees(self) -> bool:
        """Whether, besides, all journals are one, committed to the end by the knowledge of each."""
        if not self.is_whole():
            return False
        ends = {node.disk.store.last() for node in self.nodes.values()}
        committed = {node.life.state.committed for node in self.nodes.values() if node.life}
        return len(ends) == 1 and committed == {ends.pop().seq}

    def forgives_loss(self) -> bool:
        """Whether the disk that was lost last is rebuilt: its node votes, and every disk holds all that
        was committed.  Only then may another be lost: three nodes tolerate one."""
        if self.lost is None:
            return True
        last = self.checks.last_committed
        for node in self.nodes.values():
            holds_all = node.may_vote and node.disk.store.position(last.seq) == last
            if not holds_all or node.disk.is_doubtful:
                return False
        self.note(f"the disk of {self.lost} is whole again")
        self.lost = None
        return True

    def heal(self) -> None:
        """No more faults: links whole, disks sound, every node up and awake."""
        self.note("all faults end")
        self.network.weather = CALM
        self.network.cuts.clear()
        for node in self.nodes.values():
            node.recover_from_faults()
