"""Nodes on a stage: the wire of the unit tests, with a record of what happens and disks that fail.

Whatever a node receives, persists, answers or tells is one line of `log`.  A message is told when it
arrives (`->`), when it is lost (`-x`), when it is held back (`-|`), and when it arrives late, after it
was held, or once more (`=>`).  After every step the ledger is kept: what one node knows to be committed
no other may know otherwise, and nothing that was acknowledged may go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.scenarios import lines
from tests.unit.replication.wire import TIMING, Flying, Wire, WiredNode
from tvault.model.rules import Judge
from tvault.ordering import Ordering, Verdict
from tvault.replication import messages
from tvault.replication.entry import Position
from tvault.replication.memory import ProtocolViolation
from tvault.replication.messages import Envelope, Message, Outcome, Proposal
from tvault.replication.promise import Standing
from tvault.replication.ready import Answer, Ready
from tvault.replication.recovery import Identity, recover
from tvault.replication.replica import Replica
from tvault.replication.view import majority
from tvault.store.memory import MemoryStore
from tvault.store.ports import StoreViolation

OWNERS = ("A", "B")
STEP_MS = TIMING.heartbeat_ms // 4
CALLS_FROM = 100
GROUPS_FROM = 1_000_000
ROUTINE = frozenset({"Presence", "Heartbeat", "HeartbeatReturn", "Learn", "Challenge", "Present"})


@dataclass(frozen=True)
class Pattern:
    """Messages from one node to another, of some kinds; None and the empty tuple are any."""

    sender: str | None
    to: str | None
    kinds: tuple[type, ...]

    def fits(self, item: Flying) -> bool:
        return item.is_from(self.sender, self.to, self.kinds)


def patterns(words: list[str]) -> list[Pattern]:
    """`n1->n2`, `*->n2`, `n1-n2` (both ways), `n1` (all of its links), then kinds."""
    link, names = words[0], words[1:]
    kinds = tuple(getattr(messages, name) for name in names)
    if "->" in link:
        ends = [link.split("->")]
    elif "-" in link:
        one, other = link.split("-")
        ends = [[one, other], [other, one]]
    else:
        ends = [[link, "*"], ["*", link]]
    return [Pattern(_end(sender), _end(to), kinds) for sender, to in ends]


def _end(name: str) -> str | None:
    return None if name == "*" else name


class StagedNode(WiredNode):
    """A node whose every step is told, with an ordering of commands above it."""

    def __init__(self, stage: Stage, name: str) -> None:
        super().__init__(stage, name)
        self.stage = stage
        self._groups = GROUPS_FROM
        self._ordering: Ordering | None = None
        self.is_leaving = False
        self.damaged: str | None = None
        self.ended: str | None = None
        self.results: dict[int, str] = {}
        self.waits: dict[int, Callable[[Answer | Verdict], None]] = {}

    @property
    def ordering(self) -> Ordering:
        assert self._ordering is not None, f"{self.name} is down"
        return self._ordering

    def start(self) -> None:
        """Start on what the disk holds; damaged files are set aside, as a node does."""
        self.lives += 1
        identity = Identity("c", self._wire.names, self.name, "key")
        life = f"{self.name}-{self.lives}"
        found = recover(
            self.written, damaged=self.damaged, journal=self.store, identity=identity, incarnation=life
        )
        if found.set_aside is not None:
            self.stage.tell(f"{self.name} sets its files aside: {found.set_aside}")
            self.store = MemoryStore()
        self.damaged = self.ended = None
        self.synced = self.written = found.promise
        hint = self.store.committed_hint()
        self._replica = Replica(found.promise, self.store, hint, TIMING, self._wire.now, 0.0)
        self._ordering = Ordering(
            self.name,
            self.replica,
            Judge(self.store, OWNERS, clock=lambda: 0),
            self._ticket,
            self._send,
            self._resolve,
        )
        self.hears_command = self._hear
        self.hears_answer = self._take_answer

    def crash(self, *, wiped: bool = False) -> None:
        super().crash(wiped=wiped)
        self._ordering = None
        self.is_leaving = False
        self.waits.clear()

    def end(self, why: str) -> None:
        """End by itself, and keep the files."""
        self.stage.tell(f"{self.name} ends: {why}")
        self.crash()
        self.ended = why

    def settle(self) -> None:
        """Do all that is to be done, and order what waits, until nothing is left or the node stops."""
        if self.is_paused or not self.is_up:
            return
        try:
            self._work()
        except (ProtocolViolation, StoreViolation) as violation:
            self.end(str(violation))
            return
        if self.is_stopped:
            return
        self.stage.keep_ledger(self)
        doubt = self.replica.doubt
        if doubt is not None:
            self.end(doubt)
            self.damaged = doubt
        elif self.is_leaving and self.replica.has_left:
            self.end("asked to, and nothing relies on it")

    def _work(self) -> None:
        super().settle()
        while not self.is_stopped and self.ordering.gather():
            super().settle()

    def _do(self, ready: Ready, step: str) -> None:
        tell, name = self.stage.tell, self.name
        if step == "promise" and ready.promise is not None:
            told = lines.promise(ready.promise, self.synced)
            if told:
                tell(f"{name} syncs: {told}")
        elif step == "journal" and ready.touches_journal:
            tell(f"{name} {lines.writes(ready)}")
        super()._do(ready, step)
        if step == "journal":
            self.store.settle(ready.committed)
        if step == "answers":
            for notice in ready.notices:
                tell(f"{name} {lines.notice(notice)}")

    def _take_answer(self, answer: Answer) -> None:
        if answer.ticket >= GROUPS_FROM:
            self.ordering.on_answer(answer)
        elif (wakes := self.waits.pop(answer.ticket, None)) is not None:
            wakes(answer)
        else:
            self.stage.tell(f"{self.name} answers t{answer.ticket}: {lines.answer(answer)}")
            self.results[answer.ticket] = lines.answer(answer)
        if answer.result == "committed":
            self.stage.acknowledge(self, answer.seq)

    # Commands of clients.

    def new_ticket(self) -> int:
        """A ticket for a client's call: none that a script gives."""
        self.stage.tickets += 1
        return self.stage.tickets

    def _ticket(self) -> int:
        self._groups += 1
        return self._groups

    def _send(self, to: str, message: Message) -> bool:
        self._wire.fly(self, [(to, self.replica.view_number(), message)])
        return True

    def _hear(self, envelope: Envelope) -> None:
        match envelope.message:
            case Proposal():
                self.ordering.on_proposal(envelope.sender, envelope.message)
            case Outcome():
                self.ordering.on_outcome(envelope.message)

    def _resolve(self, ticket: int, verdict: Verdict) -> None:
        told = lines.verdict(verdict)
        if (wakes := self.waits.pop(ticket, None)) is not None:
            wakes(verdict)
        else:
            self.stage.tell(f"{self.name} answers t{ticket}: {told}")
            self.results[ticket] = told


