"""Which nodes make a chain, in which order: who hears whom, who may vote, who keeps up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, pairwise, permutations
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvault.replication.account import Account, Condition
from tvault.replication.arrangement import (
    NEAR_ENTRIES,
    SLOW_MS,
    SLOW_TIMES,
    Candidate,
    arrange,
    slow_nodes,
)
from tvault.replication.entry import Position
from tvault.replication.promise import Standing
from tvault.replication.view import Member, majority

NAMES = ("n1", "n2", "n3", "n4", "n5")
LINKS = tuple(combinations(NAMES[1:], 2))
END = 1000
"""Where the head's journal ends."""

FAR = END - NEAR_ENTRIES - 1


def candidate(
    name: str,
    *,
    last: int = END,
    hears: Iterable[str] = NAMES,
    standing: Standing = Standing.VOTER,
    condition: Condition = Condition.READY,
    persist_ms: int = 0,
) -> Candidate:
    position = Position(last, 3, bytes(32))
    others = tuple(other for other in hears if other != name)
    return Candidate(Member(name, "life"), Account(standing, condition, position, others, persist_ms))


def chain(*candidates: Candidate, nodes: int = 3) -> list[str] | None:
    """The chain that the first would lead, of so many configured nodes."""
    head, *others = candidates
    arranged = arrange(head, others, majority(nodes))
    return None if arranged is None else [member.node for member in arranged]


def test_the_given_order_is_kept_where_all_hear_each_other() -> None:
    assert chain(candidate("n2"), candidate("n1"), candidate("n3")) == ["n2", "n1", "n3"]
    assert chain(candidate("n2"), candidate("n3"), candidate("n1")) == ["n2", "n3", "n1"]


def test_a_chain_names_the_lives_that_promised() -> None:
    head, other = candidate("n1"), Candidate(Member("n2", "second"), candidate("n2").account)
    assert arrange(head, [other], 2) == (Member("n1", "life"), Member("n2", "second"))


def test_neighbours_hear_each_other() -> None:
    """n2 and n3 do not, and n4 hears both."""
    head, two = candidate("n1"), candidate("n2", hears=("n1", "n4"))
    three, four = candidate("n3", hears=("n1", "n4")), candidate("n4")
    assert chain(head, two, three, four, nodes=4) == ["n1", "n2", "n4", "n3"]


@pytest.mark.parametrize("deaf", ["n2", "n3"])
def test_hearing_one_way_is_not_enough(deaf: str) -> None:
    two, three = (candidate(name, hears=("n1",) if name == deaf else NAMES) for name in ("n2", "n3"))
    assert chain(candidate("n1"), two, three) == ["n1", "n2"]


def test_a_node_that_no_neighbour_hears_is_left_out() -> None:
    mute = candidate("n2", hears=("n1",))
    rest = [candidate(name) for name in NAMES[2:]]
    assert chain(candidate("n1"), mute, *rest, nodes=5) == ["n1", "n3", "n4", "n5"]


def test_who_promised_was_heard_by_the_head_and_hears_it() -> None:
    assert chain(candidate("n1", hears=()), candidate("n2", hears=())) == ["n1", "n2"]


