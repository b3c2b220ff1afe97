"""One node on the imaginary wire: a replica, the disk below it, and what it has said so far.

A test may stop it before any step of what it is about to do, pause it, take the room from its disk, put
an older copy of its folder back, or ask it to leave.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from tvault.model.commands import EpochStart, Rows, encode_rows
from tvault.replication.chain import Chain
from tvault.replication.entry import Entry, Kind, follow
from tvault.replication.messages import Envelope
from tvault.replication.participant import Participant
from tvault.replication.promise import Promise, Standing
from tvault.replication.ready import Answer, Notice, Ready, Timing
from tvault.replication.recovery import Identity, recover
from tvault.replication.replica import Replica
from tvault.replication.state import State
from tvault.replication.view import Member
from tvault.store.memory import MemoryStore

if TYPE_CHECKING:
    from tests.unit.replication.wire import Wire

TIMING = Timing(heartbeat_ms=100, suspect_ms=800)
STEPS = ("early", "promise", "journal", "mark", "late", "answers")

Folder = tuple[MemoryStore, Promise | None]
"""A journal, and what lies beside it."""


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


class WiredNode:
    """A replica, the disk below it, and what it has said, answered and told so far.

    It stops before the step `stop_before` of what `stops_at` chooses, of anything at first.  While
    `has_room` is False no entry is written any more: the disk is full.  `took_ms` is how long each
    journal write takes, as far as the replica is told; no time passes.
    """

    def __init__(self, wire: Wire, name: str) -> None:
        self.name = name
        self.store = MemoryStore()
        self.synced: Promise | None = None
        self.written: Promise | None = None
        self.answers: list[Answer] = []
        self.notices: list[Notice] = []
        self.lives = 0
        self.stop_before: str | None = None
        self.stops_at: Callable[[Ready], bool] = lambda _: True
        self.is_paused = False
        self.has_room = True
        self.took_ms = 0
        self.hears_command: Callable[[Envelope], None] = lambda _: None
        self.hears_answer: Callable[[Answer], None] = lambda _: None
        self._wire = wire
        self._replica: Replica | None = None
        self._doing: tuple[Ready, deque[str]] | None = None

    # What it is.

    @property
    def replica(self) -> Replica:
        assert self._replica is not None, f"{self.name} is down"
        return self._replica

    @property
    def part(self) -> Participant:
        """What is behind the replica's door."""
        return self.replica._part

    @property
    def chain(self) -> Chain:
        """Its part in the chain of its view."""
        chain = self.part.chain
        assert chain is not None, f"{self.name} is an outsider"
        return chain

    @property
    def is_up(self) -> bool:
        return self._replica is not None

    @property
    def is_stopped(self) -> bool:
        """Whether it is paused, or stands still before a step."""
        return self.is_paused or self._doing is not None

    @property
    def doing(self) -> Ready:
        """What it is about to do, where it stands still."""
        assert self._doing is not None, f"{self.name} does not stand still"
        return self._doing[0]

    @property
    def state(self) -> State:
        return self.replica.state()

    @property
    def is_member(self) -> bool:
        return self.state.role != "outside"

    @property
    def promise(self) -> Promise:
        """What is durable beside the journal."""
        assert self.synced is not None
        return self.synced

    @property
    def me(self) -> Member:
        return Member(self.name, self.promise.incarnation)

    def told(self, event: str) -> list[Notice]:
        """What it told people of that kind."""
        return [notice for notice in self.notices if notice.event == event]

    # Its lives and its disk.

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
        life = f"{self.name}-{self.lives}"
        found = recover(
            self.written, damaged=None, journal=self.store, identity=identity, incarnation=life
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
        self.stops_at = lambda _: True
        self.is_paused = False
        if wiped:
            self.store = MemoryStore()
            self.synced = self.written = None

    def restart(self, *, wiped: bool = False) -> None:
        """Crash and start."""
        self.crash(wiped=wiped)
        self.start()

    def set_aside(self) -> None:
        """What a driver does about a doubtful folder: a new one, which knows that there was another."""
        self.crash(wiped=True)
        self.remembers([], promised=0, standing=Standing.BLANK)
        assert self.written is not None
        self.synced = self.written = msgspec.structs.replace(
            self.written, incarnation=f"{self.name}-new-{self.lives}", set_aside=True
        )

    def copy(self) -> Folder:
        """A copy of the folder as it is now."""
        store = MemoryStore()
        store.write(None, self.store.entries(0, 1 << 30), self.store.committed_hint())
        return store, self.written

    def restore(self, folder: Folder) -> None:
        """Crash, and start on a folder that was put back from a copy."""
        self.crash()
        self.store, self.written = folder
        self.start()

    # What is asked of it.

    def propose(self, ticket: int, body: bytes | None = None) -> int:
        seq = self.replica.propose(body or rows(1000 + ticket), ticket)
        self.settle()
        return seq

    def confirm(self, ticket: int, looked_in: int | None = None) -> None:
        self.replica.confirm(ticket, self.state.readable if looked_in is None else looked_in)
        self.settle()

    def ask_index(self, ticket: int) -> None:
        self.replica.ask_index(ticket)
        self.settle()

    def unreachable(self, *names: str) -> None:
        """It is told that these nodes' ports refuse connections."""
        for name in names:
            self.replica.unreachable(name)

    def leave(self) -> None:
        self.replica.leave()
        self.settle()

    def finds_room(self) -> None:
        """There is room on the disk again, and the node is told."""
        self.has_room = True
        self.replica.disk_has_room()
        self.settle()

    def answer(self, ticket: int) -> str | None:
        """How the ticket was answered; None as long as it is not."""
        answers = [answer.result for answer in self.answers if answer.ticket == ticket]
        assert len(answers) < 2, "a ticket was answered twice"
        return answers[0] if answers else None

    def index(self, ticket: int) -> int | None:
        """The index that the ticket was answered with, None as long as there is none."""
        indexes = [answer.seq for answer in self.answers if answer.ticket == ticket]
        return indexes[0] if self.answer(ticket) == "index" else None

    # What it does.

    def settle(self) -> None:
        """Do all that is to be done, up to the step before which the node shall stop."""
        while not self.is_paused:
            if self._doing is None:
                ready = self.replica.ready()
                if ready is None:
                    return
                self._doing = ready, deque(STEPS)
            ready, steps = self._doing
            while steps:
                if steps[0] == self.stop_before and _has(ready, steps[0]) and self.stops_at(ready):
                    return
                if steps[0] == "journal" and ready.entries and not self.has_room:
                    break
                self._do(ready, steps.popleft())
            self._doing = None
            if steps:
                self.replica.disk_full(ready)
            else:
                self.replica.advance(ready, self.took_ms)

    def go_on(self) -> None:
        """Go on behind the step where it stood still, or after a pause."""
        self.stop_before = None
        self.stops_at = lambda _: True
        self.is_paused = False
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
                self.notices += ready.notices
                self.answers += ready.answers
                for answer in ready.answers:
                    self.hears_answer(answer)


def _has(ready: Ready, step: str) -> bool:
    return ready.touches_journal if step == "journal" else bool(getattr(ready, step))
