"""The faults that a cluster must survive, each from its beginning to its end.

Each leaves every node running and every link whole, and nothing else settled: the next one may hit a
cluster that is still recovering, unless a disk was in doubt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.cluster import disks
from tests.cluster.stage import Fallen, Stage
from tests.cluster.wires import Mode, Pair

LONGEST_DOWN_SECONDS = 2.0
JOURNAL = "journal.sqlite"
CHECK_SECONDS = 60.0
SHORTEST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 8.0
LONGEST_CUT_SECONDS = 4.0
SURELY_SUSPECTED_SECONDS = 4.0
"""A node that is away for longer has been replaced, so that the others write."""

FULL_SECONDS = 30.0


@dataclass(frozen=True)
class Fault:
    """`strike` does it all.  A fault that puts a disk in doubt begins and ends with a whole cluster:
    no more than a minority of the disks may be in doubt at a time."""

    strike: Callable[[Stage], None]
    doubts_a_disk: bool = False


# Processes.


def kill_one(stage: Stage) -> None:
    name = stage.member()
    stage.kill(name)
    stage.writes(f"without {name}")
    stage.stand(stage.seconds(0, LONGEST_DOWN_SECONDS))
    stage.start(name)


def kill_some(stage: Stage, count: int | None = None) -> None:
    """Kill two nodes at once, or all."""
    names = stage.dice.sample(stage.names, count or len(stage.names))
    stage.kill(*names)
    if len(stage.names) - len(names) >= stage.majority:
        stage.writes(f"without {' and '.join(names)}")
    stage.stand(stage.seconds(0, LONGEST_DOWN_SECONDS / 2))
    stage.start(*names)


def kill_in_recovery(stage: Stage) -> None:
    """Kill a node, and another one, or the same again, while the first is coming back."""
    first, second = stage.member(), stage.dice.choice(stage.names)
    stage.kill(first)
    stage.stand(stage.seconds(0, LONGEST_DOWN_SECONDS / 2))
    stage.start(first)
    stage.stand(stage.seconds(0, 1.5))
    stage.kill(second)
    if second != first:
        stage.writes(f"without {second}, after {first} was away")
    stage.start(second)


def kill_every_head(stage: Stage) -> None:
    """Kill one head after the other, each as soon as it writes, with only the last ones away."""
    for _ in range(3):
        name = stage.chain()[0]
        stage.kill(name)
        stage.start(name)
        stage.writes(f"after {name} has crashed")


def pause_one(stage: Stage) -> None:
    name = stage.member()
    seconds = stage.seconds(SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    stage.pause(name)
    try:
        if seconds > SURELY_SUSPECTED_SECONDS:
            stage.writes(f"while {name} stands still")
        stage.stand(seconds)
    finally:
        stage.go_on(name)


def pause_some(stage: Stage) -> None:
    """Two at once stand still, or all, as in a machine that swaps or is moved."""
    names = stage.dice.sample(stage.names, stage.dice.choice((2, len(stage.names))))
    stage.pause(*names)
    try:
        stage.stand(stage.seconds(SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS / 2))
    finally:
        for name in names:
            stage.go_on(name)
            stage.stand(stage.dice.choice((0.0, 0.3)))


def terminate_one(stage: Stage) -> None:
    name = stage.member()
    stage.terminate(name)
    stage.writes(f"without {name}, which has left")
    stage.stand(stage.seconds(0, LONGEST_DOWN_SECONDS))
    stage.start(name)


def restart_all_in_turn(stage: Stage) -> None:
    for name in stage.dice.sample(stage.names, len(stage.names)):
        stage.whole()
        stage.terminate(name)
        stage.start(name)


# Disks.


def wipe(stage: Stage) -> None:
    name = stage.member()
    stage.stop(name)
    stage.wipe(name)
    stage.start(name)
    stage.writes(f"while {name} is empty")


def wipe_and_hit_another(stage: Stage) -> None:
    """Another node crashes or stands still while the wiped one is being filled; nobody may write then
    unless the wiped one is done, and everyone must once the other one is back."""
    name = stage.member()
    stage.stop(name)
    stage.wipe(name)
    stage.start(name)
    stage.stand(stage.seconds(0.5, 1.5))
    other = stage.dice.choice(stage.others(name))
    if stage.dice.random() < 0.5:
        stage.kill(other)
        stage.stand(stage.seconds(0, 1))
        stage.start(other)
    else:
        stage.pause(other)
        stage.stand(stage.seconds(SHORTEST_PAUSE_SECONDS, 3))
        stage.go_on(other)


def damage(stage: Stage, file: str, how: str) -> None:
    """Flip bits of a file, one or many, or cut it off."""
    name = stage.member()
    stage.kill(name)
    there = sorted(stage.cluster.data(name).glob(file))
    if not there:
        raise Fallen(f"{name} has no {file}")
    path = stage.dice.choice(there)
    if how == "truncate":
        disks.truncate(path, stage.dice)
    else:
        disks.flip_bits(path, stage.dice, stage.dice.choice((1, 1, 50)))
    known = len(stage.cluster.events(name))
    stage.start(name)
    stage.writes(f"while {name} is in doubt")
    if file == JOURNAL:
        # A second disk that fails before the first one is found damaged is one more than may fail.
        stage.until(partial(_is_found_out, stage, name, known), CHECK_SECONDS, f"{name} is not checked")


def _is_found_out(stage: Stage, name: str, known: int) -> bool:
    """Whether the node has begun anew since, or has read its whole journal and found it sound."""
    since = {event["event"] for event in stage.cluster.events(name)[known:]}
    return not since.isdisjoint({"set-aside", "checked"})


def lose_index(stage: Stage) -> None:
    """What the journal can tell again is gone."""
    name = stage.member()
    stage.kill(name)
    disks.wipe(stage.cluster.data(name) / "index")
    stage.start(name)
    stage.writes(f"while {name} has no index")


def restore_old_copy(stage: Stage) -> None:
    """A node comes back with what it had before it took part in more."""
    name = stage.member()
    stage.stop(name)
    copied = stage.copy(name)
    stage.start(name)
    stage.whole()
    stage.answers({"tokenize": 30}, "no writes before the old copy comes back")
    stage.stop(name)
    stage.restore(name, copied)
    stage.start(name)
    stage.writes(f"while {name} has an old copy")


def fill_disk(stage: Stage) -> None:
    """A node without room leaves the chain, answers what it can, and comes back when there is room."""
    name = stage.small
    pid = stage.cluster.processes[name].pid
    stage.disk.fill(pid)
    try:
        stage.until(
            lambda: name not in stage.chain(), FULL_SECONDS, f"{name} has no room and is in the chain"
        )
        stage.writes(f"while {name} has no room")
        if stage.disk.is_mounted:  # it hears of the new chain a moment after those that are in it
            stage.until(
                lambda: stage.cluster.health(name) == "degraded",
                FULL_SECONDS,
                f"{name} has no room, can pass writes on, and says otherwise",
            )
    finally:
        stage.disk.clear(pid if name not in stage.cluster.ended() else None)
    if name in stage.cluster.ended() and not stage.disk.is_mounted:
        stage.cluster.wait_for_end(name)  # to it, the disk has failed
        stage.start(name)


# Links.


def cut(stage: Stage, pairs: Callable[[Stage], list[Pair]]) -> None:
    """Messages are held back until later, or connections break; any single cut leaves a majority that
    must write."""
    chosen = pairs(stage)
    mode: Mode = stage.dice.choice(("hold", "reset"))
    seconds = stage.seconds(0.5, LONGEST_CUT_SECONDS)
    stage.say(f"  {mode} {' '.join('>'.join(pair) for pair in chosen)}")
    stage.wires.set(chosen, mode)
    try:
        stage.writes("while links are cut")
        stage.stand(seconds)
        stage.writes("while links are cut, after a while")
    finally:
        stage.wires.heal()


def everything(stage: Stage) -> None:
    """No node hears any other for a while."""
    stage.wires.set(stage.wires.pairs, stage.dice.choice(("hold", "reset")))
    try:
        stage.stand(stage.seconds(0.2, LONGEST_CUT_SECONDS))
    finally:
        stage.wires.heal()


def one_node(stage: Stage) -> list[Pair]:
    return stage.links(stage.member())


def one_sender(stage: Stage) -> list[Pair]:
    return stage.links(stage.member(), hears=False)


def one_hearer(stage: Stage) -> list[Pair]:
    return stage.links(stage.member(), sends=False)


def one_link(stage: Stage) -> list[Pair]:
    one = stage.member()
    other = stage.dice.choice(stage.others(one))
    return [(one, other), (other, one)]


def one_way(stage: Stage) -> list[Pair]:
    one = stage.member()
    other = stage.dice.choice(stage.others(one))
    return [stage.dice.choice(((one, other), (other, one)))]


def delay(stage: Stage) -> None:
    """All that a node says and hears is late, by less than makes others suspect it."""
    late_ms = stage.dice.randint(20, 80)
    stage.wires.set(stage.links(stage.member()), "pass", late_ms)
    try:
        stage.writes(f"while a node is {late_ms} ms late")
        stage.stand(stage.seconds(0, LONGEST_CUT_SECONDS))
    finally:
        stage.wires.heal()


FAULTS: dict[str, Fault] = {
    "kill": Fault(kill_one),
    "kill-two": Fault(partial(kill_some, count=2)),
    "kill-all": Fault(kill_some),
    "kill-recovering": Fault(kill_in_recovery),
    "kill-heads": Fault(kill_every_head),
    "pause": Fault(pause_one),
    "pause-some": Fault(pause_some),
    "terminate": Fault(terminate_one),
    "roll": Fault(restart_all_in_turn),
    "wipe": Fault(wipe, doubts_a_disk=True),
    "wipe-and-another": Fault(wipe_and_hit_another, doubts_a_disk=True),
    "flip-journal": Fault(partial(damage, file=JOURNAL, how="flip"), doubts_a_disk=True),
    "flip-wal": Fault(partial(damage, file="journal.sqlite-wal", how="flip"), doubts_a_disk=True),
    "flip-promise": Fault(partial(damage, file="promise", how="flip"), doubts_a_disk=True),
    "truncate-journal": Fault(partial(damage, file=JOURNAL, how="truncate"), doubts_a_disk=True),
    "truncate-wal": Fault(
        partial(damage, file="journal.sqlite-wal", how="truncate"), doubts_a_disk=True
    ),
    "truncate-promise": Fault(partial(damage, file="promise", how="truncate"), doubts_a_disk=True),
    "flip-index": Fault(partial(damage, file="index/*.run", how="flip")),
    "truncate-index": Fault(partial(damage, file="index/*.run", how="truncate")),
    "lose-index": Fault(lose_index),
    "restore": Fault(restore_old_copy, doubts_a_disk=True),
    "full": Fault(fill_disk, doubts_a_disk=True),
    "cut-node": Fault(partial(cut, pairs=one_node)),
    "cut-sender": Fault(partial(cut, pairs=one_sender)),
    "cut-hearer": Fault(partial(cut, pairs=one_hearer)),
    "cut-link": Fault(partial(cut, pairs=one_link)),
    "cut-one-way": Fault(partial(cut, pairs=one_way)),
    "cut-all": Fault(everything),
    "delay": Fault(delay),
}
"""Every kind of fault by its name."""
