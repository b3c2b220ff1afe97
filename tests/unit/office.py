"""Orderings above replicas on an imaginary wire, and the verdicts that they give."""

from __future__ import annotations

from tests.unit.replication.wire import Wire
from tvault.model.commands import Block, Command, Mint, Put, Sealed, WriteSecrets
from tvault.model.rules import Judge
from tvault.ordering import Declined, Ordering, Verdict
from tvault.replication.messages import Envelope, Message, Outcome, Proposal


def mint(*numbers: int, owner: str = "A", epoch: int = 1) -> Mint:
    digests = b"".join(number.to_bytes(16, "big") for number in numbers)
    return Mint(owner, epoch, (Block(owner, epoch, digests, b"sealed"),))


def put(name: str, request: int, newest: int = 0) -> WriteSecrets:
    """The next version of a secret of A."""
    sealed = Sealed(b"ciphertext", b"n" * 12, b"w" * 40, "m1")
    change = Put(name, newest, newest > 0, sealed)
    return WriteSecrets("A", request.to_bytes(16, "big"), bytes(16), (change,))


class Desk:
    """The ordering of one node of a wire, and the verdicts that it gave."""

    def __init__(self, wire: Wire, name: str) -> None:
        self.verdicts: dict[int, list[Verdict]] = {}
        self.recorded: list[dict[str, object]] = []
        self.is_cut_off = False
        self._wire = wire
        self._node = wire[name]
        self._group_tickets = iter(range(1_000_000, 2_000_000))
        self.ordering = Ordering(
            name,
            self._node.replica,
            Judge(self._node.store, ("A", "B"), clock=lambda: 0),
            lambda: next(self._group_tickets),
            self._send,
            lambda ticket, verdict: self.verdicts.setdefault(ticket, []).append(verdict),
            lambda event, **details: self.recorded.append({"event": event, **details}),
        )
        self._node.hears_command = self._hear
        self._node.hears_answer = self.ordering.on_answer

    def _send(self, to: str, message: Message) -> bool:
        if self.is_cut_off:
            return False
        self._wire.fly(self._node, [(to, self._node.replica.view_number(), message)])
        return True

    def _hear(self, envelope: Envelope) -> None:
        match envelope.message:
            case Proposal():
                self.ordering.on_proposal(envelope.sender, envelope.message)
            case Outcome():
                self.ordering.on_outcome(envelope.message)

    def submit(self, ticket: int, command: Command, request: str = "") -> None:
        self.ordering.submit(ticket, command, request)

    def gather(self) -> None:
        """Order all that waits, as far as there is room."""
        while not self._node.is_stopped and self.ordering.gather():
            self._node.settle()

    def verdict(self, ticket: int) -> Verdict | None:
        """The one verdict of the ticket, None as long as there is none."""
        given = self.verdicts.get(ticket, [])
        assert len(given) < 2, "a ticket got two verdicts"
        return given[0] if given else None

    def code(self, ticket: int) -> str | None:
        verdict = self.verdict(ticket)
        return verdict.code if isinstance(verdict, Declined) else None


class Office:
    """A founded wire with a desk at every node; n1 is the head."""

    def __init__(self) -> None:
        self.wire = Wire().founded()
        self.desks = {name: Desk(self.wire, name) for name in self.wire.names}

    def __getitem__(self, name: str) -> Desk:
        return self.desks[name]

    def restart(self, name: str) -> None:
        self.wire[name].crash()
        self.wire[name].start()
        self.desks[name] = Desk(self.wire, name)

    def flow(self) -> None:
        """Deliver and order until nothing moves."""
        for _ in range(20):
            self.gather()
            self.wire.deliver_all()

    def gather(self) -> None:
        for name, desk in self.desks.items():
            if self.wire[name].is_up:
                desk.gather()

    def run(self, duration: int) -> None:
        for _ in range(duration // 50):
            self.wire.run(50)
            self.gather()
