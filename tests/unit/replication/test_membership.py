"""What a head decides about its chain: whom it takes in, whom it drops, when it slows its clients."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.unit.replication.wire import TIMING, Wire
from tvault.replication.account import Condition
from tvault.replication.arrangement import NEAR_ENTRIES, SLOW_MS
from tvault.replication.membership import (
    BEHIND_FOR_MS,
    FIRST_PAUSE_MS,
    LONGEST_PAUSE_MS,
    SLOW_FOR_MS,
    STABLE_MS,
    THROTTLE_MS,
)
from tvault.replication.memory import WRITES_REMEMBERED_MS
from tvault.replication.messages import Append, Learned, Presence, Promised

SLOW = 4 * SLOW_MS


def without(wire: Wire, *names: str) -> Wire:
    """These nodes die, and the rest is a chain."""
    wire.hints = True
    for name in names:
        wire[name].crash()
    wire.until(lambda: wire.is_chain_of(*(name for name in wire.names if name not in names)))
    return wire


def views(wire: Wire) -> list[int]:
    """How many members each view had that n1 took part in."""
    chains = [notice.details["chain"] for notice in wire["n1"].told("view")]
    return [len(chain) for chain in chains if isinstance(chain, list)]


def writes(wire: Wire, duration: int, each: int = 200) -> None:
    """The head orders something now and then."""
    end = wire.now + duration
    while wire.now < end:
        head = wire.head()
        if head.replica.may_propose():
            head.propose(wire.now)
        wire.run(each)


# Taking in.


def test_an_outsider_that_lacks_nothing_is_taken_in_at_the_tail() -> None:
    wire = without(Wire().founded(), "n2")
    wire["n1"].propose(1)
    wire["n2"].start()
    wire.until(wire.is_whole, within=1000)
    assert wire["n1"].state.chain == ("n1", "n3", "n2")
    assert views(wire) == [3, 2, 3], "in one step"


def test_an_outsider_that_lacks_something_is_not_taken_in() -> None:
    wire = without(Wire().founded(), "n3")
    wire["n1"].propose(1)
    wire.loses = lambda item: item.is_from(None, "n3", (Learned,))
    wire["n3"].start()
    wire.run(5000)
    assert views(wire) == [3, 2]
    assert wire["n3"].state.role == "outside"
    assert wire["n3"].state.can_write, "it passes them on"
    wire.loses = lambda _: False
    wire.until(wire.is_whole, within=1000)


@pytest.mark.parametrize("condition", [Condition.FULL, Condition.LEAVING])
def test_an_outsider_that_is_full_or_leaves_is_not_taken_in(condition: Condition) -> None:
    wire = without(Wire().founded(), "n3")
    wire["n1"].propose(1)
    wire["n3"].start()
    if condition is Condition.FULL:
        wire["n3"].has_room = False
    else:
        wire["n3"].leave()
    wire.run(5000)
    assert wire["n3"].state.condition is condition
    assert views(wire) == [3, 2]


@pytest.mark.parametrize(("sender", "to"), [("n1", "n3"), ("n3", "n1"), ("n2", "n3"), ("n3", "n2")])
def test_an_outsider_that_no_chain_of_all_could_hold_is_not_taken_in(sender: str, to: str) -> None:
    """n1 heads n2, so n3 has to hear n2 and to be heard by it; and to hear and be heard by n1, whose
    ballot it is to answer."""
    wire = without(Wire().founded(), "n3")
    wire.loses = lambda item: item.is_from(None, "n3", (Learned,))
    wire["n3"].start()
    wire.run(500)
    wire.cut(sender, to)
    wire.run(1000)
    wire.loses = lambda _: False
    wire.run(5000)
    assert views(wire) == [3, 2]
    wire.heal()
    wire.until(wire.is_whole, within=1000)


def test_an_outsider_that_is_far_behind_does_not_keep_another_out() -> None:
    wire = without(Wire(5).founded(), "n4", "n5")
    for ticket in range(NEAR_ENTRIES + 1):
        wire.head().propose(ticket)
        wire.deliver_all()
    wire.loses = lambda item: item.is_from(None, "n4", (Learned,))
    wire.start("n4", "n5")
    wire.until(lambda: wire.is_chain_of("n1", "n2", "n3", "n5"), within=1000)
    wire.loses = lambda _: False
    wire.until(wire.is_whole, within=1000)


def test_an_outsider_that_lacks_a_little_comes_in_with_another() -> None:
    """It has promised the view that the other was invited to, and the chain itself brings the rest."""
    wire = without(Wire(5).founded(), "n4", "n5")
    wire["n1"].propose(1)
    wire.loses = lambda item: item.is_from(None, "n4", (Learned,))
    wire.start("n4", "n5")
    wire.until(wire.is_whole, within=1000)
    assert views(wire) == [5, 3, 5]


def test_an_outsider_that_does_not_answer_the_ballot_is_asked_with_growing_pauses() -> None:
    """Each ballot stops the writes for a moment."""
    wire = without(Wire().founded(), "n3")
    wire.loses = lambda item: item.is_from("n3", None, (Promised,))
    wire["n3"].start()
    begun: list[int] = []
    end = wire.now + STABLE_MS
    while wire.now < end:
        known = len(views(wire))
        wire.run(50)
        if len(views(wire)) > known:
            begun.append(wire.now)
    pauses = [after - before for before, after in pairwise(begun)]
    expected = [FIRST_PAUSE_MS * 2**step for step in range(4)]
    assert len(pauses) >= 6
    for pause, least in zip(pauses, expected, strict=False):
        assert least <= pause <= least + TIMING.suspect_ms
    longest = range(LONGEST_PAUSE_MS, LONGEST_PAUSE_MS + TIMING.suspect_ms)
    assert all(pause in longest for pause in pauses[len(expected) :])


def test_the_pause_begins_anew_once_a_member_has_been_one_for_long() -> None:
    wire = without(Wire().founded(), "n3")
    for _ in range(6):
        wire["n3"].start()
        wire.until(wire.is_whole, within=LONGEST_PAUSE_MS + 1000)
        without(wire, "n3")
    wire["n3"].start()
    wire.until(wire.is_whole, within=LONGEST_PAUSE_MS + 1000)
    wire.run(STABLE_MS)
    without(wire, "n3")
    wire["n3"].start()
    wire.until(wire.is_whole, within=1000)
    without(wire, "n3")
    wire["n3"].start()
    wire.until(wire.is_whole, within=1000)


# Dropping.


def test_a_member_that_is_many_times_slower_than_the_rest_is_dropped_after_a_while() -> None:
    wire = Wire().founded()
    wire["n3"].took_ms = SLOW
    writes(wire, SLOW_FOR_MS - 500)
    assert wire.is_whole(), "it may pass"
    writes(wire, 2000)
    assert wire.is_chain_of("n1", "n2")
    writes(wire, 2000)
    assert wire["n3"].state.role == "outside", "and it is not taken in as long as it is slow"


def test_a_member_that_was_slow_for_a_moment_is_not_dropped() -> None:
    wire = Wire().founded()
    for _ in range(3):
        wire["n3"].took_ms = SLOW
        writes(wire, SLOW_FOR_MS // 2)
        wire["n3"].took_ms = 1
        writes(wire, SLOW_FOR_MS)
    assert views(wire) == [3]


def test_a_slow_member_is_taken_in_again_once_it_is_as_fast_as_the_rest() -> None:
    wire = Wire().founded()
    wire["n3"].took_ms = SLOW
    writes(wire, 2 * SLOW_FOR_MS)
    assert wire.is_chain_of("n1", "n2")
    wire["n3"].took_ms = 1
    writes(wire, 2 * SLOW_FOR_MS)
    assert wire.is_whole()


def test_a_node_that_was_slow_and_had_nothing_to_write_for_a_while_gets_another_chance() -> None:
    wire = Wire().founded()
    wire["n3"].took_ms = SLOW
    writes(wire, 2 * SLOW_FOR_MS)
    assert wire.is_chain_of("n1", "n2")
    wire.run(WRITES_REMEMBERED_MS + 1000)
    assert wire.is_whole()


def test_a_slow_member_stays_when_too_few_would_remain() -> None:
    wire = without(Wire().founded(), "n3")
    wire["n2"].took_ms = SLOW
    writes(wire, 3 * SLOW_FOR_MS)
    assert wire.is_chain_of("n1", "n2")
    assert views(wire) == [3, 2]


def test_where_all_are_slow_nobody_is_dropped() -> None:
    wire = Wire().founded()
    for node in wire.nodes.values():
        node.took_ms = SLOW
    writes(wire, 3 * SLOW_FOR_MS)
    assert wire.is_whole()
    assert views(wire) == [3]


def test_a_slow_head_hands_over_and_loses_no_write() -> None:
    wire = Wire().founded()
    wire["n1"].took_ms = SLOW
    tickets = []
    for ticket in range(3 * SLOW_FOR_MS // 200):
        head = wire.head()
        if head.replica.may_propose():
            head.propose(ticket)
            tickets.append((head, ticket))
        wire.run(200)
    assert wire.is_chain_of("n2", "n3")
    assert {head.answer(ticket) for head, ticket in tickets} == {"committed"}
    assert len(tickets) > 60


def test_a_slow_head_orders_nothing_more_while_it_waits_to_hand_over() -> None:
    """Else it would never come to the end of what is to be committed first."""
    wire = Wire().founded()
    wire["n1"].took_ms = SLOW
    writes(wire, SLOW_FOR_MS - 1000)
    wire.loses = lambda item: item.is_from("n2", "n3", (Append,))
    wire["n1"].propose(1)
    assert wire["n1"].replica.may_propose()
    wire.run(2000)
    assert wire["n1"].state.role == "head"
    assert not wire["n1"].replica.may_propose()
    wire.loses = lambda _: False
    wire.until(lambda: wire.head().name == "n2")
    assert wire["n1"].answer(1) == "committed"


def test_a_slow_head_stays_when_too_few_would_remain() -> None:
    wire = without(Wire().founded(), "n3")
    wire["n1"].took_ms = SLOW
    writes(wire, 3 * SLOW_FOR_MS)
    assert wire.head().name == "n1"
    assert wire.is_chain_of("n1", "n2")


# Slowing down.


@pytest.fixture
def lagging() -> Wire:
    """n3 copies and never comes closer; its presences arrive."""
    wire = without(Wire().founded(), "n3")
    wire.loses = lambda item: item.is_from(None, "n3", (Learned,))
    wire["n3"].start()
    return wire


def paces(wire: Wire) -> bool:
    """Whether the head waits between two entries that it could order at once."""
    head = wire.head()
    assert head.replica.may_propose()
    head.propose(wire.now)
    wire.deliver_all()
    waits = not head.replica.may_propose()
    wire.tick(after=THROTTLE_MS)
    wire.deliver_all()
    assert head.replica.may_propose(), "not for longer than that"
    return waits


def test_a_head_slows_down_for_an_outsider_that_comes_no_closer(lagging: Wire) -> None:
    writes(lagging, BEHIND_FOR_MS - 1000)
    assert not paces(lagging)
    writes(lagging, 2000)
    assert paces(lagging)


def test_a_head_goes_on_at_full_speed_once_the_outsider_has_caught_up(lagging: Wire) -> None:
    writes(lagging, BEHIND_FOR_MS + 1000)
    assert paces(lagging)
    lagging.loses = lambda _: False
    lagging.until(lagging.is_whole)
    assert not paces(lagging)


def test_a_head_does_not_slow_down_for_one_that_lacks_nothing_and_cannot_come_in(lagging: Wire) -> None:
    lagging.loses = lambda _: False
    lagging.cut("n2", "n3")
    writes(lagging, BEHIND_FOR_MS + 2000)
    assert lagging.is_chain_of("n1", "n2")
    assert not paces(lagging)


def test_a_head_does_not_slow_down_for_one_that_comes_closer(lagging: Wire) -> None:
    """Half of what is missing, again and again, is closer."""
    for number in range(4 * BEHIND_FOR_MS // 2000):
        writes(lagging, 2000, each=500)
        presences = lagging["n3"].replica
        account = presences._memory.account(lagging.names, lagging.now)
        committed = lagging["n1"].state.committed - 1000 // (number + 1) ** 2
        presence = Presence(account, 3, None, max(committed, 0), caught_up=False)
        lagging.say("n3", "n1", 0, presence)
    assert not paces(lagging)


@pytest.mark.parametrize("condition", [Condition.FULL, Condition.LEAVING])
def test_a_head_does_not_slow_down_for_one_that_is_full_or_leaves(condition: Condition) -> None:
    wire = without(Wire().founded(), "n3")
    wire["n1"].propose(1)
    wire["n3"].start()
    if condition is Condition.FULL:
        wire["n3"].has_room = False
    else:
        wire["n3"].leave()
        wire.loses = lambda item: item.is_from(None, "n3", (Learned,))
    writes(wire, BEHIND_FOR_MS + 2000)
    assert not paces(wire)


def test_a_head_does_not_slow_down_for_one_that_is_gone(lagging: Wire) -> None:
    writes(lagging, BEHIND_FOR_MS + 1000)
    lagging["n3"].crash()
    lagging.run(500)
    assert not paces(lagging)
