"""Replicas joined by an imaginary wire: nothing moves, and no time passes, unless the test says so.

There is no chance and no thread here.  A test delivers, loses or keeps each message, and may stop a
node before any step of what it is about to do, to see what has left it by then, or to crash it there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from tvault.model.commands import EpochStart, Rows, encode_rows
from tvault.replication import codec
from tvault.replication.chain import Chain
from tvault.replication.entry import Entry, Kind, Position, follow
from tvault.replication.messages import Envelope, Message, Outcome, Proposal
from tvault.replication.promise import Promise, Standing
from tvault.replication.ready import Answer, Ready, Timing
from tvault.replication.recovery import Identity, recover
from tvault.replication.replica import Replica
from tvault.replication.state import State
from tvault.replication.view import Member, View
from tvault.store.memory import MemoryStore

TICK_MS = 50
TIMING = Timing(heartbeat_ms=100, suspect_ms=800)
STEPS = ("early", "promise", "journal", "mark", "late", "answers")


def rows(number: int) -> bytes:
    """The body of an entry that no other number has."""
    return encode_rows(Rows(epochs=(EpochStart("owner", number),)))


def history(*views: int) -> list[Entry]:
    """A journal whose entries were ordered in these views; a view's first entry is its barrier."""
    entries: list[Entry] = []
    last = MemoryStore().last()
    for place, view in enumerate(views):
        is_barrier = last.view != view
        body = b"" if is_barrier else rows(2 + place)
        entry = follow(last, view, Kind.BARRIER if is_barrier else Kind.ROWS, body)
        entries.append(entry)
        last = entry.position
    return entries


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


class WiredNode:
    """A replica, the disk below it, and what it has said, answered and told so far."""

    def __init__(self, wire: Wire, name: str) -> None:
        self.name = name
        self.store = MemoryStore()
        self.synced: Promise | None = None
        self.written: Promise | None = None
        self.answers: list[Answer] = []
        self.lives = 0
        self.stop_before: str | None = None
        self.hears_command: Callable[[Envelope], None] = lambda _: None
        self.hears_answer: Callable[[Answer], None] = lambda _: None
        self._wire = wire
        self._replica: Replica | None = None
        self._doing: tuple[Ready, deque[str]] | None = None

    @property
    def replica(self) -> Replica:
        assert self._replica is not None, f"{self.name} is down"
        return self._replica

    @property
    def chain(self) -> Chain:
        """Its part in the chain of its view."""
        chain = self.replica._chain
        assert chain is not None, f"{self.name} is an outsider"
        return chain

    @property
    def is_up(self) -> bool:
        return self._replica is not None

    @property
    def is_stopped(self) -> bool:
        """Whether it stands still before a step."""
        return self._doing is not None

    @property
    def doing(self) -> Ready:
        """What it is about to do, where it stands still."""
        assert self._doing is not None, f"{self.name} does not stand still"
        return self._doing[0]

    @property
    def state(self) -> State:
        return self.replica.state()

    @property
    def promise(self) -> Promise:
        """What is durable beside the journal."""
        assert self.synced is not None
        return self.synced

    @property
    def me(self) -> Member:
        return Member(self.name, self.promise.incarnation)

    def remembers(
        self,
        entries: list[Entry],
        promised: int,
        standing: Standing = Standing.VOTER,
        committed: int = 0,
        marked: int = 0,
    ) -> None:
        """Give the disk a past, before the node starts."""
        self.store.write(None, entries, committed)
        mark = self.store.position(marked)
        assert mark is not None
        self.synced = self.written = Promise(
            cluster="c",
            ensemble=self._wire.names,
            node=self.name,
            keys="key",
            incarnation=f"{self.name}-0",
            standing=standing,
            promised=promised,
            mark=mark,
        )

    def start(self) -> None:
        self.lives += 1
        identity = Identity("c", self._wire.names, self.name, "key")
        incarnation = f"{self.name}-{self.lives}"
        found = recover(
            self.written, damaged=None, journal=self.store, identity=identity, incarnation=incarnation
        )
        assert found.set_aside is None, found.set_aside
        self.synced = self.written = found.promise
        hint = self.store.committed_hint()
        self._replica = Replica(found.promise, self.store, hint, TIMING, self._wire.now, 0.0)

    def crash(self, *, wiped: bool = False) -> None:
        """Die at once, before the step where it stands still; the disk stays, unless it is wiped."""
        self._replica = None
        self._doing = None
        self.stop_before = None
        if wiped:
            self.store = MemoryStore()
            self.synced = self.written = None

    def propose(self, ticket: int, body: bytes | None = None) -> int:
        seq = self.replica.propose(body or rows(1000 + ticket), ticket)
        self.settle()
        return seq

    def confirm(self, ticket: int, looked_in: int | None = None) -> None:
        self.replica.confirm(ticket, self.state.readable if looked_in is None else looked_in)
        self.settle()

    def answer(self, ticket: int) -> str | None:
        """How the ticket was answered; None as long as it is not."""
        answers = [answer.result for answer in self.answers if answer.ticket == ticket]
        assert len(answers) < 2, "a ticket was answered twice"
        return answers[0] if answers else None

    def settle(self) -> None:
        """Do all that is to be done, up to the step before which the node shall stop."""
        while True:
            if self._doing is None:
                ready = self.replica.ready()
                if ready is None:
                    return
                self._doing = ready, deque(STEPS)
            ready, steps = self._doing
            while steps:
                if steps[0] == self.stop_before and _has(ready, steps[0]):
                    return
                self._do(ready, steps.popleft())
            self._doing = None
            self.replica.advance(ready)

    def go_on(self) -> None:
        """Go on behind the step where it stood still."""
        self.stop_before = None
        self.settle()

    def _do(self, ready: Ready, step: str) -> None:
        match step:
            case "early":
                self._wire.fly(self, [(sent.to, sent.view, sent.message) for sent in ready.early])
            case "promise" if ready.promise is not None:
                self.synced = self.written = ready.promise
            case "journal" if ready.touches_journal:
                self.store.write(ready.cut_after, ready.entries, ready.committed)
            case "mark" if ready.mark is not None:
                self.written = ready.mark
                self.synced = ready.mark if ready.sync_mark else self.synced
            case "late":
                self._wire.fly(self, [(sent.to, sent.view, sent.message) for sent in ready.late])
            case "answers":
                self.answers += ready.answers
                for answer in ready.answers:
                    self.hears_answer(answer)


