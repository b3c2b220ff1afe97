"""Replicas joined by an imaginary wire: nothing moves, and no time passes, unless the test says so.

There is no chance and no thread here.  A test delivers, loses or keeps each message, cuts links, and may
do to each node what `node.WiredNode` allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from tests.unit.replication.node import STEPS, TIMING, WiredNode, history, rows
from tvault.replication import codec
from tvault.replication.entry import Entry, Position
from tvault.replication.messages import Envelope, Message, Outcome, Proposal
from tvault.replication.sense import nonsense
from tvault.replication.view import View

__all__ = ["STEPS", "TICK_MS", "TIMING", "Flying", "Wire", "WiredNode", "from_life", "history", "rows"]

TICK_MS = 50


@dataclass(frozen=True)
class Flying:
    """A message under way."""

    to: str
    envelope: Envelope
    since: int

    def is_from(self, sender: str | None, to: str | None, kinds: tuple[type, ...]) -> bool:
        envelope = self.envelope
        return (
            sender in (None, envelope.sender)
            and to in (None, self.to)
            and (not kinds or isinstance(envelope.message, kinds))
        )


class Wire:
    """The nodes, the messages between them, and the time.

    With `hints` every node is told at once, and again and again, whose port refuses.
    """

    def __init__(self, nodes: int = 3) -> None:
        self.now = 10_000
        self.names = tuple(f"n{number + 1}" for number in range(nodes))
        self.nodes = {name: WiredNode(self, name) for name in self.names}
        self.flying: list[Flying] = []
        self.latency_ms = 0
        self.hints = False
        self.loses: Callable[[Flying], bool] = lambda _: False
        self._cuts: set[tuple[str, str]] = set()

    def __getitem__(self, name: str) -> WiredNode:
        return self.nodes[name]

    def start(self, *names: str) -> None:
        """Start these nodes; all, when none is named."""
        for name in names or self.names:
            self.nodes[name].start()

    # Messages.

    def fly(self, sender: WiredNode, messages: list[tuple[str, int, Message]]) -> None:
        """Take messages from a node; they are bytes on their way, unless the link is cut."""
        for to, view, message in messages:
            frame = codec.encode(sender.replica.envelope(view, message))
            if (sender.name, to) not in self._cuts:
                envelope = codec.decode(frame)
                assert nonsense(envelope, self.names) is None, envelope
                self.flying.append(Flying(to, envelope, self.now))

    def say(self, sender: str, to: str, view: int, message: Message) -> None:
        """Deliver a message that the sender's present life never sent, or not now."""
        self.hand(to, self.nodes[sender].replica.envelope(view, message))

    def hand(self, to: str, envelope: Envelope) -> None:
        """Deliver an envelope; what is about commands goes past the replica, as in a node."""
        node = self.nodes[to]
        if isinstance(envelope.message, Proposal | Outcome):
            node.hears_command(envelope)
        else:
            node.replica.receive(envelope, self.now)
        node.settle()

    def sent(self, *kinds: type, sender: str | None = None, to: str | None = None) -> list[Message]:
        """What is under way."""
        return [item.envelope.message for item in self.flying if item.is_from(sender, to, kinds)]

    def keep(self, *kinds: type, sender: str | None = None, to: str | None = None) -> list[Flying]:
        """Take messages off the wire: lost, or late."""
        kept = [item for item in self.flying if item.is_from(sender, to, kinds)]
        self.flying = [item for item in self.flying if not item.is_from(sender, to, kinds)]
        return kept

    def release(self, kept: list[Flying]) -> None:
        """Deliver what was kept."""
        for item in kept:
            self.hand(item.to, item.envelope)

    def deliver(self, *kinds: type, sender: str | None = None, to: str | None = None) -> int:
        """Deliver what is under way now, once; how many messages arrived."""
        arrived = 0
        for item in self.keep(*kinds, sender=sender, to=to):
            node = self.nodes[item.to]
            if self.now - item.since < self.latency_ms:
                self.flying.append(item)
                continue
            if self.loses(item) or not node.is_up:
                continue
            if node.is_stopped:
                self.flying.append(item)
                continue
            self.hand(item.to, item.envelope)
            arrived += 1
        return arrived

    def deliver_all(self) -> None:
        """Deliver until nothing is said any more."""
        for _ in range(1000):
            if not self.deliver():
                return
        raise AssertionError("the nodes never fall silent")

    def cut(self, senders: str | Iterable[str], to: str | Iterable[str]) -> None:
        """Cut the links in this one direction."""
        senders, to = _several(senders), _several(to)
        self._cuts |= {(sender, each) for sender in senders for each in to}

    def split(self, *sides: Iterable[str]) -> None:
        """Cut every link between nodes of different sides, both ways."""
        for side in sides:
            for other in sides:
                if other is not side:
                    self.cut(side, other)

    def isolate(self, name: str) -> None:
        """Cut every link of a node."""
        self.split([name], [other for other in self.names if other != name])

    def heal(self) -> None:
        """No link is cut any more."""
        self._cuts.clear()

    # Time.

    def tick(self, *names: str, after: int = TICK_MS) -> None:
        """Let time pass, for these nodes to notice; nothing is delivered."""
        self.now += after
        down = [node.name for node in self.nodes.values() if not node.is_up]
        for name in names or self.names:
            node = self.nodes[name]
            if node.is_up and not node.is_stopped:
                if self.hints:
                    node.unreachable(*down)
                node.replica.tick(self.now, 0.0)
                node.settle()

    def run(self, duration: int) -> None:
        """Let time pass on a network that delivers, each message `latency_ms` after it was sent."""
        for _ in range(duration // TICK_MS):
            self.tick()
            self.deliver_all()

    def until(self, holds: Callable[[], bool], within: int = 5000) -> int:
        """Let time pass until this holds; how many milliseconds it took.  It is never later than
        `within`."""
        begun = self.now
        while not holds():
            assert self.now - begun < within, f"not within {within} ms"
            self.run(TICK_MS)
        return self.now - begun

    # What they are.

    @property
    def up(self) -> list[WiredNode]:
        """The nodes that live and are not paused, in the ensemble's order."""
        return [node for node in self.nodes.values() if node.is_up and not node.is_paused]

    @property
    def members(self) -> set[str]:
        """The nodes that take part in a view, whichever."""
        return {node.name for node in self.up if node.is_member}

    def head(self) -> WiredNode:
        """The node that heads a live chain: there is one."""
        (head,) = [node for node in self.up if node.replica.heads_live_chain()]
        return head

    def writable(self) -> bool:
        """Whether every node is up and could take a write now."""
        return all(node.is_up and node.state.can_write for node in self.nodes.values())

    def is_chain_of(self, *names: str) -> bool:
        """Whether just these nodes are a live and open chain, in whatever order."""
        nodes = [self.nodes[name] for name in names]
        alike = {node.state.view for node in nodes if node.is_up}
        return (
            self.members == set(names)
            and len(alike) == 1
            and all(node.state.can_write and set(node.state.chain) == set(names) for node in nodes)
        )

    def is_whole(self) -> bool:
        """Whether all nodes are one live and open chain."""
        return self.is_chain_of(*self.names)

    def founded(self) -> Wire:
        """Start everything and come to the first view; n1 heads it."""
        self.start()
        self.run(2000)
        assert self.writable()
        assert self["n1"].state.chain == self.names
        return self

    def with_past(self, promised: int, **journals: list[Entry]) -> Wire:
        """Start voters that hold these journals and have promised `promised`."""
        for name in self.names:
            entries = journals.get(name, [])
            self[name].remembers(entries, promised)
        self.start()
        return self

    def view(self, number: int, head: str, barrier: int) -> View:
        """A view of all nodes in their present lives, `head` first, then in the ensemble's order."""
        at = self.names.index(head)
        order = self.names[at:] + self.names[:at]
        return View(number, tuple(self[name].me for name in order), barrier)

    def ends(self) -> set[Position]:
        """Where the journals end."""
        return {node.store.last() for node in self.nodes.values()}


def from_life(
    envelope: Envelope,
    *,
    incarnation: str | None = None,
    boot: int | None = None,
    life: str | None = None,
) -> Envelope:
    """The same message in the name of another life of its sender."""
    return msgspec.structs.replace(
        envelope,
        incarnation=envelope.incarnation if incarnation is None else incarnation,
        boot=envelope.boot if boot is None else boot,
        life=envelope.life if life is None else life,
    )


def _several(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
