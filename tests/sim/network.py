"""The links between simulated nodes: loss, duplicates, delays, reordering, cuts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tvault.replication import codec
from tvault.replication.messages import Envelope
from tvault.replication.sense import nonsense

if TYPE_CHECKING:
    from tests.sim.world import World

CODEC_EVERY = 16
"""Every so many messages one passes as bytes, the others as the frozen values that they are."""


@dataclass(frozen=True)
class Weather:
    """How bad the network is: chances of loss, of duplication and of a delay of up to `spike_ms`, and
    the longest usual delay in ms.  `ordered`: what one node sends to another keeps its order."""

    loss: float = 0.0
    duplicates: float = 0.0
    spikes: float = 0.0
    spike_ms: int = 300
    delay_ms: int = 3
    ordered: bool = True


CALM = Weather()


class Network:
    """Carries envelopes.  `cuts` holds the (sender, receiver) pairs between which nothing passes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.weather = CALM
        self.cuts: dict[tuple[str, str], bool] = {}
        self._busy_until: dict[tuple[str, str], int] = {}
        self.sent = 0

    def send(self, envelope: Envelope, to: str) -> None:
        """Put a message on the wire; it may be lost, doubled, late and out of order."""
        world = self._world
        if world.trace.full:
            world.trace.message(world.now, "->", envelope, to)
        self.sent += 1
        assert nonsense(envelope, tuple(world.nodes)) is None, envelope
        if self.sent % CODEC_EVERY == 0:
            decoded = codec.decode(codec.encode(envelope))
            assert decoded == envelope, f"{envelope} came back as {decoded}"
            envelope = decoded
        weather, random = self.weather, world.random
        if weather is CALM:
            self._carry(envelope, to, int(random() * 4))
            return
        copies = 1 + (random() < weather.duplicates) - (random() < weather.loss)
        for _ in range(copies):
            limit = weather.spike_ms if random() < weather.spikes else weather.delay_ms
            self._carry(envelope, to, int(random() * (limit + 1)))

    def _carry(self, envelope: Envelope, to: str, delay: int) -> None:
        world = self._world
        if self.weather.ordered:
            link = (envelope.sender, to)
            arrival = max(world.now + delay, self._busy_until.get(link, 0))
            self._busy_until[link] = arrival
            delay = arrival - world.now
        world.post(delay, self._deliver, envelope, to)

    def _deliver(self, envelope: Envelope, to: str) -> None:
        if self.cuts and (envelope.sender, to) in self.cuts:
            return
        world = self._world
        if world.trace.full:
            world.trace.message(world.now, "=>", envelope, to)
        world.nodes[to].receive(envelope)