def _has(ready: Ready, step: str) -> bool:
    return ready.touches_journal if step == "journal" else bool(getattr(ready, step))


class Wire:
    """The nodes, the messages between them, and the time."""

    def __init__(self, nodes: int = 3) -> None:
        self.now = 10_000
        self.names = tuple(f"n{number + 1}" for number in range(nodes))
        self.nodes = {name: WiredNode(self, name) for name in self.names}
        self.flying: list[Flying] = []
        self.latency_ms = 0
        self.loses: Callable[[Flying], bool] = lambda _: False

    def __getitem__(self, name: str) -> WiredNode:
        return self.nodes[name]

    def start(self, *names: str) -> None:
        """Start these nodes; all, when none is named."""
        for name in names or self.names:
            self.nodes[name].start()

    def fly(self, sender: WiredNode, messages: list[tuple[str, int, Message]]) -> None:
        """Take messages from a node; they are bytes on their way."""
        for to, view, message in messages:
            frame = codec.encode(sender.replica.envelope(view, message))
            self.flying.append(Flying(to, codec.decode(frame), self.now))

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
        self.flying = [item for item in self.flying if item not in kept]
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

    def tick(self, *names: str, after: int = TICK_MS) -> None:
        """Let time pass, for these nodes to notice; nothing is delivered."""
        self.now += after
        for name in names or self.names:
            node = self.nodes[name]
            if node.is_up and not node.is_stopped:
                node.replica.tick(self.now, 0.0)
                node.settle()

    def run(self, duration: int) -> None:
        """Let time pass on a network that delivers, each message `latency_ms` after it was sent."""
        for _ in range(duration // TICK_MS):
            self.tick()
            self.deliver_all()

    def writable(self) -> bool:
        """Whether every node is up and could take a write now."""
        return all(node.is_up and node.state.can_write for node in self.nodes.values())

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
    envelope: Envelope, *, incarnation: str | None = None, boot: int | None = None
) -> Envelope:
    """The same message in the name of another life of its sender."""
    return msgspec.structs.replace(
        envelope,
        incarnation=envelope.incarnation if incarnation is None else incarnation,
        boot=envelope.boot if boot is None else boot,
    )
