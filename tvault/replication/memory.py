"""What the parts of one replica share: who it is, what it remembers, what it is about to say."""

from __future__ import annotations

import msgspec

from tvault.replication.entry import Position
from tvault.replication.log import Log
from tvault.replication.messages import Message
from tvault.replication.promise import Promise, Standing
from tvault.replication.ready import Answer, Notice, Outgoing, Timing
from tvault.replication.view import Member, majority

PER_BOOT = 1 << 32
"""Sessions and rounds are numbered on from `boot * PER_BOOT`, so that no two boots share a number."""


class ProtocolViolation(Exception):
    """What happened cannot happen while the rules hold: the node stops and keeps its files."""


class Memory:
    """The replica's durable memory and its outboxes.

    A change to `promise` by `remember` is synced before anything in `late` leaves; a raised mark is
    written, not synced.
    """

    def __init__(self, promise: Promise, log: Log, timing: Timing) -> None:
        self.promise = promise
        self.log = log
        self.timing = timing
        self.me = Member(promise.node, promise.incarnation)
        self.life = f"{promise.incarnation}/{promise.boot}"
        self.index = promise.ensemble.index(promise.node)
        self.others = tuple(node for node in promise.ensemble if node != promise.node)
        self.majority = majority(len(promise.ensemble))
        self.promise_changed = False
        self.mark_changed = False
        self.early: list[Outgoing] = []
        self.late: list[Outgoing] = []
        self.answers: list[Answer] = []
        self.notices: list[Notice] = []
        self._rounds = promise.boot * PER_BOOT

    @property
    def may_vote(self) -> bool:
        """Whether this node counts towards a majority."""
        return self.promise.standing is not Standing.BLANK

    def remember(
        self,
        *,
        promised: int | None = None,
        standing: Standing | None = None,
        mark: Position | None = None,
    ) -> None:
        """Change what is synced before the next late message; a promise never goes back."""
        promise = self.promise
        if promised is not None:
            assert promised >= promise.promised
            promise = msgspec.structs.replace(promise, promised=promised)
        if standing is not None:
            promise = msgspec.structs.replace(promise, standing=standing)
        if mark is not None:
            promise = msgspec.structs.replace(promise, mark=mark)
        if promise != self.promise:
            self.promise = promise
            self.promise_changed = True

    def raise_mark(self, position: Position) -> None:
        """Note how far this node has acknowledged, before the acknowledgement leaves."""
        if position.seq > self.promise.mark.seq:
            self.promise = msgspec.structs.replace(self.promise, mark=position)
            self.mark_changed = True

    def new_round(self) -> int:
        """The number of a round of questions, which no earlier boot of this incarnation used, lest an
        answer that comes late be taken for one to a question of now."""
        self._rounds += 1
        return self._rounds

    def say_early(self, to: str, view: int, message: Message) -> None:
        """Send before persisting: only what claims nothing about this disk."""
        self.early.append(Outgoing(to, view, message))

    def say(self, to: str, view: int, message: Message) -> None:
        """Send after everything known by now is durable."""
        self.late.append(Outgoing(to, view, message))

    def say_to_others(self, view: int, message: Message) -> None:
        """As `say`, to every other node of the ensemble."""
        for node in self.others:
            self.say(node, view, message)

    def notice(self, event: str, **details: str | int | list[str]) -> None:
        """Tell people, through the event log."""
        self.notices.append(Notice(event, details))
