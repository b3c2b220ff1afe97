"""How commands become entries: sent to the head, judged, gathered, ordered, answered.

Pure, like the replica it feeds: the node and the simulator drive the same code.  Any node takes a
command; one that is not the head passes it on and waits for the outcome.  The head judges what waits
against the end of its journal and gathers what it admits into one entry: that is the group commit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import msgspec

from tvault.engine import EpochRefused, Overtaken, StaleEpoch, TokensExist, Written
from tvault.model import verdicts
from tvault.model.commands import (
    Command,
    WriteSecrets,
    decode_command,
    decoded,
    encode_command,
    encode_rows,
)
from tvault.model.rules import Judge
from tvault.replication.messages import Message, Outcome, Proposal
from tvault.replication.ready import Answer
from tvault.replication.replica import Replica

GROUP_BYTES = 1024 * 1024
"""An entry takes no further command once its rows reach this size."""

JUDGED_CHANGES = 2000
"""Once so many changes of secrets have been judged, refused ones too, no further command is: each is a
look at the disk, and meanwhile the node hears nobody."""

REMEMBERED_PROPOSALS = 4096
"""How many proposals of other nodes are known again, should one arrive twice."""

QUEUE_BYTES = 64 * 1024 * 1024
"""Commands waiting at the head, at most; beyond it they are refused at once."""


class Declined(msgspec.Struct, frozen=True, array_like=True, tag="declined"):
    """Not ordered, or not known to be: `code` as in `tvault.errors`.  `nothing_ordered`: it is certain
    that the command did and will do nothing.  `is_passing`: another try may fare better."""

    code: Literal["unavailable", "overloaded", "internal"]
    detail: str
    nothing_ordered: bool = True
    is_passing: bool = True


Verdict = Written | StaleEpoch | TokensExist | EpochRefused | Overtaken | Declined

_NO_CHAIN = Declined("unavailable", "This node has no chain to write to now; try again.")
_UNKNOWN = Declined(
    "unavailable",
    "The chain changed before the write was acknowledged; try again.",
    nothing_ordered=False,
)
_FULL = Declined("overloaded", "Too many writes are waiting; try again.")

_encoder = msgspec.msgpack.Encoder()
_verdicts = msgspec.msgpack.Decoder(Verdict)


@dataclass(frozen=True)
class _Waiting:
    """A command at the head, and who asked: a node, its ticket, and its life, in which alone the ticket
    means that command.  `request` is the id of the client's request, for people."""

    origin: str
    ticket: int
    command: bytes
    life: str
    request: str


_Admitted = tuple[_Waiting, int]
"""A command of an entry, and the moment of its changes to secrets."""


class Record(Protocol):
    """Notes an event for people."""

    def __call__(self, event: str, *, seq: int, view: int, commands: int, requests: list[str]) -> None:
        """Note it."""


def _untold(event: str, *, seq: int, view: int, commands: int, requests: list[str]) -> None:
    """Nobody wants to know."""


