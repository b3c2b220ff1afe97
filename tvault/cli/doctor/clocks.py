"""Clocks compared by questions: a node reads its own between the moments of asking and hearing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from tvault.cli.doctor.findings import Finding, Result

WARNING_S = 1.0
FAILED_S = 60.0

ADVICE = "let a time service (NTP) set it: the validity of secrets and certificates goes by it"


class Reading(NamedTuple):
    """How far a node's clock is ahead of this machine's, in seconds, give or take `doubt_s`: half the
    round trip of the question."""

    node: str
    ahead_s: float
    doubt_s: float


def clocks_found(readings: Sequence[Reading]) -> Iterator[Finding]:
    """A line for each node, and one for the two nodes that differ most."""
    for each in readings:
        found = f"its clock is {_shown(each.ahead_s, each.doubt_s)} this machine's"
        yield _judged(each.node, each.ahead_s, each.doubt_s, found)
    pairs = [
        (one.ahead_s - other.ahead_s, one.doubt_s + other.doubt_s, one.node, other.node)
        for one, other in combinations(readings, 2)
    ]
    if pairs:
        ahead, doubt, one, other = max(pairs, key=lambda pair: abs(pair[0]) - pair[1])
        found = f"{one} and {other} differ most: the first is {_shown(ahead, doubt)} the second"
        yield _judged("", ahead, doubt, found)


def _judged(about: str, ahead_s: float, doubt_s: float, found: str) -> Finding:
    """By what is certain: a slow answer makes nobody's clock wrong."""
    certain = abs(ahead_s) - doubt_s
    result: Result = "failed" if certain > FAILED_S else "warning" if certain > WARNING_S else "ok"
    return Finding("clocks", about, result, found, "" if result == "ok" else ADVICE)


def _shown(ahead_s: float, doubt_s: float) -> str:
    side = "ahead of" if ahead_s >= 0 else "behind"
    return f"{abs(ahead_s):.3f} s (±{doubt_s:.3f}) {side}"
