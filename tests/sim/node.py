"""One simulated node: the production replica and ordering on a simulated disk and network."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.sim.disk import Disk
from tvault.model.commands import Command
from tvault.model.rules import Judge
from tvault.ordering import Ordering, Verdict
from tvault.replication.messages import Envelope, Message, Outcome, Proposal
from tvault.replication.ready import Answer, Ready, Timing
from tvault.replication.recovery import Identity, recover
from tvault.replication.replica import Replica

if TYPE_CHECKING:
    from tests.sim.world import World

TICK_MS = 25
TIMING = Timing(heartbeat_ms=100, suspect_ms=800)


@dataclass
class Life:
    """What a crash takes away."""

    replica: Replica
    ordering: Ordering
    inbox: deque[Callable[[], None]]
    waiting: dict[int, Callable[[Verdict | Answer], None]]
    doing: Ready | None = None
    readable: int = 0


class SimNode:
    """Alive or not, with a disk that stays.  The world schedules everything that it does."""

    def __init__(
        self, world: World, name: str, ensemble: tuple[str, ...], owners: tuple[str, ...]
    ) -> None:
        self.name = name
        self.disk = Disk()
        self.life: Life | None = None
        self.lives = 0
        self.world = world
        self._owners = owners
        self._tickets = 0
        self._identity = Identity("sim", ensemble, name, "key")

    @property
    def dice(self) -> Random:
        return self.world.dice

    def start(self) -> None:
        """Begin a new life with what the disk remembers."""
        assert self.life is None
        self.lives += 1
        self._tickets = 0
        store = self.disk.store
        found = self.disk.promise_after_power_loss(self.dice)
        incarnation = f"{self.name}-{self.lives}"
        recovered = recover(
            found, damaged=None, journal=store, identity=self._identity, incarnation=incarnation
        )
        assert recovered.set_aside is None, f"{self.name} took a sound disk for damaged: {recovered}"
        self.disk.write_promise(recovered.promise, sync=True)
        now = self.world.now
        hint = store.committed_hint()
        replica = Replica(recovered.promise, store, hint, TIMING, now, self.dice.random())
        ordering = Ordering(
            self.name, replica, Judge(store, self._owners), self._ticket, self._send_now, self._resolve
        )
        self.life = Life(replica, ordering, deque(), {})
        self._tick(self.lives)

    def crash(self) -> None:
        """Lose everything but the disk, at any point of what was being done to it."""
        assert self.life is not None
        doing, self.life = self.life.doing, None
        if doing is not None:
            self.disk.carry_out(doing, steps=self.dice.randint(0, 3))

    def wipe(self) -> None:
        """Lose the disk too."""
        assert self.life is None
        self.disk = Disk()

    def receive(self, envelope: Envelope) -> None:
        """A message has arrived."""
        self._accept(lambda: self._take(envelope))

    def submit(self, command: Command, done: Callable[[Verdict | Answer], None]) -> None:
        """A command of a client of this node; a dead one never answers."""
        life = self.life
        if life is None:
            return
        ticket = self._ticket()
        life.waiting[ticket] = done
        self._accept(lambda: life.ordering.submit(ticket, command))

    @property
    def vantage(self) -> int:
        """What a reader takes before it looks; a node publishes it between two steps."""
        return self.life.readable if self.life is not None else 0

    def confirm(self, vantage: int, done: Callable[[Verdict | Answer], None]) -> None:
        """A client's read, which has looked, wants it confirmed; a dead node never answers."""
        life = self.life
        if life is None:
            return
        ticket = self._ticket()
        life.waiting[ticket] = done
        self._accept(lambda: life.replica.confirm(ticket, vantage))

    def _take(self, envelope: Envelope) -> None:
        assert self.life is not None
        match envelope.message:
            case Proposal():
                self.life.ordering.on_proposal(envelope.sender, envelope.message)
            case Outcome():
                self.life.ordering.on_outcome(envelope.message)
            case _:
                self.life.replica.receive(envelope, self.world.now)

    def _tick(self, number: int) -> None:
        if self.life is None or number != self.lives:
            return
        replica = self.life.replica
        self._accept(lambda: replica.tick(self.world.now, self.dice.random()))
        self.world.after(TICK_MS, lambda: self._tick(number))

    def _accept(self, work: Callable[[], None]) -> None:
        assert self.life is not None
        self.life.inbox.append(work)
        if self.life.doing is None:
            self._go_on()

    def _go_on(self) -> None:
        """As the node's thread does: take what waits, then carry out what comes of it."""
        life = self.life
        assert life is not None
        while True:
            ready = life.replica.ready()
            if ready is not None:
                self._carry_out(ready)
                return
            if life.inbox:
                life.inbox.popleft()()
            elif not life.ordering.gather():
                life.readable = life.replica.state().readable
                return

    def _carry_out(self, ready: Ready) -> None:
        assert self.life is not None
        life, number = self.life, self.lives
        for outgoing in ready.early:
            self.world.send(life.replica.envelope(outgoing.view, outgoing.message), outgoing.to)
        life.doing = ready
        slow = ready.promise is not None or ready.touches_journal
        delay = self.dice.randint(1, 12) if slow else 0
        self.world.after(delay, lambda: self._finish(ready, number))

    def _finish(self, ready: Ready, number: int) -> None:
        if self.life is None or number != self.lives:
            return
        life = self.life
        self.disk.carry_out(ready)
        for outgoing in ready.late:
            self.world.send(life.replica.envelope(outgoing.view, outgoing.message), outgoing.to)
        life.replica.advance(ready)
        for answer in ready.answers:
            if answer.ticket in life.waiting:
                life.waiting.pop(answer.ticket)(answer)
            else:
                life.ordering.on_answer(answer)
        self.world.noticed(self.name, ready)
        life.doing = None
        self._go_on()

    def _ticket(self) -> int:
        self._tickets += 1
        return self._tickets

    def _send_now(self, to: str, message: Message) -> bool:
        assert self.life is not None
        replica = self.life.replica
        self.world.send(replica.envelope(replica.view_number(), message), to)
        return True

    def _resolve(self, ticket: int, verdict: Verdict) -> None:
        assert self.life is not None
        done = self.life.waiting.pop(ticket, None)
        if done is not None:
            self.world.after(0, lambda: done(verdict))
