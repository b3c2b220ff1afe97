"""One seed from the founding to the verdict: trouble, recovery, and what clients saw of it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from tests.history.check import violations
from tests.history.operations import Detokenize, ReadEpoch, Tokenize
from tests.sim.clients import LAST_TRY, OWNERS, Call, Client, Memory, Tally
from tests.sim.cuts import draw_cut
from tests.sim.disk import Disk
from tests.sim.faults import Faults, draw_weather
from tests.sim.network import CALM
from tests.sim.node import SimNode
from tests.sim.process import Process
from tests.sim.profiles import Profile, draw_profile
from tests.sim.secret_calls import AnyCall, GetSecrets, ReadHistory, ReadNames
from tests.sim.secret_clients import SecretClient, SecretMemory
from tests.sim.world import World

FOUNDING_MS = 10_000
RECOVERY_MS = 30_000
STEADY_MS = 200
SERVED_MS = 4_000
WRITES_AFTERWARDS = 3
SECRET_CLIENTS = 2
QUIET_MS = 4_000
BIG_VALUES = 0.2
"""How many runs have values so large that catching up takes several messages."""

ROLLING_MS = 10_000
ROLLING_GAP_MS = 500
CUT_SLACK_MS = 1_000
CUT_CALM_MS = 3_000
FOUNDING_WEATHER = 0.5
FOUNDING_WIPES = 0.5
FOUNDING_POWER = 0.3
LEAST_TO_WIPE = 3
"""With fewer nodes one wiped disk is no minority, and a founding has nothing else to stand on."""


@dataclass
class Outcome:
    """What a run came to; sums of it are the summary of many."""

    seed: int
    profile: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    recovery_ms: int = 0
    simulated_ms: int = 0
    cpu_s: float = 0.0
    failure: str | None = None
    trace: list[str] = field(default_factory=list)
    digest: str = ""


class Unproved(AssertionError):
    """The run did not come as far as it must."""


class Run:
    """A world, its clients and its faults."""

    def __init__(self, seed: int, nodes: int, profile: str | None, *, full_trace: bool) -> None:
        self.world = world = World(seed, nodes, full_trace=full_trace)
        drawn = draw_profile(world.dice, nodes, profile)
        self.profile: Profile = drawn.profile
        world.timing = drawn.timing
        self.tally = Tally()
        self.memory = Memory()
        self.known_secrets = SecretMemory()
        self.recovery_ms = 0
        self._crowd: list[Client] = []
        if world.random() < BIG_VALUES:
            world.padding = bytes(world.dice.randint(10_000, 60_000))
        for node in world.nodes.values():
            node.batch = world.dice.choice((1, 3, 256))
        world.note(f"seed {seed}: {nodes} nodes, {self.profile.name}, {world.timing}")

    def go(self) -> None:
        """All of it.  Raises whatever is wrong."""
        self._found()
        self._let_clients_in()
        if self.profile.name == "one cut":
            self._one_cut()
        elif self.profile.name == "rolling":
            self._rolling_restart()
        else:
            self._trouble()
        self._recover()
        self._judge()

    def _found(self) -> None:
        world, dice = self.world, self.world.dice
        for node in world.nodes.values():
            world.post(dice.randint(0, 200), node.start)
        if dice.random() < self.profile.founding_trouble:
            self._trouble_the_founding()
        if not world.run(FOUNDING_MS, until=world.agrees):
            raise Unproved("the founding took too long")
        world.forgives_loss()

    def _trouble_the_founding(self) -> None:
        """Crashes while nobody remembers anything yet, now and then in bad weather and with a wipe."""
        world, dice = self.world, self.world.dice
        if dice.random() < FOUNDING_WEATHER:
            world.network.weather = draw_weather(world)
        is_wiping = len(world.nodes) >= LEAST_TO_WIPE and dice.random() < FOUNDING_WIPES
        for _ in range(dice.randint(1, 6)):
            world.run(dice.randint(5, 400))
            node = dice.choice(list(world.nodes.values()))
            if node.life is None:
                continue
            world.note(f"{node.name} crashes during the founding")
            node.end(power=dice.random() < FOUNDING_POWER)
            if is_wiping and world.lost is None:
                world.note(f"{node.name} is wiped")
                world.counts["wiped in the founding"] += 1
                world.lost = node.name
                node.disk = Disk(pace=node.disk.pace)
            world.post(dice.randint(1, 300), node.start)
        world.network.weather = CALM

    def _let_clients_in(self) -> None:
        world = self.world
        for _ in range(self.profile.clients):
            is_sticky = world.random() < self.profile.sticky
            self._add_client(world.dice.choice(list(world.nodes)) if is_sticky else None)
        for _ in range(SECRET_CLIENTS):
            is_sticky = world.random() < self.profile.sticky
            self._add_secret_client(world.dice.choice(list(world.nodes)) if is_sticky else None)
        world.run(100)

    def _add_client(self, node: str | None, *, is_loyal: bool = False) -> None:
        name = f"c{len(self._crowd)}"
        client = Client(self.world, name, self.memory, self.tally, node=node, is_loyal=is_loyal)
        self._crowd.append(client)
        client.go()

    def _add_secret_client(self, node: str | None) -> None:
        name = f"s{len(self._crowd)}"
        client = SecretClient(self.world, name, self.known_secrets, self.tally, node=node)
        self._crowd.append(client)
        client.go()

    def _trouble(self) -> None:
        world = self.world
        if world.random() < self.profile.bad_weather:
            world.network.weather = draw_weather(world)
            world.note(f"{world.network.weather}")
        faults = Faults(world, self.profile)
        faults.begin()
        world.run(world.dice.randint(*self.profile.lasts_ms))
        faults.stop()
        if faults.long_pause_ends > world.now:
            world.run(faults.long_pause_ends + 1 - world.now)

    def _one_cut(self) -> None:
        """A majority writes again in time, and then stays as it is while the cut lasts."""
        world = self.world
        world.run(200)
        cut = draw_cut(world.dice, list(world.nodes))
        world.note(f"cut: {cut.told}")
        world.counts["cuts"] += 1
        for name in cut.majority:
            self._add_client(name, is_loyal=True)
        for pair in cut.pairs:
            world.network.cuts[pair] = True
        since = world.moment
        limit = 3 * world.timing.suspect_ms + CUT_SLACK_MS
        if not world.run(limit, until=partial(self._writes_since, since, cut.majority)):
            raise Unproved(f"no write for {limit} ms since the cut")
        world.counts["gap of a cut"] += int(world.moment - since)
        world.run(max(int(since) + limit - world.now, 0))
        views = world.checks.views
        world.run(CUT_CALM_MS)
        if world.checks.views != views:
            raise Unproved("the view changes while the cut lasts")
        if not self._writes_since(world.moment - CUT_CALM_MS / 2, cut.majority):
            raise Unproved("no writes while the cut lasts")

    def _rolling_restart(self) -> None:
        """Every node is asked to go, in turn: it hands over in time, and writes pause but shortly."""
        world = self.world
        world.run(300)
        since = world.moment
        for node in world.dice.sample(list(world.nodes.values()), len(world.nodes)):
            assert node.life is not None
            node.life.leave()
            if not world.run(ROLLING_MS, until=partial(self._is_back, node, node.life)):
                raise Unproved(f"{node.name} is not back in a chain of all in time")
            world.run(world.dice.randint(0, 400))
        late = world.counts["hand-overs too late"]
        gap = self._longest_gap(since)
        world.note(f"the longest gap is {gap} ms")
        world.counts["gaps of rolling restarts over 250 ms"] += gap > 250
        if late or gap > ROLLING_GAP_MS:
            raise Unproved(f"writes pause for {gap} ms, {late} nodes go without having left")

    def _is_back(self, node: SimNode, before: Process) -> bool:
        return node.life is not None and node.life is not before and self.world.is_whole()

    def _longest_gap(self, since: float) -> int:
        """The longest time without an acknowledged tokenization."""
        gap, last = 0.0, since
        for call in self.world.operations:
            if call.returned is not None and call.returned > since and isinstance(call.what, Tokenize):
                gap, last = max(gap, call.returned - last), call.returned
        return int(max(gap, self.world.moment - last))

    def _writes_since(self, moment: float, nodes: tuple[str, ...]) -> bool:
        """Whether a tokenization begun after `moment` was acknowledged by one of `nodes`, the newest
        calls first."""
        for call in reversed(self.world.operations):
            if call.returned is not None and call.returned < moment:
                return False
            is_write = isinstance(call.what, Tokenize) and call.what.result is not None
            if is_write and call.invoked > moment and call.node in nodes:
                return True
        return False

    def _recover(self) -> None:
        """Faults stop; without help all nodes come to one chain and stay in it, clients are served."""
        world = self.world
        world.heal()
        began = world.now
        while True:
            if not world.run(began + RECOVERY_MS - world.now, until=world.is_whole):
                raise Unproved(f"not all nodes are in one chain {RECOVERY_MS} ms after the last fault")
            self.recovery_ms, whole_at, views = world.now - began, world.moment, world.checks.views
            world.run(world.timing.suspect_ms + STEADY_MS)
            if world.is_whole() and world.checks.views == views:
                break
        world.note(f"whole after {self.recovery_ms} ms")
        if not world.run(SERVED_MS, until=partial(self._are_served_since, whole_at)):
            raise Unproved("clients are not served after the faults")
        for client in self._crowd:
            client.is_stopped = True
        if not world.run(QUIET_MS, until=lambda: not any(client.calls for client in self._crowd)):
            raise Unproved("calls do not end")
        if not world.run(QUIET_MS, until=world.agrees):
            raise Unproved("the nodes do not come to one journal")

    def _are_served_since(self, moment: float) -> bool:
        """Whether enough tokenizations begun after `moment` were acknowledged."""
        writes = 0
        for call in reversed(self.world.operations):
            if call.returned is not None and call.returned < moment:
                break
            is_write = isinstance(call.what, Tokenize) and call.what.result is not None
            writes += is_write and call.invoked > moment
        return writes >= WRITES_AFTERWARDS

    def _judge(self) -> None:
        """Every node holds everything, and answers so; clients saw one vault that never forgets."""
        world = self.world
        world.checks.at_the_end()
        before = self.tally.acknowledged.total()
        reader = Client(world, "the last one", self.memory, self.tally)
        reader.is_stopped = True
        asked = 0
        for owner in OWNERS:
            tokens = tuple(dict.fromkeys(token for _, token in self.memory.tokens[owner]))
            names = world.secrets.names_of(owner)
            for node in world.nodes:
                questions: list[AnyCall] = [ReadEpoch(owner), Detokenize(owner, tokens)]
                questions += [ReadNames(owner), GetSecrets(owner, names)]
                questions += [ReadHistory(owner, name) for name in names]
                for question in questions:
                    Call(reader, node, question, LAST_TRY)
                asked += len(questions)
        world.run(QUIET_MS, until=lambda: not reader.calls)
        if self.tally.acknowledged.total() - before < asked:
            raise Unproved("a node does not answer at the end")
        told = violations(world.operations)
        assert not told, "what clients saw cannot be: " + "\n".join(told[:5])


def run_seed(
    seed: int, nodes: int = 3, profile: str | None = None, *, full_trace: bool = False
) -> Outcome:
    """Run one seed; a failure is part of the outcome, with the trace."""
    began = time.process_time()
    run = Run(seed, nodes, profile, full_trace=full_trace)
    outcome = Outcome(seed, run.profile.name)
    try:
        run.go()
    except Exception as error:  # noqa: BLE001  whatever goes wrong in a simulated node is the finding
        outcome.failure = f"{type(error).__name__}: {error}"
    world = run.world
    outcome.counts = world.counts
    outcome.counts["views"] = world.checks.views
    outcome.counts["messages"] = world.network.sent
    outcome.counts["entries"] = world.checks.last_committed.seq
    outcome.acknowledged = run.tally.acknowledged
    outcome.unknown = run.tally.unknown
    outcome.recovery_ms = run.recovery_ms
    outcome.simulated_ms = world.now - 1_000
    outcome.cpu_s = time.process_time() - began
    if outcome.failure is not None or full_trace:
        outcome.trace = world.trace.lines
        outcome.digest = world.trace.digest()
    return outcome
