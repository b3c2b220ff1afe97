"""What the parts of one replica share: who it is, what it remembers, what it is about to say."""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from statistics import median

import msgspec

from tvault.replication.account import Account, Condition
from tvault.replication.entry import Position
from tvault.replication.log import Log
from tvault.replication.messages import Message
from tvault.replication.promise import KnownLife, Promise, Standing
from tvault.replication.ready import Answer, Detail, Notice, Outgoing, Timing
from tvault.replication.view import Member, majority

WRITES_REMEMBERED = 16
WRITES_REMEMBERED_MS = 5_000
"""How many journal writes, and how old ones, tell how fast this node's disk is."""

PER_BOOT = 1 << 32
"""Sessions are numbered on from `boot * PER_BOOT`: those of a later boot are later."""

PER_LIFE = 1 << 24
"""Rounds are numbered on from a multiple of this, which the life's name draws."""


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
        self.life = promise.life
        self.condition = Condition.READY
        self.index = promise.ensemble.index(promise.node)
        self.others = tuple(node for node in promise.ensemble if node != promise.node)
        self.majority = majority(len(promise.ensemble))
        self.promise_changed = False
        self.mark_changed = False
        self.early: list[Outgoing] = []
        self.late: list[Outgoing] = []
        self.answers: list[Answer] = []
        self.notices: list[Notice] = []
        self._rounds = _first_round(promise.life)
        self._writes: deque[tuple[int, int]] = deque(maxlen=WRITES_REMEMBERED)

    @property
    def may_vote(self) -> bool:
        """Whether this node counts towards a majority."""
        return self.promise.standing is not Standing.BLANK

    @property
    def is_empty(self) -> bool:
        """Whether the journal holds nothing beyond what nodes were restored with."""
        return self.log.end.seq <= self.promise.start.seq

    @property
    def founded(self) -> int:
        """The view of the founding whose barrier the journal holds, 0 if it holds none."""
        place = self.log.position(self.promise.start.seq + 1)
        return place.view if place is not None else 0

    @property
    def counts(self) -> bool:
        """Whether this node counts for whoever asks: not a founder without its founding's barrier."""
        if self.promise.standing is Standing.FOUNDER:
            return self.founded >= self.promise.founding
        return self.may_vote

    def promise_founding(self, view: int, end: Position) -> None:
        """Vote in a founding that goes on from `end`, where the longest copy of all nodes ends."""
        founding = self.promise.founding or view
        self.remember(promised=view, standing=Standing.FOUNDER, founding=founding, start=end)

    def account(self, hears: tuple[str, ...], now: int) -> Account:
        """What this node says of itself, true once what is pending is durable."""
        lately = [took for at, took in self._writes if now - at <= WRITES_REMEMBERED_MS]
        return Account(
            standing=self.promise.standing,
            condition=self.condition,
            last=self.log.end,
            hears=hears,
            persist_ms=int(median(lately)) if lately else 0,
        )

    def note_write(self, now: int, took_ms: int) -> None:
        """A journal write took so long."""
        self._writes.append((now, took_ms))

    def remember(
        self,
        *,
        promised: int | None = None,
        standing: Standing | None = None,
        founding: int | None = None,
        start: Position | None = None,
        mark: Position | None = None,
        lives: dict[str, KnownLife] | None = None,
    ) -> None:
        """Change what is synced before the next late message; a promise never goes back."""
        promise = self.promise
        if promised is not None:
            assert promised >= promise.promised
            promise = msgspec.structs.replace(promise, promised=promised)
        if standing is not None:
            promise = msgspec.structs.replace(promise, standing=standing)
        if founding is not None:
            promise = msgspec.structs.replace(promise, founding=founding)
        if start is not None:
            promise = msgspec.structs.replace(promise, start=start)
        if mark is not None:
            promise = msgspec.structs.replace(promise, mark=mark)
        if lives is not None:
            promise = msgspec.structs.replace(promise, lives=lives)
        if promise != self.promise:
            self.promise = promise
            self.promise_changed = True

    def raise_mark(self, position: Position) -> None:
        """Note how far this node has acknowledged, before the acknowledgement leaves."""
        if position.seq > self.promise.mark.seq:
            self.promise = msgspec.structs.replace(self.promise, mark=position)
            self.mark_changed = True

    def empty_outboxes(self) -> None:
        """What was to be said and answered is done."""
        for outbox in (self.early, self.late, self.answers, self.notices):
            outbox.clear()

    def take_back(self) -> None:
        """What was to be said is not true: the write that it waited for failed.  Answers and notices
        tell of what was durable before."""
        self.early.clear()
        self.late.clear()

    def new_round(self) -> int:
        """The number of a round of questions, which no other life of this node used, lest an answer that
        comes late be taken for one to a question of now."""
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

    def notice(self, event: str, **details: Detail) -> None:
        """Tell people, through the event log."""
        self.notices.append(Notice(event, details))


def _first_round(life: str) -> int:
    """Where a life begins to number its rounds.  Boots would not do: a folder that is emptied, or put
    back from a copy, counts them a second time."""
    drawn = int.from_bytes(blake2b(life.encode(), digest_size=8).digest(), "big")
    return (drawn >> 26) * PER_LIFE
