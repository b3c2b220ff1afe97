"""One run: a cluster, its clients, a sequence of faults, and the judgement at the end."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from tests.cluster.crowd import in_parts, issued_tokens, lie_about, read_all_back
from tests.cluster.faults import FAULTS, Fault
from tests.cluster.namespaces import Namespaces
from tests.cluster.stage import AFTER_FAULT, Fallen, Stage
from tests.cluster.wires import Wires
from tests.history.check import violations
from tests.history.operations import Operation
from tests.history.record import Tally

CALM_SECONDS = 1.0
"""How long the clients have a cluster to themselves before the first fault."""

HURRY = 0.25
"""How much shorter the faults of a run are that has each kind once."""

AGREE_SECONDS = 30.0
MEND_SECONDS = 60.0
FLOORS_A_SECOND = {"tokenize": 8.0, "detokenize": 2.0, "miss": 2.0, "epoch": 1.0, "rotate": 0.1}
"""How many calls of each kind must have been acknowledged, for each second of a run."""

SECRET_FLOORS_A_SECOND = {"secret-write": 0.3, "secret-race": 0.1, "secret-read": 0.5}


@dataclass(frozen=True)
class Plan:
    """What to do: for so many seconds, or each kind of fault once; which kinds, with how many nodes;
    whether these have network namespaces of their own."""

    seed: int
    seconds: float | None = None
    kinds: Sequence[str] = tuple(FAULTS)
    nodes: int = 3
    in_namespaces: bool = False

    @property
    def command(self) -> str:
        """What repeats the run."""
        seconds = "" if self.seconds is None else f" --seconds {self.seconds:g}"
        kinds = "" if tuple(self.kinds) == tuple(FAULTS) else f" --faults {','.join(self.kinds)}"
        spaces = " --namespaces" if self.in_namespaces else ""
        return f"python -m tests.cluster --seed {self.seed} --nodes {self.nodes}{seconds}{kinds}{spaces}"

    def sequence(self) -> Iterator[str]:
        """The kinds in turn, shuffled anew each time they begin again."""
        dice = Random(self.seed)
        while True:
            kinds = list(self.kinds)
            dice.shuffle(kinds)
            yield from kinds
            if self.seconds is None:
                return


@dataclass
class Report:
    """What a run came to.  Seconds without an acknowledged write by kind of fault, one for each time."""

    gaps: dict[str, list[float]] = field(default_factory=dict)
    views: int = 0
    agreed_s: float = 0.0
    seconds: float = 0.0
    tallies: dict[str, Tally] = field(default_factory=dict)
    tokens: int = 0
    versions: int = 0

    def lines(self) -> Iterator[str]:
        """A table for people."""
        yield f"{'fault':<18} {'times':>5}  longest time without a write"
        for kind, gaps in sorted(self.gaps.items()):
            yield f"{kind:<18} {len(gaps):>5}  {max(gaps):.2f} s"
        yield f"{'call':<18} {'acknowledged':>12} {'unknown':>8} {'refused':>8}"
        for kind, tally in self.tallies.items():
            yield f"{kind:<18} {tally.acknowledged:>12} {tally.unknown:>8} {tally.refused:>8}"
        yield f"{sum(map(len, self.gaps.values()))} faults in {self.seconds:.0f} s, {self.views} views"
        yield f"all nodes agreed {self.agreed_s:.1f} s after the last call"
        yield f"{self.tokens} acknowledged tokens read back from each node alone"
        yield f"{self.versions} acknowledged versions of secrets, too"


def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> Report:
    """Carry the plan out in a new folder.  Raises `Fallen`; the folder then holds what people need to
    find out why."""
    wires = Namespaces if plan.in_namespaces else Wires
    stage = Stage(folder, plan.nodes, plan.seed, say, wires)
    report = Report()
    fallen = True
    try:
        stage.pace = 1.0 if plan.seconds is not None else HURRY
        stage.open()
        with stage.crowd:
            _strike_all(stage, plan, report)
            stage.whole()
        _agree(stage, report)
        _judge(stage, report)
        _read_each_alone(stage, report)
        _refuse_surprises(stage)
        fallen = False
    except Exception as error:
        raise Fallen(f"{error}\nseed {plan.seed}, repeat it with: {plan.command}") from error
    finally:
        if fallen:
            _keep(folder, stage.crowd.recorder.operations())
        stage.close(keep=fallen)
    return report


def _strike_all(stage: Stage, plan: Plan, report: Report) -> None:
    began = time.monotonic()
    stage.stand(CALM_SECONDS)
    for kind in plan.sequence():
        if plan.seconds is not None and time.monotonic() > began + plan.seconds:
            break
        _strike(stage, kind, FAULTS[kind], report)
    report.seconds = time.monotonic() - began


def _strike(stage: Stage, kind: str, fault: Fault, report: Report) -> None:
    if fault.doubts_a_disk:
        stage.whole()
    stage.say(kind)
    began = time.monotonic()
    fault.strike(stage)
    stage.answers(AFTER_FAULT, f"too little is answered after {kind}")
    gap = stage.crowd.pulse.longest_gap(began, time.monotonic())
    if fault.doubts_a_disk:
        stage.whole()
        stage.drop_what_was_set_aside()
    report.gaps.setdefault(kind, []).append(gap)
    stage.say(f"  {gap:.2f} s without a write, {time.monotonic() - began:.1f} s in all")


def _agree(stage: Stage, report: Report) -> None:
    """All nodes come to one journal without help, and find in it whatever was acknowledged."""
    began = time.monotonic()
    stage.until(stage.cluster.agree, AGREE_SECONDS, "the nodes do not agree")
    report.agreed_s = time.monotonic() - began
    stage.note_views(*stage.names)
    report.views = len(stage.views)
    stage.until(
        partial(_can_all_be_read, stage), MEND_SECONDS, "a node cannot give out all that it holds"
    )
    read_all_back(stage.cluster, stage.crowd, *stage.names)


def _can_all_be_read(stage: Stage) -> bool:
    """Whether all nodes answer for all that there is.  A node whose disk changed what nobody has read
    since begins anew when it is read now."""
    cluster = stage.cluster
    issued = issued_tokens(stage.crowd.recorder.operations())
    asked = [(owner, [token for whose, token in issued if whose == owner]) for owner in cluster.keys]
    asked.append((next(iter(cluster.keys)), list(stage.stock)))
    return (
        cluster.is_whole()
        and stage.crowd.keepers.read_back(*stage.names)
        and all(
            cluster.post(name, "/detokenize", {"tokens": part}, owner).status_code == 200
            for name in stage.names
            for owner, tokens in asked
            for part in in_parts(tokens)
        )
    )


def _judge(stage: Stage, report: Report) -> None:
    history = stage.crowd.recorder.operations()
    found = violations(history)
    if found:
        raise Fallen(f"{len(found)} contradictions, such as: {found[0]}")
    if not violations([*history, lie_about(history)]):
        raise Fallen("the check is asleep")
    report.tallies = stage.crowd.recorder.summary()
    for kind, rate in FLOORS_A_SECOND.items():
        count = report.tallies[kind].acknowledged
        if count < rate * report.seconds:
            raise Fallen(
                f"only {count} calls of kind {kind} in {report.seconds:.0f} s were acknowledged"
            )
    counts = stage.crowd.pulse.counts()
    for kind, rate in SECRET_FLOORS_A_SECOND.items():
        if counts[kind] < rate * report.seconds:
            raise Fallen(f"only {counts[kind]} calls of kind {kind} in {report.seconds:.0f} s")


def _read_each_alone(stage: Stage, report: Report) -> None:
    """Every token and version that was acknowledged is there on each node with all others stopped.

    A node by itself answers what it knows to be committed: the commit position that was stored with
    its last entry.  One more write, after all agreed, stores with it that all before it is committed.
    """
    cluster = stage.cluster
    keepers = stage.crowd.keepers
    keepers.end_all(stage.names[0])
    cluster.tokenize(stage.names[0], ["the last one"])
    stage.until(cluster.agree, AGREE_SECONDS, "the nodes do not agree on one more write")
    stage.kill(*stage.names)
    issued = issued_tokens(stage.crowd.recorder.operations())
    report.tokens = len(issued)
    for name in stage.names:
        stage.start(name)
        stage.until(partial(cluster.health, name), AGREE_SECONDS, f"{name} does not start")
        for owner in cluster.keys:
            for part in in_parts([token for whose, token in issued if whose == owner]):
                expected = [issued[owner, token] for token in part]
                if cluster.detokenize(name, list(part), owner) != expected:
                    raise Fallen(f"{name} alone does not know what was acknowledged")
        if cluster.detokenize(name, list(stage.stock)) != list(stage.stock.values()):
            raise Fallen(f"{name} alone does not know what was there from the beginning")
        report.versions = keepers.read_alone(name)
        if cluster.health(name) != "unavailable":
            raise Fallen(f"{name} is alone and says {cluster.health(name)!r}")
        stage.kill(name)


def _refuse_surprises(stage: Stage) -> None:
    """No node may have met what its programmers did not think of."""
    for name in stage.names:
        said = stage.cluster.log(name).read_text()
        if "Traceback" in said or "Error" in said:
            raise Fallen(f"{name} met the unexpected, see {stage.cluster.log(name)}")


def _keep(folder: Path, history: Sequence[Operation]) -> None:
    (folder / "history.txt").write_text("".join(f"{operation}\n" for operation in history))
    (folder / "history.pickle").write_bytes(pickle.dumps(list(history)))
