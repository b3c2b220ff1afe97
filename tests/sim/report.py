"""The summary of many runs, and the floors below which they prove nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.sim.run import Outcome

FLOORS = {
    "tokenize": 20.0,
    "detokenize": 8.0,
    "miss": 3.0,
    "epoch": 4.0,
    "rotate": 1.0,
    "put": 4.0,
    "put several": 1.0,
    "delete": 0.5,
    "get": 4.0,
    "get several": 2.0,
    "history": 2.0,
    "names": 1.0,
}
"""Calls acknowledged in a run at the mean, by kind."""

FEW = 40
"""With fewer runs no floor of faults is asked for."""

FAULTS_OF_MANY = (
    "crashes",
    "crashes at a step",
    "power losses",
    "pauses",
    "slow disks",
    "stalled disks",
    "full disks",
    "hand-overs",
    "clock jumps",
)
FAULTS_OF_THREE = ("cuts", "lost disks", "doubted copies", "failed syncs")
"""What many runs must have met, whatever their size, and with three nodes or more."""


@dataclass
class Summary:
    """Sums over runs of one size."""

    nodes: int
    runs: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    profiles: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    recoveries: list[int] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)
    simulated_ms: int = 0
    cpu_s: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """One more run."""
        self.runs += 1
        self.counts += outcome.counts
        self.profiles[outcome.profile] += 1
        self.acknowledged += outcome.acknowledged
        self.unknown += outcome.unknown
        self.simulated_ms += outcome.simulated_ms
        self.cpu_s += outcome.cpu_s
        if outcome.failure is not None:
            self.failed.append(outcome)
        else:
            self.recoveries.append(outcome.recovery_ms)

    def shortfalls(self, *, is_mixed: bool) -> list[str]:
        """What there was too little of; `is_mixed`: all profiles were drawn."""
        short = [
            f"{kind}: {self.acknowledged[kind]} acknowledged in {self.runs} runs, not {floor:g} a run"
            for kind, floor in FLOORS.items()
            if self.acknowledged[kind] < floor * self.runs
        ]
        if is_mixed and self.runs >= FEW:
            wanted = FAULTS_OF_MANY + (FAULTS_OF_THREE if self.nodes >= 3 else ())
            short += [f"no run met this: {fault}" for fault in wanted if not self.counts[fault]]
        return short

    def lines(self, wall_s: float) -> list[str]:
        """For people."""
        counts = dict(self.counts)
        totals = {name: counts.pop(name, 0) for name in ("messages", "entries", "views")}
        notices = {name[7:]: n for name, n in counts.items() if name.startswith("notice ")}
        faults = {name: n for name, n in counts.items() if not name.startswith("notice ")}
        each_s = self.cpu_s / max(self.runs, 1)
        told = [
            f"{self.runs} seeds of {self.nodes} nodes, {len(self.failed)} failed, {wall_s:.0f} s",
            f"{each_s:.2f} s of a processor each, {self.simulated_ms / 1000:.0f} s simulated",
        ]
        told.append("profiles: " + _told(self.profiles))
        told.append("totals: " + _told(totals))
        told.append("faults: " + _told(faults))
        told.append("nodes told: " + _told(notices))
        told.append(f"acknowledged {self.acknowledged.total()}: " + _told(self.acknowledged))
        told.append(f"unknown {self.unknown.total()}: " + _told(self.unknown))
        if self.recoveries:
            ordered = sorted(self.recoveries)
            last = len(ordered) - 1
            told.append(
                f"one chain of all after the last fault: median {ordered[last // 2]} ms, "
                f"p99 {ordered[int(last * 0.99)]} ms, most {ordered[-1]} ms"
            )
        return told


def _told(counts: Counter[str] | dict[str, int]) -> str:
    return ", ".join(f"{name} {counts[name]}" for name in sorted(counts)) or "none"