class Stage(Wire):
    """The nodes, the messages between them, and the record."""

    def __init__(self, nodes: int = 3) -> None:
        super().__init__(nodes)
        self.staged = {name: StagedNode(self, name) for name in self.names}
        self.nodes = dict(self.staged)
        self.log: list[str] = []
        self.is_quiet = False
        self.is_forged = False
        self.hidden = set(ROUTINE)
        self.lost_links: list[Pattern] = []
        self.held_links: list[Pattern] = []
        self.held: list[Flying] = []
        self.said: list[Flying] = []
        self.watched_from = 0
        self.wiped: set[str] = set()
        self.after_step: Callable[[], None] = lambda: None
        self.acknowledged: dict[int, Position] = {}
        self.tickets = CALLS_FROM
        self._ledger: dict[int, tuple[Position, str]] = {}

    def __getitem__(self, name: str) -> StagedNode:
        return self.staged[name]

    # The record.

    def tell(self, line: str) -> None:
        if not self.is_quiet:
            self.log.append(line)

    def _tell_message(self, arrow: str, item: Flying) -> None:
        envelope = item.envelope
        is_empty = isinstance(envelope.message, messages.Learned) and not envelope.message.entries
        if type(envelope.message).__name__ in self.hidden or is_empty:
            return
        told = lines.message(envelope.message, envelope.view)
        self.tell(f"{envelope.sender} {arrow} {item.to}  {told}")

    def keep_ledger(self, node: StagedNode) -> None:
        """What this node knows to be committed is what all others know, and is on disks enough."""
        for seq in range(1, 0 if self.is_forged else node.state.committed + 1):
            if seq not in self._ledger:
                self._enter(node, seq)
            position, first = self._ledger[seq]
            mine = node.store.position(seq)
            told = f"{node.name} holds {mine} as committed, {first} {position}"
            assert mine == position, told

    def acknowledge(self, node: StagedNode, seq: int) -> None:
        """A client has been told that entry `seq` is committed."""
        if seq not in self._ledger:
            self._enter(node, seq)
        self.acknowledged[seq] = self._ledger[seq][0]

    def _enter(self, node: StagedNode, seq: int) -> None:
        position = node.store.position(seq)
        assert position is not None, f"{node.name} counts entry {seq} as committed, and lacks it"
        holders = [
            other.name
            for other in self.staged.values()
            if other.store.position(seq) == position
            and other.synced is not None
            and other.synced.standing is not Standing.BLANK
        ]
        needed = majority(len(self.names)) - len(self.wiped)
        assert len(holders) >= needed, f"entry {seq} counts as committed and is on {holders} alone"
        self._ledger[seq] = position, node.name

    # The network.

    def fly(self, sender: WiredNode, messages: list[tuple[str, int, Message]]) -> None:
        before = len(self.flying)
        super().fly(sender, messages)
        fresh, self.flying = self.flying[before:], self.flying[:before]
        for item in fresh:
            self.said.append(item)
            if any(link.fits(item) for link in self.lost_links):
                self._tell_message("-x", item)
            elif any(link.fits(item) for link in self.held_links):
                self._tell_message("-|", item)
                self.held.append(item)
            else:
                self.flying.append(item)

    def take_held(self, links: list[Pattern] | None) -> list[Flying]:
        """What was held back and fits."""
        taken = [item for item in self.held if links is None or any(link.fits(item) for link in links)]
        self.held = [item for item in self.held if item not in taken]
        return taken

    def deliver(self, *kinds: type, sender: str | None = None, to: str | None = None) -> int:
        arrived = super().deliver(*kinds, sender=sender, to=to)
        self.after_step()
        return arrived

    def deliver_first(self, links: list[Pattern]) -> None:
        """Deliver the first message under way that fits."""
        fitting = [item for item in self.flying if any(link.fits(item) for link in links)]
        assert fitting, "no such message is under way"
        item = fitting[0]
        self.flying = [other for other in self.flying if other is not item]
        self.hand(item.to, item.envelope)
        self.after_step()

    def deliver_together(self, links: list[Pattern]) -> None:
        """Deliver what is under way and fits in one batch, as a node takes what waits in its inbox."""
        taken = [item for item in self.flying if any(link.fits(item) for link in links)]
        self.flying = [item for item in self.flying if item not in taken]
        for item in taken:
            self._tell_message("->", item)
            self[item.to].replica.receive(item.envelope, self.now)
        for name in {item.to: None for item in taken}:
            self[name].settle()
        self.after_step()

    def hand(self, to: str, envelope: Envelope) -> None:
        self._tell_message("->", Flying(to, envelope, self.now))
        self._hand(to, envelope)

    def hand_late(self, item: Flying) -> None:
        """Deliver a message that was held, or one that arrived before."""
        self._tell_message("=>", item)
        if self[item.to].is_up:
            self._hand(item.to, item.envelope)
        self.after_step()

    def _hand(self, to: str, envelope: Envelope) -> None:
        try:
            super().hand(to, envelope)
        except ProtocolViolation as violation:
            self[to].end(str(violation))

    def tick(self, *names: str, after: int = STEP_MS) -> None:
        super().tick(*names, after=after)
        self.after_step()

    def run(self, duration: int) -> None:
        for _ in range(duration // STEP_MS):
            self.tick()
            self.deliver_all()
