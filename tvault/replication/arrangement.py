"""Which nodes make the chain of a view, and in which order: pure choice from what each says of itself.

A chain holds a majority of nodes that may vote, so that what it acknowledges outlives any minority; it
holds more when they can keep up.  Neighbours must hear each other, else the chain would fall silent at
once.  Blank nodes stand at its end: they count for nothing, and must be copied to first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tvault.replication.account import Account, Condition
from tvault.replication.view import Member

NEAR_ENTRIES = 64
"""A journal that lacks at most so many entries is nearly complete: the view itself brings the rest."""

SLOW_MS = 250
SLOW_TIMES = 5
"""A node is slow when its journal writes take longer than `SLOW_MS` and so many times longer than those
of the others: in a chain, it alone would set the pace."""


@dataclass(frozen=True)
class Candidate:
    """A node that could be a member: its present life and its account."""

    member: Member
    account: Account


def arrange(head: Candidate, others: Sequence[Candidate], majority: int) -> tuple[Member, ...] | None:
    """The chain that `head` would lead, or None when there is none.

    `others` have promised the view, or would; their order is kept where nothing speaks against it.
    """
    usable = [each for each in others if each.account.condition is Condition.READY]
    slow = slow_nodes([head, *usable])
    voters: list[Candidate] = []
    late: list[Candidate] = []
    for each in usable:
        if each.account.may_vote:
            keeps_up = _is_near(head, each) and each.member.node not in slow
            (voters if keeps_up else late).append(each)
    late.sort(key=lambda each: (each.member.node in slow, -each.account.last.seq))
    short_of = max(majority - 1 - len(voters), 0)
    blanks = [
        each
        for each in usable
        if not each.account.may_vote and _is_near(head, each) and each.member.node not in slow
    ]
    for spare in range(short_of, len(late) + 1):
        path = _best_path(head, [*voters, *late[:spare]], blanks, majority)
        if sum(each.account.may_vote for each in path) >= majority:
            return tuple(each.member for each in path)
    return None


def slow_nodes(candidates: Sequence[Candidate]) -> frozenset[str]:
    """Those whose disk is many times slower than the others'."""
    slow = set()
    for each in candidates:
        rest = [other.account.persist_ms for other in candidates if other is not each]
        mine = each.account.persist_ms
        if rest and mine > SLOW_MS and mine > SLOW_TIMES * median(rest):
            slow.add(each.member.node)
    return frozenset(slow)


def _is_near(head: Candidate, other: Candidate) -> bool:
    return head.account.last.seq - other.account.last.seq <= NEAR_ENTRIES


def _best_path(
    head: Candidate, voters: Sequence[Candidate], blanks: Sequence[Candidate], majority: int
) -> list[Candidate]:
    """The chain from `head` of which each member hears the next, blanks behind voters: one with a
    majority if there is any, and of these the longest.

    Whoever promised has heard the head and was heard by it.
    """

    def worth(path: Sequence[Candidate]) -> tuple[bool, int]:
        return sum(each.account.may_vote for each in path) >= majority, len(path)

    best: list[Candidate] = [head]
    most = 1 + len(voters) + len(blanks)

    def extend(path: list[Candidate], voters: Sequence[Candidate], blanks: Sequence[Candidate]) -> None:
        nonlocal best
        if worth(path) > worth(best):
            best = path
        for place, each in enumerate((*voters, *blanks)):
            if len(best) == most:
                return
            if len(path) > 1 and not _hear_each_other(path[-1], each):
                continue
            if place < len(voters):
                extend([*path, each], [voter for voter in voters if voter is not each], blanks)
            else:
                extend([*path, each], (), [blank for blank in blanks if blank is not each])

    extend(best, voters, blanks)
    return best


def _hear_each_other(one: Candidate, other: Candidate) -> bool:
    return other.member.node in one.account.hears and one.member.node in other.account.hears
