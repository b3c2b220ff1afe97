"""One life of a simulated node: the production replica and ordering, driven as a node drives them.

It does what `tvault.server.node` does, in the same order, but for time: the world schedules every step,
and a crash, a pause or a failing disk may come between any two.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.sim.disk import DiskFull
from tvault.model.commands import Command
from tvault.model.rules import Judge
from tvault.ordering import Ordering, Verdict
from tvault.replication.messages import Confirmed, Envelope, Message, Outcome, Proposal
from tvault.replication.promise import Promise
from tvault.replication.ready import Answer, Ready
from tvault.replication.replica import Replica

if TYPE_CHECKING:
    from tests.sim.api import Handler
    from tests.sim.node import SimNode

LEAVE_MS = 2_000
IDLE_MS = 1_000

Result = Verdict | Answer | bool | None
Done = Callable[[Result], None]


@dataclass(frozen=True)
class Look:
    """A reader that waits for a confirmation: the view it looked in, and when it asked."""

    view: int
    asked: float


class Process:
    """What a crash takes away.  Everything that it does goes through `node`, which may be paused."""

    def __init__(self, node: SimNode, name: str, promise: Promise, owners: tuple[str, ...]) -> None:
        self.node = node
        self.name = name
        self.world = world = node.world
        self.disk = node.disk
        self.store = store = node.disk.store
        hint = store.committed_hint()
        self.replica = Replica(promise, store, hint, world.timing, world.now, world.random())
        self.ordering = Ordering(
            node.name,
            self.replica,
            Judge(store, owners, clock=node.wall_us),
            self.ticket,
            self._send_now,
            self._resolve,
        )
        self.state = self.replica.state()
        self.flowed_at = world.now
        self.doing: Ready | None = None
        self.has_persisted = False
        self.promised_before = promise.promised
        self.has_cut = False
        self.is_over = False
        self.handlers: dict[int, Handler] = {}
        self.rounds: dict[int, tuple[float, dict[str, bool]]] = {}
        self._inbox: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._waiting: dict[int, Done] = {}
        self._looks: dict[int, Look] = {}
        self._waiters: list[tuple[int, int]] = []
        self._written_at = world.now
        self._tick_due = False
        self._has_worked = False
        self._tickets = 0
        self._leaving_until: int | None = None

    # Input, from the network and from the threads that serve requests.

    def receive(self, envelope: Envelope) -> None:
        """A message from another node."""
        self.accept(self._take, envelope)

    def submit(self, command: Command, done: Done) -> None:
        """A command of a request to this node."""
        ticket = self.ticket()
        self._waiting[ticket] = done
        self.accept(self.ordering.submit, ticket, command)

    def confirm(self, vantage: int, done: Done) -> None:
        """A reader, which has looked, wants it confirmed."""
        ticket = self.ticket()
        self._waiting[ticket] = done
        self.accept(self._confirm, ticket, vantage)

    def ask_index(self, done: Done) -> None:
        """A reader of an outsider wants to know up to where it must know the journal."""
        ticket = self.ticket()
        self._waiting[ticket] = done
        self.accept(self.replica.ask_index, ticket)

    def wait_for(self, seq: int, limit_ms: int, done: Done) -> None:
        """A reader waits until entry `seq` is known here to be committed, but not for ever: whether it
        is known then."""
        if self.state.committed >= seq:
            done(True)
            return
        ticket = self.ticket()
        self._waiting[ticket] = done
        heapq.heappush(self._waiters, (seq, ticket))
        self.world.post(limit_ms, self.when_awake, self._tell_waiter, ticket, False)

    def sleep(self, delay: int, done: Done) -> None:
        """A thread waits for nothing but time."""
        self.world.post(delay, self.when_awake, done, None)

    def _tell_waiter(self, ticket: int, is_known: bool) -> None:  # noqa: FBT001
        done = self._waiting.pop(ticket, None)
        if done is not None:
            done(is_known)

    def leave(self) -> None:
        """As `SIGTERM`: hand over, wait until nothing relies on this node, end."""
        if self._leaving_until is None:
            self.world.note(f"{self.node.name} is asked to leave")
            self._leaving_until = self.world.now + LEAVE_MS
            self.accept(self.replica.leave)

    def tick(self) -> None:
        """Time has passed; the next tick comes by itself."""
        if self.is_over:
            return
        if self.node.is_paused:
            self.node.hold(self.tick)
            return
        self._tick_due = True
        if self.doing is None:
            self._go_on()
        gap = self.world.timing.heartbeat_ms // 4
        self.world.post(gap + int(self.world.random() * self.node.lag_ms), self.tick)

    def accept(self, action: Callable[..., None], *details: Any) -> None:
        """Work for the node's thread."""
        if not self.is_over:
            self._inbox.append((action, details))
            if self.doing is None:
                self._go_on()

    def when_awake(self, action: Callable[..., None], *details: Any) -> None:
        """Do something in this process: later while it is paused, never when it is over."""
        if self.is_over:
            return
        if self.node.is_paused:
            self.node.hold(self.when_awake, action, *details)
        else:
            action(*details)

    def ticket(self) -> int:
        """A number that this life gives once."""
        self._tickets += 1
        return self._tickets

    def _confirm(self, ticket: int, vantage: int) -> None:
        self._looks[ticket] = Look(vantage, self.world.moment)
        self.replica.confirm(ticket, vantage)

    def _take(self, envelope: Envelope) -> None:
        message = envelope.message
        if isinstance(message, Proposal):
            self.ordering.on_proposal(envelope.sender, message)
        elif isinstance(message, Outcome):
            self.ordering.on_outcome(message)
        else:
            if isinstance(message, Confirmed):
                self.world.checks.heard_confirmation(self, envelope)
            self.node.traps.on_message(message)
            self.replica.receive(envelope, self.world.now)

    # The node's thread.

    def _go_on(self) -> None:
        """Take what waits, carry out all that comes of it, then take again."""
        while not self.is_over and self._carry_all_out():
            if self._has_worked and self._publish():
                return
            if not (self._inbox or self._tick_due):
                return
            self._has_worked = True
            for _ in range(min(len(self._inbox), self.node.batch)):
                action, details = self._inbox.popleft()
                action(*details)
            if self._tick_due:
                self._tick_due = False
                self.rest()
                self.replica.tick(self.world.now, self.world.random())

    def _publish(self) -> bool:
        """Say what the node is now; whether that is a reason to end."""
        self._has_worked = False
        self.state = state = self.replica.state()
        if state.can_write:
            self.flowed_at = self.world.now
        self.world.checks.published(self.node, state)
        while self._waiters and self._waiters[0][0] <= state.committed:
            self._tell_waiter(heapq.heappop(self._waiters)[1], True)
        return self._ends_by_itself()

    def _ends_by_itself(self) -> bool:
        if self.replica.doubt is not None:
            self.node.end_as_doubted(self.replica.doubt)
            return True
        if self._leaving_until is None:
            return False
        has_left = self.replica.has_left
        if has_left or self.world.now >= self._leaving_until:
            self.node.end_as_asked(has_left=has_left)
            return True
        return False

    def _carry_all_out(self) -> bool:
        """Whether all is done; False when the disk has to be waited for."""
        while True:
            ready = self.replica.ready()
            if ready is None:
                if not self.ordering.gather():
                    return True
            elif not self._carry_out(ready):
                return False

    def _carry_out(self, ready: Ready) -> bool:
        self.world.checks.known(self.node, ready.committed)
        self.promised_before, self.has_cut = self.disk.promised, ready.cut_after is not None
        for outgoing in ready.early:
            self.say(outgoing.to, outgoing.view, outgoing.message)
        self.node.traps.on_ready(ready)
        syncs = ready.promise is not None or ready.touches_journal or ready.sync_mark
        if not syncs and (ready.mark is None or self.world.random() < 0.9):
            self._conclude(ready, 0)
            return True
        self.doing, self.has_persisted = ready, False
        took = self._duration(ready)
        self.world.post(took, self.when_awake, self._persist, ready, took)
        return False

    def _duration(self, ready: Ready) -> int:
        pace, random = self.disk.pace, self.world.random
        writes = (ready.promise is not None) + ready.touches_journal + ready.sync_mark
        took = sum(pace.least + int(random() * (pace.most - pace.least + 1)) for _ in range(writes))
        return max(took, self.disk.stalled_until - self.world.now)

    def _persist(self, ready: Ready, took: int) -> None:
        """The steps that must be durable before anything is said."""
        if self.disk.failing:
            self.node.end_with_failed_disk()
            return
        if ready.promise is not None:
            self.disk.write_promise(ready.promise, sync=True)
            self.world.checks.promised(self.node)
        if ready.touches_journal:
            self.world.checks.before_write(self.node, ready)
            try:
                self.disk.write_journal(ready)
            except DiskFull:
                self.world.note(f"{self.node.name} finds its disk full")
                self.doing, self._has_worked = None, True
                self.replica.disk_full(ready)
                self._go_on()
                return
            self.world.checks.written(self.node)
            self._written_at = self.world.now
        self.has_persisted = True
        if self.world.random() < 0.15:
            pause = int(self.world.random() * 4)
            self.world.post(pause, self.when_awake, self._finish, ready, took)
        else:
            self._finish(ready, took)

    def _finish(self, ready: Ready, took: int) -> None:
        self.doing, self._has_worked = None, True
        self._conclude(ready, took if ready.touches_journal else 0)
        self._go_on()

    def _conclude(self, ready: Ready, took: int) -> None:
        if ready.mark is not None:
            self.disk.write_mark(ready)
            self.world.checks.promised(self.node)
        self.store.settle(ready.committed)
        for outgoing in ready.late:
            self.say(outgoing.to, outgoing.view, outgoing.message)
        self.replica.advance(ready, took)
        for answer in ready.answers:
            self._answer(answer)
        for notice in ready.notices:
            self.world.note(f"{self.node.name} {notice.event} {notice.details}")
            self.world.counts[f"notice {notice.event}"] += 1

    def rest(self, *, is_end: bool = False) -> None:
        """Store how far the journal is committed, once nothing else was stored for a while."""
        is_due = is_end or self.world.now - self._written_at >= IDLE_MS
        if is_due and not self.disk.full and not self.disk.failing and self.doing is None:
            self._written_at = self.world.now
            self.store.write(None, (), self.state.committed)
            self.world.checks.written(self.node)

    def leave_half_done(self) -> None:
        """The process dies: each step of what it was doing is done whole or not at all, and none before
        those above it."""
        ready = self.doing
        if ready is None:
            return
        dice, disk, checks = self.world.dice, self.disk, self.world.checks
        steps = dice.randint(2 if self.has_persisted else 0, 4)
        if not self.has_persisted:
            if steps >= 1 and ready.promise is not None:
                disk.write_promise(ready.promise, sync=True)
            if disk.full and ready.touches_journal:
                steps = min(steps, 1)
            if steps >= 2 and ready.touches_journal:
                checks.before_write(self.node, ready)
                disk.write_journal(ready)
                checks.written(self.node)
        if steps >= 3:
            disk.write_mark(ready)
        checks.promised(self.node)
        if steps >= 4:
            for outgoing in ready.late[: dice.randint(0, len(ready.late))]:
                self.say(outgoing.to, outgoing.view, outgoing.message)
        self.world.note(f"{self.node.name} had done {steps} of 4 steps")

    # Output.

    def say(self, to: str, view: int, message: Message) -> None:
        """Put a message on the wire, once it is seen to claim nothing that is not so."""
        envelope = self.replica.envelope(view, message)
        self.world.checks.sent(self, envelope)
        self.world.network.send(envelope, to)

    def _send_now(self, to: str, message: Message) -> bool:
        """To a node that is down it is dropped, as long as that is known."""
        if self.world.nodes[to].life is None and self.world.random() < 0.5:
            return False
        self.say(to, self.replica.view_number(), message)
        return True

    def _answer(self, answer: Answer) -> None:
        done = self._waiting.pop(answer.ticket, None)
        if done is None:
            self.ordering.on_answer(answer)
            return
        look = self._looks.pop(answer.ticket, None)
        if look is not None and answer.result == "confirmed":
            self.world.checks.confirmed(self, look)
        done(answer)

    def _resolve(self, ticket: int, verdict: Verdict) -> None:
        done = self._waiting.pop(ticket, None)
        if done is not None:
            done(verdict)
