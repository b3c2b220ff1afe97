"""One simulated machine: a disk that stays, and the lives that a node begins and loses on it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from tests.sim.disk import Disk
from tests.sim.process import Process
from tests.sim.traps import Traps
from tvault.replication.messages import Envelope
from tvault.replication.promise import Standing
from tvault.replication.recovery import Identity, recover

if TYPE_CHECKING:
    from tests.sim.world import World

HELD_INPUT = 300
"""Messages that wait for a paused node; its peers drop what is more."""

Held = tuple[Callable[..., None], tuple[Any, ...]]
"""Something to be done once the node goes on, and with what."""

HOUR_US = 3_600_000_000
CLOCK_JUMPS = 0.05
"""How often the wall clock is another one than when it was looked at before."""

Order = Literal["sent", "link", "none"]
"""In which order input comes that has waited: as it was sent, in that order from each sender alone, or
in none."""


class SimNode:
    """Alive or not, paused or not.  `lag_ms` makes its timers late; `batch` is how much work it takes
    before it looks at what comes of it."""

    def __init__(
        self, world: World, name: str, ensemble: tuple[str, ...], owners: tuple[str, ...]
    ) -> None:
        self.name = name
        self.world = world
        self.disk = Disk()
        self.life: Process | None = None
        self.is_paused = False
        self.lag_ms = 0
        self.batch = 256
        self.traps = Traps(self)
        self._power_lost = False
        self._clock_off_us = 0
        self._held: list[Held] = []
        self._starts = 0
        self._owners = owners
        self._identity = Identity("sim", ensemble, name, "key")

    @property
    def may_vote(self) -> bool:
        """Whether this node durably counts towards a majority."""
        return self.disk.standing is not Standing.BLANK

    @property
    def is_member(self) -> bool:
        """Whether this node is in a chain."""
        return self.life is not None and self.life.state.role != "outside"

    def wall_us(self) -> int:
        """The wall clock of this machine, in microseconds since 1970, which jumps by an hour or two."""
        world = self.world
        if world.random() < CLOCK_JUMPS:
            self._clock_off_us = world.dice.choice((-HOUR_US, 0, HOUR_US))
            world.counts["clock jumps"] += 1
        return world.wall_us() + self._clock_off_us

    # Its lives.

    def start(self) -> None:
        """Begin a new life with what the disk remembers, if there is none."""
        if self.life is not None:
            return
        world = self.world
        self._starts += 1
        name = f"{self.name}.{self._starts}"
        found = self.disk.read_promise(world.dice, power_lost=self._power_lost)
        self._power_lost = False
        damaged, self.disk.damaged = self.disk.damaged, None
        recovered = recover(
            None if damaged else found,
            damaged=damaged,
            journal=self.disk.store,
            identity=self._identity,
            incarnation=name,
        )
        if recovered.set_aside is not None:
            assert world.lost == self.name, f"{self.name} takes a sound disk for damaged: {recovered}"
            world.note(f"{self.name} sets its files aside: {recovered.set_aside}")
            self.disk = Disk(pace=self.disk.pace)
        self.disk.write_promise(recovered.promise, sync=True)
        world.checks.promised(self)
        self.life = Process(self, name, recovered.promise, self._owners)
        world.note(f"{self.name} starts as {name}, its journal ends at {self.disk.store.last().seq}")
        self.life.tick()

    def end(self, *, power: bool = False, midway: bool = True) -> None:
        """Lose everything but the disk; `midway`: at any point of what was being done to that."""
        life = self.life
        if life is None:
            return
        life.is_over = True
        self._power_lost = self._power_lost or power
        if midway:
            life.leave_half_done()
        self.life = None
        self.is_paused = False
        self._held.clear()
        for handler in list(life.handlers.values()):
            self.world.post(self.world.dice.randint(0, 5), handler.reset)
        self._tell_that_it_is_gone()

    def end_as_asked(self, *, has_left: bool) -> None:
        """After `leave`: it is started again, as in a rolling restart."""
        self.world.counts["hand-overs" if has_left else "hand-overs too late"] += 1
        self.world.note(f"{self.name} ends, has left: {has_left}")
        if self.life is not None:
            self.life.rest(is_end=True)
        self.end(midway=False)
        self.world.post(self.world.dice.randint(5, 300), self.start)

    def end_as_doubted(self, why: str) -> None:
        """A peer knows a later life: this folder is an older copy, and nothing in it can be trusted."""
        assert self.world.lost == self.name, f"{self.name} is doubted, and is sound: {why}"
        self.world.counts["doubted copies"] += 1
        self.world.note(f"{self.name} is told that its folder is a copy: {why}")
        self.disk.damaged = f"an older copy: {why}"
        self.end(midway=False)
        self.world.post(self.world.dice.randint(5, 100), self.start)

    def end_with_failed_disk(self) -> None:
        """A sync failed: what it wrote is doubtful, and so is all else."""
        self.world.counts["failed syncs"] += 1
        self.world.note(f"{self.name}: a sync fails")
        self.disk.failing = False
        self.disk.damaged = "a sync failed"
        self.end(midway=False)
        self.world.post(self.world.dice.randint(20, 400), self.start)

    def _tell_that_it_is_gone(self) -> None:
        """The others notice that streams break and that the port refuses: soon, late, or never."""
        world = self.world
        for peer in world.nodes.values():
            if peer is self:
                continue
            if world.random() < 0.7:
                world.post(int(world.random() * 30), peer.hear_of_lost_link, self.name)
            if world.random() < 0.6:
                late = world.dice.choice((10, 10, 60, 600))
                world.post(int(world.random() * late), peer.hear_that_gone, self.name)

    def pause(self) -> None:
        """As `SIGSTOP`: nothing happens here, and input waits."""
        self.is_paused = self.life is not None

    def resume(self, order: Order) -> None:
        """As `SIGCONT`: what waited comes at once, in this order."""
        if not self.is_paused:
            return
        self.is_paused = False
        held, self._held = _in_order(self._held, order, self.world.dice), []
        life = self.life
        for action, details in held:
            if self.life is life:
                action(*details)

    def hold(self, action: Callable[..., None], *details: Any) -> None:
        """Do this when the node is resumed."""
        self._held.append((action, details))

    def recover_from_faults(self) -> None:
        """Nothing is wrong with this node any more."""
        self.traps.clear()
        self.lag_ms = 0
        if self.disk.failing:
            self.disk.failing = self.disk.is_doubtful = False
        self.disk.stalled_until = 0
        self.disk.pace.least, self.disk.pace.most = 1, 6
        self.make_room()
        self.resume("sent")
        self.start()

    def make_room(self) -> None:
        """There is room on the disk again."""
        if self.disk.full:
            self.world.note(f"{self.name} has room on its disk")
            self.disk.full = False
            if self.life is not None:
                self.life.when_awake(self.life.accept, self.life.replica.disk_has_room)

    # What comes from outside.

    def receive(self, envelope: Envelope) -> None:
        """A message has arrived; whoever sends too much to a paused node loses the rest."""
        if self.life is None:
            return
        if not self.is_paused:
            self.life.receive(envelope)
        elif len(self._held) < HELD_INPUT:
            self._held.append((self.receive, (envelope,)))

    def hear_of_lost_link(self, node: str) -> None:
        """A stream to another node broke."""
        if self.life is not None:
            self.life.when_awake(self.life.accept, self.life.ordering.on_link_lost, node)

    def hear_that_gone(self, node: str) -> None:
        """The port of another node refused: at that time, or so it seemed."""
        if self.life is not None:
            self.life.when_awake(self.life.accept, self.life.replica.unreachable, node)


def _in_order(held: list[Held], order: Order, dice: Random) -> list[Held]:
    if order == "sent":
        return held
    shuffled = dice.sample(held, len(held))
    if order == "none":
        return shuffled
    by_sender: dict[str, list[Held]] = {}
    for each in reversed(held):
        by_sender.setdefault(_sender_of(each), []).append(each)
    return [by_sender[_sender_of(each)].pop() for each in shuffled]


def _sender_of(held: Held) -> str:
    """Who sent what waits; nobody, for what comes from the node itself."""
    first = held[1][0] if held[1] else None
    return first.sender if isinstance(first, Envelope) else ""