@pytest.mark.parametrize(("nodes", "voters"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_chain_has_a_majority_of_nodes_that_may_vote(nodes: int, voters: int) -> None:
    enough = [candidate(name) for name in NAMES[:voters]]
    blank = [candidate(name, standing=Standing.BLANK) for name in NAMES[voters - 1 : nodes]]
    assert chain(*enough, nodes=nodes) is not None
    if voters > 1:
        assert chain(*enough[:-1], nodes=nodes) is None
        assert chain(*enough[:-1], *blank, nodes=nodes) is None, "blank nodes count for nothing"


def test_voters_that_do_not_hear_each_other_make_no_majority() -> None:
    two, three = candidate("n2", hears=("n1", "n4")), candidate("n3", hears=("n1", "n4"))
    blank = candidate("n4", standing=Standing.BLANK)
    assert chain(candidate("n1"), two, three, nodes=5) is None
    assert chain(candidate("n1"), two, three, blank, nodes=5) is None


def test_founders_count_and_stand_among_the_voters() -> None:
    founder = candidate("n2", standing=Standing.FOUNDER)
    assert chain(candidate("n1", standing=Standing.FOUNDER), founder) == ["n1", "n2"]
    assert chain(candidate("n1"), founder, candidate("n3")) == ["n1", "n2", "n3"]


def test_blank_nodes_stand_at_the_end_whatever_the_order() -> None:
    blank = candidate("n2", standing=Standing.BLANK, last=END)
    assert chain(candidate("n1"), blank, candidate("n3")) == ["n1", "n3", "n2"]


def test_a_chain_that_blank_nodes_would_lengthen_does_not_want_for_voters() -> None:
    """Both n1 n2 n3 and n1 n4 n5 have three members, and only the latter a majority."""
    two = candidate("n2", hears=("n1", "n3"))
    three = candidate("n3", hears=("n1", "n2"), standing=Standing.BLANK)
    four, five = candidate("n4", hears=("n1", "n5")), candidate("n5", hears=("n1", "n4"))
    assert chain(candidate("n1"), two, three, four, five, nodes=5) == ["n1", "n4", "n5"]


@pytest.mark.parametrize("condition", [Condition.FULL, Condition.LEAVING])
def test_a_node_that_is_full_or_leaves_is_no_member_even_if_it_is_needed(condition: Condition) -> None:
    unable = candidate("n2", condition=condition)
    assert chain(candidate("n1"), unable, candidate("n3")) == ["n1", "n3"]
    assert chain(candidate("n1"), unable) is None


def test_a_journal_that_lacks_a_little_may_be_a_member_and_one_that_lacks_more_may_not() -> None:
    near, far = candidate("n2", last=FAR + 1), candidate("n2", last=FAR)
    assert chain(candidate("n1"), near, candidate("n3")) == ["n1", "n2", "n3"]
    assert chain(candidate("n1"), far, candidate("n3")) == ["n1", "n3"]


@pytest.mark.parametrize("what", [{"last": FAR}, {"persist_ms": 10_000}])
def test_a_far_or_slow_blank_node_is_never_a_member(what: dict[str, int]) -> None:
    blank = candidate("n4", standing=Standing.BLANK, **what)  # type: ignore[arg-type]
    rest = [candidate(name, persist_ms=1) for name in ("n1", "n2", "n3")]
    assert chain(*rest, blank, nodes=4) == ["n1", "n2", "n3"]


def test_far_nodes_are_members_where_else_there_were_no_majority() -> None:
    assert chain(candidate("n1"), candidate("n2", last=0)) == ["n1", "n2"]


def test_of_far_nodes_the_one_that_lacks_least_is_taken_first() -> None:
    far, farther = candidate("n3", last=FAR), candidate("n2", last=10)
    assert chain(candidate("n1"), farther, far) == ["n1", "n3"]


def test_a_far_node_is_taken_before_a_slow_one() -> None:
    slow, far = candidate("n2", persist_ms=10_000), candidate("n3", last=FAR, persist_ms=1)
    assert chain(candidate("n1", persist_ms=1), slow, far) == ["n1", "n3"]
    assert chain(candidate("n1", persist_ms=1), slow) == ["n1", "n2"], "it is needed"


def test_a_slow_node_takes_longer_than_a_bound_and_many_times_longer_than_the_others() -> None:
    def slow(*persist_ms: int) -> list[str]:
        candidates = [
            candidate(name, persist_ms=each) for name, each in zip(NAMES, persist_ms, strict=False)
        ]
        return sorted(slow_nodes(candidates))

    assert slow(1, 1, SLOW_MS + 1) == ["n3"]
    assert slow(1, 1, SLOW_MS) == []
    assert slow(100, 100, 100 * SLOW_TIMES) == []
    assert slow(100, 100, 100 * SLOW_TIMES + 1) == ["n3"]
    assert slow(9000, 1, 1) == ["n1"], "a head, too"
    assert slow(9000, 9000, 9000) == [], "where all are slow, none is the slow one"
    assert slow(9000) == [], "who is alone is compared with nobody"


# Whatever there is.


class Kinds(NamedTuple):
    """How a node is drawn."""

    standing: Standing
    condition: Condition
    last: int
    persist_ms: int


kinds = st.builds(
    Kinds,
    standing=st.sampled_from([Standing.VOTER, Standing.VOTER, Standing.VOTER, Standing.BLANK]),
    condition=st.sampled_from([Condition.READY, Condition.READY, Condition.READY, *Condition]),
    last=st.sampled_from([END, END, END, END, FAR + 1, FAR, 3]),
    persist_ms=st.sampled_from([0, 1, 1, 1, SLOW_MS, 9000]),
)


@st.composite
def ensembles(draw: st.DrawFn) -> tuple[Candidate, list[Candidate], int]:
    """A head, others that promised, and how many are a majority."""
    nodes = draw(st.integers(1, 5))
    there = draw(st.permutations(NAMES[1:nodes]))[: draw(st.integers(0, nodes - 1))]
    head = candidate("n1", persist_ms=draw(st.sampled_from([0, 1, 9000])))
    cut = draw(st.sets(st.sampled_from(LINKS)))
    one_way = draw(st.sets(st.sampled_from(LINKS), max_size=2))
    others = []
    for name in there:
        kind = draw(kinds)
        deaf = {one if name == other else other for one, other in cut if name in (one, other)}
        deaf |= {other for one, other in one_way if one == name}
        hears = [other for other in NAMES if other not in deaf]
        others.append(candidate(name, hears=hears, **kind._asdict()))
    return head, others, majority(nodes)


def is_late(head: Candidate, each: Candidate, slow: frozenset[str]) -> bool:
    """Whether a voter would be a burden."""
    lacks = head.account.last.seq - each.account.last.seq
    return lacks > NEAR_ENTRIES or each.member.node in slow


def chains(head: Candidate, others: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    """Every order of every choice of nodes in which neighbours hear each other and blanks stand last,
    in the order of `others`."""
    for length in range(len(others), -1, -1):
        for path in permutations(others, length):
            links = pairwise(path)
            standings = [each.account.may_vote for each in path]
            if standings == sorted(standings, reverse=True) and all(
                two.member.node in one.account.hears and one.member.node in two.account.hears
                for one, two in links
            ):
                yield [head, *path]


def reference(head: Candidate, others: list[Candidate], needed: int) -> tuple[Member, ...] | None:
    """The longest chain with a majority of voters, of those that keep up and of as few of the others as
    give one; of equally long ones that in which an earlier candidate stands first."""
    usable = [each for each in others if each.account.condition is Condition.READY]
    slow = slow_nodes([head, *usable])
    sound = [each for each in usable if not is_late(head, each, slow)]
    late = [each for each in usable if is_late(head, each, slow) and each.account.may_vote]
    late.sort(key=lambda each: (each.member.node in slow, -each.account.last.seq))
    voters = [each for each in sound if each.account.may_vote]
    blanks = [each for each in sound if not each.account.may_vote]
    for spare in range(len(late) + 1):
        for path in chains(head, [*voters, *late[:spare], *blanks]):
            if sum(each.account.may_vote for each in path) >= needed:
                return tuple(each.member for each in path)
    return None


@settings(max_examples=400, deadline=None)
@given(ensembles())
def test_the_chain_is_the_longest_of_those_that_keep_up_with_a_majority_of_voters(
    drawn: tuple[Candidate, list[Candidate], int],
) -> None:
    head, others, needed = drawn
    assert arrange(head, others, needed) == reference(head, others, needed)
