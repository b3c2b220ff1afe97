"""A running node: one thread owns the replica and the writing connection, and drives both.

Handlers never touch either: they put work into the inbox and wait on a slot of their own.  The thread
takes what waits, feeds the replica, and carries out its `Ready`: send, persist, send, answer.
"""

from __future__ import annotations

import heapq
import logging
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from random import SystemRandom
from typing import Literal, Protocol

from tvault.events import EventLog
from tvault.model.commands import Command
from tvault.model.rules import Judge
from tvault.ordering import Declined, Ordering, Verdict
from tvault.replication.memory import ProtocolViolation
from tvault.replication.messages import Envelope, Learn, Message, Outcome, Proposal, bytes_in
from tvault.replication.ready import Answer, Outgoing, Ready, Timing
from tvault.replication.replica import Replica
from tvault.replication.state import State
from tvault.server.backlog import Backlog
from tvault.server.chronicle import Chronicle
from tvault.server.damage import Damage
from tvault.server.disk import Disk
from tvault.server.folder import Opened
from tvault.server.framing import describe_failure
from tvault.server.outlook import Outlook
from tvault.store.failures import JournalDamaged, StoreBroken, StoreFailure, StoreFull
from tvault.store.ports import StoreViolation

INBOX_ITEMS = 4096
"""Work that may wait for the node's thread; beyond it senders wait, and clients are told so."""

INBOX_BYTES = 64 * 1024 * 1024
"""What messages among it may hold together, but for one more of each sender."""

BATCH_ITEMS = 256
"""Work taken before the outcome is carried out: what is persisted together shares one sync."""

POST_SECONDS = 0.5
"""How often a sender that waits for room looks whether the node is still there."""

PATIENCE_TIMES = 3
"""With no live chain for so many times `suspect_ms`, requests are refused at once."""

CONFIRM_SECONDS = 0.25
"""How long a confirmation is waited for all the same."""

_STOPPING = Declined(
    "unavailable", "The node is stopping; try another one.", nothing_ordered=False, is_passing=False
)

_log = logging.getLogger("tvault.node")

Slot = queue.SimpleQueue[Verdict | Answer | None]


Told = Literal["left", "ended"]
"""What becomes of a node: nothing relies on it any more; it has stopped by itself."""


class FilesDoubtful(Exception):
    """What is on this node's disk cannot be trusted: set it aside, and begin anew."""


class Links(Protocol):
    """How a node reaches the others."""

    def send(self, to: str, envelope: Envelope) -> bool:
        """Put an envelope on its way with the next `flush`, or drop it (False); never wait."""

    def flush(self) -> None:
        """Let go what is on its way; never wait."""