class Ordering:
    """One node's commands on their way to the journal.

    `send` and `resolve` are called back with messages for other nodes (False: it was dropped) and with
    verdicts for tickets of this one; each ticket gets one verdict, at the latest when another node
    orders.  A head that forms its chain anew keeps what waits, and so do those that passed it on.
    `record` is told, for people, which requests an entry holds.
    """

    def __init__(
        self,
        node: str,
        replica: Replica,
        judge: Judge,
        new_ticket: Callable[[], int],
        send: Callable[[str, Message], bool],
        resolve: Callable[[int, Verdict], None],
        record: Record = _untold,
    ) -> None:
        self._node = node
        self._replica = replica
        self._judge = judge
        self._new_ticket = new_ticket
        self._send = send
        self._resolve = resolve
        self._record = record
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._groups: dict[int, list[_Admitted]] = {}
        self._passed_on: dict[int, str] = {}
        self._taken: dict[tuple[str, str, int], None] = {}
        self._head: str | None = None

    # In.

    def submit(self, ticket: int, command: Command, request: str = "") -> None:
        """A command of this node's API, for the request with this id."""
        self._notice_change()
        head = self._replica.head()
        body = encode_command(command)
        if self._orders_here():
            self._enqueue(_Waiting(self._node, ticket, body, self._replica.life, request))
        elif head is None:
            self._resolve(ticket, _NO_CHAIN)
        else:
            self._passed_on[ticket] = head
            if not self._send(head, Proposal(ticket, body, self._replica.life, request)):
                self.forget(ticket)
                self._resolve(ticket, _NO_CHAIN)

    def on_proposal(self, sender: str, proposal: Proposal) -> None:
        """A command of another node's API, sent here because this node is, or was, the head.

        One that the network delivers twice is taken once: the second verdict would contradict the first.
        """
        if not self._is_first(sender, proposal):
            return
        waiting = _Waiting(sender, proposal.ticket, proposal.command, proposal.life, proposal.request)
        if self._orders_here():
            self._enqueue(waiting)
        else:
            self._tell(waiting, _NO_CHAIN)

    def on_outcome(self, outcome: Outcome) -> None:
        """What the head says of a command passed on.  One that nobody waits for is old; one for an
        earlier life of this node is about another command, whatever its ticket."""
        if outcome.life != self._replica.life or self._passed_on.pop(outcome.ticket, None) is None:
            return
        try:
            verdict = decoded(_verdicts, outcome.verdict)
        except msgspec.DecodeError:
            verdict = _UNKNOWN
        self._resolve(outcome.ticket, verdict)

    def on_answer(self, answer: Answer) -> None:
        """The entry that `gather` proposed is committed, or lost with its view."""
        committed = answer.result == "committed"
        for waiting, stamp in self._groups.pop(answer.ticket, ()):
            self._tell(waiting, Written(answer.seq, stamp) if committed else _UNKNOWN)

    def forget(self, ticket: int) -> None:
        """Nobody waits for the ticket any more."""
        self._passed_on.pop(ticket, None)

    def on_link_lost(self, node: str) -> None:
        """What was on its way to or from `node` may be lost: its outcome is unknown."""
        for ticket in [ticket for ticket, head in self._passed_on.items() if head == node]:
            del self._passed_on[ticket]
            self._resolve(ticket, _UNKNOWN)

    # On.

    def gather(self) -> bool:
        """Order one entry from what waits, if this node is a head with room; whether it did.

        The replica's `ready` must be carried out before the next call: the judge looks at the rows.
        """
        self._notice_change()
        if not self._queue or not self._replica.may_propose():
            return False
        group: list[_Admitted] = []
        beside: list[tuple[_Waiting, Callable[[int], Verdict]]] = []
        changes = 0
        while self._queue and self._judge.size_bytes < GROUP_BYTES and changes < JUDGED_CHANGES:
            waiting = self._queue.popleft()
            self._queued_bytes -= len(waiting.command)
            changes += self._admit(waiting, group, beside)
        if not group:
            return True
        ticket = self._new_ticket()
        self._groups[ticket] = group
        seq = self._replica.propose(encode_rows(self._judge.take()), ticket)
        requests = [waiting.request for waiting, _ in group if waiting.request]
        if requests:
            view = self._replica.view_number()
            self._record("ordered", seq=seq, view=view, commands=len(group), requests=requests)
        for waiting, verdict in beside:
            self._tell(waiting, verdict(seq))
        return True

    def _admit(
        self,
        waiting: _Waiting,
        group: list[_Admitted],
        beside: list[tuple[_Waiting, Callable[[int], Verdict]]],
    ) -> int:
        """Judge one command: into the group, or refused; `beside` what the group stands in the way of,
        whose verdict names the entry that the group becomes.  How many changes of secrets it had."""
        changes = 0
        try:
            command = decode_command(waiting.command)
            verdict = self._judge.admit(command)
            changes = len(command.changes) if isinstance(command, WriteSecrets) else 0
        except msgspec.DecodeError:
            verdict = verdicts.Unacceptable("no_blocks")
        obstacle: tuple[Callable[[int], Verdict], int, bool] | None = None
        match verdict:
            case verdicts.Admitted(stamp):
                group.append((waiting, stamp))
            case verdicts.StaleEpoch(newest):
                self._tell(waiting, StaleEpoch(newest))
            case verdicts.TokensExist(seq, in_group):
                obstacle = TokensExist, seq, in_group
            case verdicts.EpochRefused(newest, seq, in_group):
                obstacle = partial(EpochRefused, newest), seq, in_group
            case verdicts.Overtaken(seq, in_group):
                obstacle = Overtaken, seq, in_group
            case verdicts.Unacceptable(reason):
                self._tell(waiting, _unacceptable(reason))
        if obstacle is not None:
            refusal, seq, is_beside = obstacle
            if is_beside:
                beside.append((waiting, refusal))
            else:
                self._tell(waiting, refusal(seq))
        return changes

    def _is_first(self, sender: str, proposal: Proposal) -> bool:
        name = (sender, proposal.life, proposal.ticket)
        if name in self._taken:
            return False
        self._taken[name] = None
        if len(self._taken) > REMEMBERED_PROPOSALS:
            del self._taken[next(iter(self._taken))]
        return True

    def _orders_here(self) -> bool:
        return self._replica.head() == self._node or self._replica.is_reforming

    def _enqueue(self, waiting: _Waiting) -> None:
        if self._queued_bytes + len(waiting.command) > QUEUE_BYTES:
            self._tell(waiting, _FULL)
            return
        self._queue.append(waiting)
        self._queued_bytes += len(waiting.command)

    def _notice_change(self) -> None:
        """When another node orders, or the chain of this head fell silent, nobody waits in vain."""
        replica = self._replica
        head = replica.head()
        if head is not None and head != self._head:
            self._head = head
            for ticket in [ticket for ticket, to in self._passed_on.items() if to != head]:
                del self._passed_on[ticket]
                self._resolve(ticket, _UNKNOWN)
        if self._queue and not replica.heads_live_chain() and not replica.is_reforming:
            queue, self._queue = self._queue, deque()
            self._queued_bytes = 0
            for waiting in queue:
                self._tell(waiting, _NO_CHAIN)

    def _tell(self, waiting: _Waiting, verdict: Verdict) -> None:
        if waiting.origin == self._node:
            self._resolve(waiting.ticket, verdict)
        else:
            self._send(waiting.origin, Outcome(waiting.ticket, _encoder.encode(verdict), waiting.life))


def _unacceptable(reason: verdicts.Flaw) -> Declined:
    if reason == "unknown_owner":
        return Declined(
            "unavailable",
            "The head does not know the owner yet; restart it with the new owner.",
            is_passing=False,
        )
    return Declined("internal", f"The head refused a malformed command ({reason}).")
