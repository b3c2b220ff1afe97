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
from itertools import count
from random import SystemRandom
from typing import Protocol

from tvault.events import EventLog
from tvault.model.commands import Command
from tvault.model.rules import Judge
from tvault.ordering import Declined, Ordering, Verdict
from tvault.replication.memory import ProtocolViolation
from tvault.replication.messages import Envelope, Message, Outcome, Proposal
from tvault.replication.promise import Promise
from tvault.replication.ready import Answer, Outgoing, Ready, Timing
from tvault.replication.replica import Replica
from tvault.replication.state import State
from tvault.server.framing import describe_failure
from tvault.store.failures import StoreFailure
from tvault.store.ports import Store, StoreViolation
from tvault.store.promise import PromiseFile

INBOX_ITEMS = 4096
"""Work that may wait for the node's thread; beyond it senders wait, and clients are told so."""

BATCH_ITEMS = 256
"""Work taken before the outcome is carried out: what is persisted together shares one sync."""

_log = logging.getLogger("tvault.node")

Slot = queue.SimpleQueue[Verdict | Answer | None]


class Links(Protocol):
    """How a node reaches the others."""

    def send(self, to: str, envelope: Envelope) -> bool:
        """Put an envelope on its way, or drop it (False); never wait."""


class Node:
    """Runs the replica of `promise` over `store` and `promise_file` until it is stopped or must stop.

    `failure` says why it stopped by itself: the disk failed, or what must never happen happened.
    """

    def __init__(
        self,
        promise: Promise,
        promise_file: PromiseFile,
        store: Store,
        timing: Timing,
        judge: Judge,
        events: EventLog,
    ) -> None:
        self._promise_file = promise_file
        self._store = store
        self._events = events
        self._dice = SystemRandom()
        self._links: Links | None = None
        self._inbox: queue.Queue[Callable[[], None]] = queue.Queue(INBOX_ITEMS)
        self._tickets = count(1)
        self._slots: dict[int, Slot] = {}
        self._waiters: list[tuple[int, int, Slot]] = []
        self._tick_s = timing.heartbeat_ms / 4000
        hint = store.committed_hint()
        self._replica = Replica(promise, store, hint, timing, _now_ms(), self._dice.random())
        self._ordering = Ordering(
            promise.node, self._replica, judge, self._ticket, self._send, self._resolve
        )
        self._state = self._replica.state()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="node", daemon=True)
        self.stopped = threading.Event()
        self.failure: str | None = None

    @property
    def state(self) -> State:
        """What the node said of itself after its last step.  Any thread."""
        return self._state

    @property
    def committed(self) -> int:
        """How far the journal is known to be committed.  Any thread."""
        return self._state.committed

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
        self._inbox.put(lambda: self._take(envelope))

    def link_lost(self, node: str) -> None:
        """The connection to a node broke, and with it what was under way."""
        self._inbox.put(lambda: self._ordering.on_link_lost(node))

    def submit(self, command: Command, deadline: float) -> Verdict | None:
        """Have the command ordered; its verdict, or None when the deadline passed first."""
        ticket, slot = self._new_slot()
        verdict = self._wait(ticket, slot, lambda: self._ordering.submit(ticket, command), deadline)
        if verdict is None:
            self._inbox.put(lambda: self._ordering.forget(ticket))
        return None if isinstance(verdict, Answer) else verdict

    def confirm(self, looked_in: int, deadline: float) -> bool:
        """Whether a round that began after the call confirmed, before the deadline, that the view
        `looked_in` is the newest: `state.readable` from before the look."""
        ticket, slot = self._new_slot()
        answer = self._wait(ticket, slot, lambda: self._replica.confirm(ticket, looked_in), deadline)
        return isinstance(answer, Answer) and answer.result == "confirmed"

    def wait_for(self, seq: int, deadline: float) -> bool:
        """Whether entry `seq` was known here to be committed before the deadline."""
        if self.committed >= seq:
            return True
        ticket, slot = self._new_slot()
        waiter = (seq, ticket, slot)
        return (
            self._wait(ticket, slot, lambda: heapq.heappush(self._waiters, waiter), deadline) is not None
        )

    def _new_slot(self) -> tuple[int, Slot]:
        ticket, slot = next(self._tickets), Slot()
        self._slots[ticket] = slot
        return ticket, slot

    def _wait(
        self, ticket: int, slot: Slot, work: Callable[[], None], deadline: float
    ) -> Verdict | Answer | None:
        try:
            self._inbox.put(work, timeout=max(0.0, deadline - time.monotonic()))
            return slot.get(timeout=max(0.0, deadline - time.monotonic()))
        except (queue.Full, queue.Empty):
            return None
        finally:
            self._slots.pop(ticket, None)

    # The node's thread.

    def _run(self) -> None:
        try:
            self._loop()
        except (StoreFailure, StoreViolation, ProtocolViolation, OSError) as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001  a fault of the program: stop, keep the files
            self._fail(describe_failure(error))
        finally:
            for ticket in list(self._slots):
                self._resolve(ticket, Declined("unavailable", "The node is stopping; try another one."))
            self.stopped.set()

    def _fail(self, why: str) -> None:
        self.failure = why
        _log.error("the node stops: %s", why)
        self._events.record("failure", why=why)

    def _loop(self) -> None:
        next_tick = time.monotonic()
        while not self._stopping:
            self._take_work(max(0.0, next_tick - time.monotonic()))
            if time.monotonic() >= next_tick:
                self._replica.tick(_now_ms(), self._dice.random())
                next_tick = time.monotonic() + self._tick_s
            self._carry_all_out()

    def _take_work(self, timeout: float) -> None:
        try:
            work = self._inbox.get(timeout=timeout)
            work()
            for _ in range(BATCH_ITEMS):
                self._inbox.get_nowait()()
        except queue.Empty:
            return

    def _take(self, envelope: Envelope) -> None:
        match envelope.message:
            case Proposal():
                self._ordering.on_proposal(envelope.sender, envelope.message)
            case Outcome():
                self._ordering.on_outcome(envelope.message)
            case _:
                self._replica.receive(envelope, _now_ms())

    def _carry_all_out(self) -> None:
        while True:
            ready = self._replica.ready()
            if ready is not None:
                self._carry_out(ready)
            elif not self._ordering.gather():
                break
        self._state = self._replica.state()
        while self._waiters and self._waiters[0][0] <= self._state.committed:
            _, _, slot = heapq.heappop(self._waiters)
            slot.put(Answer(0, "committed"))

    def _carry_out(self, ready: Ready) -> None:
        """In the order that `Ready` states."""
        self._send_all(ready.early)
        if ready.promise is not None:
            self._promise_file.write(ready.promise, sync=True)
        if ready.touches_journal:
            self._store.write(ready.cut_after, ready.entries, ready.committed)
        if ready.mark is not None:
            self._promise_file.write(ready.mark, sync=ready.sync_mark)
        self._store.settle(ready.committed)
        self._send_all(ready.late)
        self._replica.advance(ready)
        for answer in ready.answers:
            self._answer(answer)
        for notice in ready.notices:
            self._events.record(notice.event, **notice.details)

    def _answer(self, answer: Answer) -> None:
        if (slot := self._slots.get(answer.ticket)) is not None:
            slot.put(answer)
        else:
            self._ordering.on_answer(answer)

    def _send_all(self, messages: tuple[Outgoing, ...]) -> None:
        assert self._links is not None
        for outgoing in messages:
            self._links.send(outgoing.to, self._replica.envelope(outgoing.view, outgoing.message))

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