class Node:
    """Runs the replica over the files of its folder until it is stopped or must stop.

    `damage` tells what was read that is not what was written.
    `failure` says why it stopped by itself: the disk failed, or what must never happen happened.  Then
    `is_doubtful` tells whether its files are noted down as not to be trusted: it can begin anew.
    """

    def __init__(
        self,
        opened: Opened,
        timing: Timing,
        judge: Judge,
        events: EventLog,
        tell: Callable[[Told], None] = lambda _: None,
    ) -> None:
        promise, store = opened.promise, opened.store
        self._disk = Disk(opened)
        self._note_doubt = opened.doubt
        self._events = events
        self._tell = tell
        self._dice = SystemRandom()
        self._links: Links | None = None
        self.inbox = Backlog(INBOX_ITEMS, INBOX_BYTES)
        self._tickets = count(1)
        self._slots: dict[int, Slot] = {}
        self._waiters: list[tuple[int, int, Slot]] = []
        self._tick_s = timing.heartbeat_ms / 4000
        hint = store.committed_hint()
        self._replica = Replica(promise, store, hint, timing, _now_ms(), self._dice.random())
        self._ordering = Ordering(
            promise.node, self._replica, judge, self._ticket, self._send, self._resolve, events.record
        )
        patience_s = PATIENCE_TIMES * timing.suspect_ms / 1000
        self._outlook = Outlook(self._replica.state(), patience_s)
        self._is_leaving = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="node", daemon=True)
        self.failure: str | None = None
        self.is_doubtful = False
        self.chronicle = Chronicle(events)
        self.damage = Damage(events)

    @property
    def state(self) -> State:
        """What the node said of itself after its last step.  Any thread."""
        return self._outlook.state

    @property
    def committed(self) -> int:
        """How far the journal is known to be committed.  Any thread."""
        return self._outlook.state.committed

    @property
    def can_write(self) -> bool:
        """Whether this node can take writes now.  Any thread."""
        return self._outlook.can_write

    @property
    def silent_s(self) -> float:
        """For how long the node's thread has been busy with one step.  Any thread."""
        return self._outlook.silent_s

    @property
    def is_cut_off(self) -> bool:
        """Whether there has been no chain for so long that requests are refused.  Any thread."""
        return self._outlook.is_cut_off

    def start(self, links: Links) -> None:
        """Begin to take part."""
        self._links = links
        self._thread.start()

    def stop(self) -> None:
        """End after the step in hand; waits for the thread."""
        self._stopping = True
        self._thread.join()

    # From other threads.

    def deliver(self, envelope: Envelope) -> None:
        """A message from another node; waits while the inbox is full, which slows the sender down."""
        self._post(lambda: self._take(envelope), bytes_in(envelope.message))

    def link_lost(self, node: str) -> None:
        """The connection to a node broke, and with it what was under way."""
        self._post(lambda: self._ordering.on_link_lost(node))

    def unreachable(self, node: str) -> None:
        """The port of a node refuses connections: its process is gone."""
        self._post(lambda: self._replica.unreachable(node))

    def note_damage(self, why: str) -> None:
        """Something read from this node's disk was not what was written there: see `Damage`."""
        self._post(partial(self.damage.note, why))

    def leave(self) -> None:
        """Hand over what relies on this node; `left` is told once nothing does."""
        self._post(self._begin_to_leave)

    def wait_for_chain(self, deadline: float) -> bool:
        """Wait a moment, then until this node hears of a chain that takes writes.  False at the
        deadline, and at once when there has been none for so long that waiting is idle."""
        return self._outlook.wait_until(lambda state: state.can_write, deadline)

    def wait_for_vantage(self, deadline: float) -> bool:
        """As `wait_for_chain`, but until there is somebody who could confirm a read."""
        return self._outlook.wait_until(lambda state: state.readable > 0 or state.can_write, deadline)

    def ask_index(self, deadline: float) -> int | None:
        """For an outsider: up to which entry it must know the journal, confirmed by a member after the
        call; None when no member said so."""
        ticket, slot = self._new_slot()
        answer = self._wait(ticket, slot, lambda: self._replica.ask_index(ticket), deadline)
        return answer.seq if isinstance(answer, Answer) and answer.result == "index" else None

    def submit(self, command: Command, deadline: float, request: str = "") -> Verdict | None:
        """Have the command ordered, for the request with this id; its verdict, or None when the deadline
        passed first."""
        ticket, slot = self._new_slot()
        ordering = self._ordering
        verdict = self._wait(ticket, slot, lambda: ordering.submit(ticket, command, request), deadline)
        if verdict is None:
            self._post(lambda: self._ordering.forget(ticket))
        return None if isinstance(verdict, Answer) else verdict

    def confirm(self, looked_in: int, deadline: float) -> bool:
        """Whether a round that began after the call confirmed, before the deadline, that the view
        `looked_in` is the newest: `state.readable` from before the look."""
        ticket, slot = self._new_slot()
        until = self._outlook.sensible(deadline, CONFIRM_SECONDS)
        answer = self._wait(ticket, slot, lambda: self._replica.confirm(ticket, looked_in), until)
        return isinstance(answer, Answer) and answer.result == "confirmed"

    def wait_for(self, seq: int, deadline: float) -> bool:
        """Whether entry `seq` was known here to be committed before the deadline."""
        if self.committed >= seq:
            return True
        ticket, slot = self._new_slot()
        waiter = (seq, ticket, slot)
        known = self._wait(ticket, slot, lambda: heapq.heappush(self._waiters, waiter), deadline)
        return isinstance(known, Answer)

    def _post(self, work: Callable[[], None], size: int = 0) -> None:
        """Wait for room in the inbox, but not of a node that has ended."""
        while not (self._outlook.has_ended or self.inbox.put(work, POST_SECONDS, size)):
            pass

    def _new_slot(self) -> tuple[int, Slot]:
        ticket, slot = next(self._tickets), Slot()
        self._slots[ticket] = slot
        return ticket, slot

    def _wait(
        self, ticket: int, slot: Slot, work: Callable[[], None], deadline: float
    ) -> Verdict | Answer | None:
        try:
            if not self.inbox.put(work, max(0.0, deadline - time.monotonic())):
                return None
            if self._outlook.has_ended:
                return _STOPPING
            return slot.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return None
        finally:
            self._slots.pop(ticket, None)

    # The node's thread.

    def _run(self) -> None:
        try:
            self._loop()
        except (StoreBroken, JournalDamaged, FilesDoubtful) as error:
            self._doubt(str(error))
        except (StoreFailure, StoreViolation, ProtocolViolation, OSError) as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001  a fault of the program: stop, keep the files
            self._fail(describe_failure(error))
        finally:
            self._outlook.end()
            for ticket in list(self._slots):
                self._resolve(ticket, _STOPPING)
            self._tell("ended")

    def _doubt(self, why: str) -> None:
        """Note that the files are not to be trusted, before anything can come between: another start
        would believe them."""
        _log.error("the node's files are not to be trusted: %s", why)
        self._events.record("doubtful", why=why)
        try:
            self._note_doubt(why)
        except OSError as error:
            self._fail(f"its files are damaged ({why}), and that cannot be noted: {error.strerror}")
        else:
            self.failure, self.is_doubtful = why, True

    def _fail(self, why: str) -> None:
        self.failure = why
        _log.error("the node stops: %s", why)
        self._events.record("failure", why=why)

    def _loop(self) -> None:
        next_tick = time.monotonic()
        while not self._stopping:
            self._take_work(max(0.0, next_tick - time.monotonic()))
            if time.monotonic() >= next_tick:
                if self._disk.has_room_again():
                    self._replica.disk_has_room()
                self._disk.rest(self._outlook.state.committed)
                self._replica.tick(_now_ms(), self._dice.random())
                next_tick = time.monotonic() + self._tick_s
                if self.damage.is_due(self._outlook.state, time.monotonic()):
                    raise FilesDoubtful(self.damage.why)
            self._carry_all_out()
        self._disk.rest(self._outlook.state.committed, is_end=True)

    def _take_work(self, seconds: float) -> None:
        for _ in range(BATCH_ITEMS):
            work = self.inbox.take(seconds)
            if work is None:
                return
            work()
            seconds = 0.0

    def _take(self, envelope: Envelope) -> None:
        match envelope.message:
            case Proposal():
                self._ordering.on_proposal(envelope.sender, envelope.message)
            case Outcome():
                self._ordering.on_outcome(envelope.message)
            case Learn():
                with self.damage.noting():
                    self._replica.receive(envelope, _now_ms())
            case _:
                self._replica.receive(envelope, _now_ms())

    def _carry_all_out(self) -> None:
        until = time.monotonic() + self._tick_s  # to judge what waits may take long: others are heard
        while True:
            ready = self._replica.ready()
            if ready is not None:
                self._carry_out(ready)
            elif time.monotonic() >= until or not self._ordering.gather():
                break
        self._send_all(())
        self._publish()
        if self._replica.doubt is not None:
            raise FilesDoubtful(self._replica.doubt)

    def _carry_out(self, ready: Ready) -> None:
        """In the order that `Ready` states."""
        self._send_all(ready.early)
        try:
            took_s = self._disk.keep(ready)
        except StoreFull:
            self._replica.disk_full(ready)
            return
        self._send_all(ready.late)
        view = self._replica.view_number()
        self._replica.advance(ready, int(took_s * 1000))
        for answer in ready.answers:
            self._answer(answer)
        self.chronicle.tell(ready, view, took_s)

    def _publish(self) -> None:
        state = self._replica.state()
        self._outlook.publish(state)
        if state.can_write:
            self.chronicle.complaint = None
        while self._waiters and self._waiters[0][0] <= state.committed:
            _, _, slot = heapq.heappop(self._waiters)
            slot.put(Answer(0, "committed"))
        if self._is_leaving and self._replica.has_left:
            self._is_leaving = False
            self._tell("left")

    def _begin_to_leave(self) -> None:
        self._is_leaving = True
        self._replica.leave()

    def _answer(self, answer: Answer) -> None:
        if (slot := self._slots.get(answer.ticket)) is not None:
            slot.put(answer)
        else:
            self._ordering.on_answer(answer)

    def _send_all(self, messages: tuple[Outgoing, ...]) -> None:
        """Send these, and what the ordering has sent since the last time."""
        assert self._links is not None
        for outgoing in messages:
            self._links.send(outgoing.to, self._replica.envelope(outgoing.view, outgoing.message))
        self._links.flush()

    def _send(self, to: str, message: Message) -> bool:
        assert self._links is not None
        return self._links.send(to, self._replica.envelope(self._replica.view_number(), message))

    def _resolve(self, ticket: int, verdict: Verdict) -> None:
        if (slot := self._slots.get(ticket)) is not None:
            slot.put(verdict)

    def _ticket(self) -> int:
        return next(self._tickets)


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
