"""Everything that goes wrong: drawn one after another from a profile, while clients go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.sim.cuts import draw_cut, matrix
from tests.sim.disk import Copy, Disk
from tests.sim.network import Weather
from tests.sim.node import Order
from tests.sim.profiles import Profile
from tests.sim.traps import MESSAGES, STEPS

if TYPE_CHECKING:
    from tests.sim.node import SimNode
    from tests.sim.world import World

LONGEST_PAUSE_MS = 60_000
LOSSES = ("wipe", "truncate", "damage", "sync", "restore")


class Faults:
    """Brings the faults of `profile` until it is told to stop; whatever it has begun may end later.

    `long_pause_ends` is when a node goes on that was paused for longer than all else, 0 if none was.
    """

    def __init__(self, world: World, profile: Profile) -> None:
        self._world = world
        self._profile = profile
        self._dice = world.dice
        self._is_over = False
        self.long_pause_ends = 0
        self._copies: dict[str, list[Copy]] = {name: [] for name in world.nodes}
        self._order: Order = self._dice.choice(("sent", "link", "none"))
        self._kinds: dict[str, Callable[[], None]] = {
            "crash": self._crash,
            "storm": self._storm,
            "trap": self._trap,
            "power": self._power,
            "pause": self._pause,
            "cut": self._cut,
            "weather": self._weather,
            "slow": self._slow_disk,
            "stall": self._stall,
            "full": self._full_disk,
            "lose": self._lose,
            "leave": self._leave,
            "lag": self._lag,
            "rumour": self._rumour,
        }

    def begin(self) -> None:
        """The first fault comes after a while."""
        self._world.post(self._pause_between(), self._next)

    def stop(self) -> None:
        """No fault begins any more."""
        self._is_over = True

    def _next(self) -> None:
        if self._is_over:
            return
        weights = self._profile.faults
        kind = self._dice.choices(list(weights), list(weights.values()))[0]
        self._kinds[kind]()
        self._world.post(self._pause_between(), self._next)

    def _pause_between(self) -> int:
        low, high = self._profile.gap_ms
        return self._dice.randint(low, high)

    def _anyone(self) -> SimNode:
        return self._dice.choice(list(self._world.nodes.values()))

    def _some(self) -> list[SimNode]:
        """One node mostly, several sometimes, all now and then."""
        nodes = list(self._world.nodes.values())
        most = len(nodes) if self._dice.random() < 0.2 else min(len(nodes), 2)
        count = 1 if self._dice.random() < 0.6 else self._dice.randint(1, most)
        return self._dice.sample(nodes, count)

    def _kill(self, node: SimNode, *, power: bool, down_ms: int) -> None:
        if node.life is not None:
            self._world.note(f"{node.name} crashes{' without power' if power else ''}")
            self._world.counts["crashes"] += 1
            node.end(power=power)
            self._keep_a_copy(node)
        self._world.post(down_ms, node.start)

    # Processes.

    def _crash(self) -> None:
        for node in self._some():
            down = self._dice.choice((20, 100, 600, 2_500))
            self._kill(node, power=self._dice.random() < 0.3, down_ms=self._dice.randint(5, down))

    def _storm(self) -> None:
        """One node or several crash again and again as soon as they are back."""
        nodes = self._some()
        at = 0
        for _ in range(self._dice.randint(3, 8)):
            self._world.post(at, self._kill_again, self._dice.choice(nodes))
            at += 40 + self._dice.randint(5, 80)

    def _kill_again(self, node: SimNode) -> None:
        if not self._is_over:
            self._kill(node, power=self._dice.random() < 0.3, down_ms=self._dice.randint(5, 80))

    def _trap(self) -> None:
        what = self._dice.choice(STEPS + MESSAGES)
        node = self._anyone()
        self._world.note(f"a trap for {node.name} lies at its {what}")
        node.traps.lay(what)

    def _power(self) -> None:
        """All nodes lose power at once, and come back one after another."""
        self._world.counts["power losses"] += 1
        for node in self._world.nodes.values():
            self._kill(node, power=True, down_ms=self._dice.randint(10, 800))

    def _pause(self) -> None:
        for node in self._some()[:2]:
            if node.life is None or node.is_paused:
                continue
            length = self._dice.randint(50, self._dice.choice((300, 1_200, 4_000)))
            is_long = self._profile.long_pauses and self._dice.random() < 0.02
            if is_long and not self.long_pause_ends:
                length = self._dice.randint(5_000, LONGEST_PAUSE_MS)
                self.long_pause_ends = self._world.now + length
                self._world.counts["pauses of 5 to 60 s"] += 1
            self._world.note(f"{node.name} is paused for {length} ms")
            self._world.counts["pauses"] += 1
            node.pause()
            self._world.post(length, self._resume, node, node.life)

    def _resume(self, node: SimNode, life: object) -> None:
        if node.life is life and node.is_paused:
            self._world.note(f"{node.name} goes on")
            node.resume(self._order)

    def _leave(self) -> None:
        nodes = self._some() if self._dice.random() < 0.2 else [self._anyone()]
        for node in nodes:
            if node.life is not None:
                node.life.when_awake(node.life.leave)

    def _lag(self) -> None:
        """Timers of a node come late for a while: its processor is busy."""
        node = self._anyone()
        node.lag_ms = self._dice.choice((40, 120, 300))
        self._world.note(f"{node.name} is slow by up to {node.lag_ms} ms")
        self._world.counts["slow processors"] += 1
        self._world.post(self._dice.randint(200, 2_000), self._end_lag, node)

    def _end_lag(self, node: SimNode) -> None:
        node.lag_ms = 0

    def _rumour(self) -> None:
        """A node hears that another is gone, which lives, or which is back."""
        self._anyone().hear_that_gone(self._anyone().name)

    # Network.

    def _cut(self) -> None:
        names = list(self._world.nodes)
        if len(names) < 2:
            return
        if self._dice.random() < 0.3:
            told, pairs = "a random matrix", matrix(self._dice, names)
        else:
            cut = draw_cut(self._dice, names)
            told, pairs = cut.told, cut.pairs
        self._world.note(f"cut: {told}")
        self._world.counts["cuts"] += 1
        cuts = self._world.network.cuts
        for pair in pairs:
            cuts[pair] = True
        self._world.post(self._dice.randint(100, 4_000), self._mend, pairs)

    def _mend(self, pairs: list[tuple[str, str]]) -> None:
        self._world.note("the cut is mended")
        for pair in pairs:
            self._world.network.cuts.pop(pair, None)

    def _weather(self) -> None:
        weather = draw_weather(self._world)
        self._world.network.weather = weather
        self._world.note(f"{weather}")

    # Disks.

    def _slow_disk(self) -> None:
        node = self._anyone()
        pace = node.disk.pace
        pace.most = self._dice.choice((30, 120, 500))
        pace.least = pace.most // 3
        self._world.note(f"the disk of {node.name} takes up to {pace.most} ms")
        self._world.counts["slow disks"] += 1
        self._world.post(self._dice.randint(300, 3_000), self._end_slow, node)

    def _end_slow(self, node: SimNode) -> None:
        node.disk.pace.least, node.disk.pace.most = 1, 6

    def _stall(self) -> None:
        node = self._anyone()
        length = self._dice.randint(100, self._dice.choice((600, 3_000)))
        node.disk.stalled_until = self._world.now + length
        self._world.note(f"the disk of {node.name} stalls for {length} ms")
        self._world.counts["stalled disks"] += 1

    def _full_disk(self) -> None:
        node = self._anyone()
        if node.disk.full:
            return
        self._world.note(f"the disk of {node.name} is full")
        self._world.counts["full disks"] += 1
        node.disk.full = True
        self._world.post(self._dice.randint(200, 3_000), node.make_room)

    # Disks that are lost: one at a time.

    def _keep_a_copy(self, node: SimNode) -> None:
        """Somebody copies the folder of a node that is down."""
        copy = node.disk.copy() if self._profile.loses_disks else None
        if copy is not None:
            self._copies[node.name] = [*self._copies[node.name][-2:], copy]

    def _lose(self) -> None:
        world = self._world
        if len(world.nodes) < 3 or not world.forgives_loss():
            return
        node, how = self._anyone(), self._dice.choice(LOSSES)
        if how == "sync" and node.life is not None:
            node.disk.failing = True
            self._count_lost(node, how)
        elif how == "restore":
            self._copy_and_go_on(node)
        else:
            self._spoil_while_down(node, how)

    def _spoil_while_down(self, node: SimNode, how: str) -> None:
        node.end(power=self._dice.random() < 0.3)
        if self._spoil(node, how):
            self._count_lost(node, how)
        self._world.post(self._dice.randint(5, self._dice.choice((50, 1_500))), node.start)

    def _count_lost(self, node: SimNode, how: str) -> None:
        world = self._world
        world.lost = node.name
        node.disk.is_doubtful = how != "wipe"
        world.note(f"the disk of {node.name}: {how}")
        world.counts["lost disks"] += 1
        world.counts[f"lost: {how}"] += 1

    def _copy_and_go_on(self, node: SimNode) -> None:
        """A copy is taken between two lives; it is put back after the second."""
        node.end(power=self._dice.random() < 0.3)
        self._keep_a_copy(node)
        self._world.post(self._dice.randint(5, 60), node.start)
        self._world.post(self._dice.randint(300, 2_500), self._put_back, node)

    def _put_back(self, node: SimNode) -> None:
        if not self._is_over and self._world.forgives_loss():
            self._spoil_while_down(node, "restore")

    def _spoil(self, node: SimNode, how: str) -> bool:
        """Do this to the folder of a node that is down; whether it could be done."""
        disk = node.disk
        promise = disk.read_promise(self._dice, power_lost=False)
        if how == "wipe":
            node.disk = Disk(pace=disk.pace)
            return True
        if promise is None:
            return False
        if how == "damage":
            disk.damaged = "the promise file is damaged"
            return True
        if how == "truncate":
            if promise.mark.seq == 0:
                return False
            disk.truncate(self._dice.randrange(promise.mark.seq))
            return True
        return self._restore(node)

    def _restore(self, node: SimNode) -> bool:
        """Put a copy back from before the latest life, of which all others have heard: without that
        nobody can tell that the folder is not the newest."""
        promise = node.disk.promise
        copies = [
            copy
            for copy in self._copies[node.name]
            if promise is not None
            and copy.promise.incarnation == promise.incarnation
            and copy.promise.boot < promise.boot
        ]
        if promise is None or not copies:
            return False
        for other in self._world.nodes.values():
            known = other.disk.promise.lives.get(node.name) if other.disk.promise is not None else None
            if other is not node and (known is None or known.life != promise.life):
                return False
        copy = self._dice.choice(copies)
        node.disk.restore(copy)
        self._world.checks.forget_promise(node, copy.promise.promised)
        return True


def draw_weather(world: World) -> Weather:
    """Bad in one way or several."""
    dice = world.dice
    return Weather(
        loss=dice.choice((0.0, 0.0, 0.01, 0.05, 0.15)),
        duplicates=dice.choice((0.0, 0.02, 0.1)),
        spikes=dice.choice((0.0, 0.01, 0.05)),
        spike_ms=dice.choice((100, 400, 1_200)),
        delay_ms=dice.choice((2, 8, 40)),
        ordered=dice.random() < 0.5,
    )
