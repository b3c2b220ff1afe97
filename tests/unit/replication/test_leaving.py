"""A node that is asked to end hands over first what relies on it."""

from __future__ import annotations

import pytest

from tests.unit.replication.wire import TIMING, Flying, Wire, history
from tvault.replication.account import Condition
from tvault.replication.messages import Append, HandOver, Leave, NewView, PreVote


def leaves(wire: Wire, name: str, within: int = 1000) -> int:
    """Ask a node to go, and let time pass until it may; how long it took."""
    wire[name].leave()
    return wire.until(lambda: wire[name].replica.has_left, within=within)


@pytest.mark.parametrize("nodes", [3, 5])
@pytest.mark.parametrize("place", [1, -1])
def test_a_member_that_leaves_is_left_out_before_it_goes(nodes: int, place: int) -> None:
    wire = Wire(nodes).founded()
    name = wire.names[place]
    rest = [other for other in wire.names if other != name]
    assert leaves(wire, name) < TIMING.suspect_ms
    assert not wire[name].is_member
    assert wire.is_chain_of(*rest)
    assert wire.head().name == "n1"
    wire[name].crash()
    wire["n1"].propose(1)
    wire.deliver_all()
    assert wire["n1"].answer(1) == "committed", "at once"


@pytest.mark.parametrize("nodes", [3, 5])
def test_a_head_that_leaves_hands_over_before_it_goes(nodes: int) -> None:
    wire = Wire(nodes).founded()
    wire.loses = lambda item: item.is_from(None, None, (PreVote,))
    assert leaves(wire, "n1") < TIMING.suspect_ms, "without a pre-vote"
    assert wire.head().name == "n2"
    assert wire.is_chain_of(*wire.names[1:])
    wire["n1"].crash()
    wire["n2"].propose(1)
    wire.deliver_all()
    assert wire["n2"].answer(1) == "committed", "at once"


def test_a_head_hands_over_only_when_all_that_it_ordered_is_committed() -> None:
    wire = Wire().founded()
    wire.loses = lambda item: item.is_from("n2", "n3", (Append,))
    for ticket in (1, 2):
        wire["n1"].propose(ticket)
    wire["n1"].leave()
    for _ in range(6):
        wire.run(50)
        assert wire.sent(HandOver) == []
        assert wire["n1"].state.role == "head"
        assert not wire["n1"].replica.has_left
        assert not wire["n1"].replica.may_propose(), "else it would never come to an end"
    wire.loses = lambda _: False
    wire.until(lambda: wire["n1"].replica.has_left, within=2000)
    assert [wire["n1"].answer(ticket) for ticket in (1, 2)] == ["committed", "committed"]
    assert wire.is_chain_of("n2", "n3")


@pytest.mark.parametrize("name", ["n1", "n2", "n3"])
def test_a_node_does_not_go_before_the_next_chain_is_there(name: str) -> None:
    """Looked at after every message."""
    wire = Wire().founded()
    rest = [other for other in wire.names if other != name]
    wire[name].leave()
    while not wire[name].replica.has_left:
        if not wire.flying:
            wire.tick()
        for item in wire.flying[:1]:
            wire.flying.remove(item)
            wire.hand(item.to, item.envelope)
    assert wire.head().name in rest
    assert set(wire.head().state.chain) == set(rest)
    wire[name].crash()
    wire.deliver_all()
    assert wire.is_chain_of(*rest)


def test_a_member_asks_until_it_is_heard() -> None:
    wire = Wire().founded()
    lost = 3

    def loses(item: Flying) -> bool:
        nonlocal lost
        is_lost = lost > 0 and item.is_from("n3", None, (Leave,))
        lost -= is_lost
        return is_lost

    wire.loses = loses
    assert leaves(wire, "n3") < TIMING.suspect_ms
    assert lost == 0


def test_a_node_that_leaves_goes_on_serving_until_it_may_go() -> None:
    wire = Wire().founded()
    wire.keep()
    wire["n3"].leave()
    wire["n3"].confirm(1)
    wire.deliver_all()
    assert wire["n3"].answer(1) == "confirmed"
    seq = wire["n1"].propose(2)
    wire.deliver_all()
    assert wire["n3"].store.last().seq == seq


def test_one_after_the_other_may_leave_and_come_back_and_every_write_is_acknowledged() -> None:
    """A rolling restart: what the head does not take any more, another does in a moment."""
    wire = Wire().founded()
    taken, ticket = [], 0
    for name in ("n1", "n2", "n3"):
        ticket += 1
        wire.head().propose(ticket)
        taken.append((wire.head(), ticket))
        wire[name].leave()
        while not wire[name].replica.has_left or not wire.is_chain_of(*wire.members):
            for head in [node for node in wire.up if node.replica.may_propose()]:
                ticket += 1
                head.propose(ticket)
                taken.append((head, ticket))
            wire.run(50)
        wire.run(100)
        wire[name].crash()
        wire[name].start()
        wire.until(wire.is_whole)
    wire.run(100)
    assert {node.answer(ticket) for node, ticket in taken} == {"committed"}
    assert len(taken) >= 6
    assert len(wire.ends()) == 1


def test_a_head_does_not_hand_over_to_one_that_leaves_too() -> None:
    wire = Wire(5).founded()
    wire["n2"].leave()
    wire.tick("n2")
    wire.keep(Leave)
    wire.deliver_all()
    wire["n1"].leave()
    wire.tick("n1")
    assert wire.sent(HandOver, to="n2") == []
    assert len(wire.sent(HandOver, to="n3")) == 1
    wire.until(lambda: wire["n1"].replica.has_left and wire["n2"].replica.has_left)
    assert wire.is_chain_of("n3", "n4", "n5")


def test_a_node_that_left_and_is_started_again_comes_back() -> None:
    wire = Wire().founded()
    leaves(wire, "n3")
    wire.run(5000)
    assert wire["n3"].state.role == "outside"
    wire["n3"].restart()
    wire.until(wire.is_whole, within=1000)
    assert wire["n3"].state.condition is Condition.READY


# Nobody to hand over to.


@pytest.mark.parametrize("name", ["n1", "n2"])
def test_where_too_few_would_be_left_a_node_goes_once_what_it_ordered_is_committed(name: str) -> None:
    """To wait for others would be to wait for what may never come."""
    wire = Wire().founded()
    wire.hints = True
    wire["n3"].crash()
    wire.until(lambda: wire.is_chain_of("n1", "n2"))
    wire.run(1000)
    wire.loses = lambda item: item.is_from("n1", "n2", (Append,))
    wire["n1"].propose(1)
    wire[name].leave()
    wire.run(100)
    assert wire[name].replica.has_left == (name != "n1")
    wire.loses = lambda _: False
    wire.until(lambda: wire[name].replica.has_left, within=1000)
    wire.run(1000)
    assert wire["n1"].answer(1) == "committed"


def test_a_single_node_goes_once_what_it_ordered_is_committed() -> None:
    wire = Wire(1).founded()
    wire["n1"].stop_before = "journal"
    wire["n1"].propose(1)
    wire["n1"].replica.leave()
    assert not wire["n1"].replica.has_left
    wire["n1"].go_on()
    assert wire["n1"].answer(1) == "committed"
    assert wire["n1"].replica.has_left


def test_an_outsider_goes_at_once() -> None:
    wire = Wire().founded()
    wire.hints = True
    wire["n3"].crash()
    wire.until(lambda: wire.is_chain_of("n1", "n2"))
    wire["n3"].start()
    wire["n3"].leave()
    assert wire["n3"].replica.has_left


def test_where_there_is_no_chain_nobody_waits_for_one() -> None:
    wire = Wire().with_past(3, n1=history(3), n2=history(3), n3=history(3))
    wire.loses = lambda item: item.is_from(None, None, (PreVote,))
    wire.run(500)
    wire["n3"].leave()
    assert wire["n3"].replica.has_left


def test_a_node_that_leaves_enters_no_view_any_more() -> None:
    """It may have promised the view before it was asked to go."""
    wire = Wire().founded()
    wire["n3"].leave()
    wire.say("n1", "n3", 6, NewView(wire.view(6, "n1", 2)))
    assert wire["n3"].state.role == "outside"
    assert wire["n3"].promise.promised == 6


def test_a_node_that_was_not_asked_to_end_has_not_left() -> None:
    wire = Wire().founded()
    assert not any(node.replica.has_left for node in wire.nodes.values())
    alone = Wire(1)
    alone.start()
    assert not alone["n1"].replica.has_left


@pytest.mark.parametrize("nodes", [3, 5])
def test_a_head_that_is_asked_to_end_while_it_forms_its_chain_anew_waits_for_the_outcome(
    nodes: int,
) -> None:
    """Its clients wait for the same."""
    wire = Wire(nodes).founded()
    last = wire.names[-1]
    wire.loses = lambda item: item.is_from(None, last, (Append,))
    wire["n1"].propose(1)
    wire.deliver_all()
    assert wire["n1"].answer(1) is None
    wire[last].crash()
    wire["n1"].unreachable(last)
    wire.tick("n1")
    assert wire["n1"].replica.is_reforming
    wire["n1"].leave()
    assert not wire["n1"].replica.has_left
    wire.until(lambda: wire["n1"].replica.has_left)
    assert wire["n1"].answer(1) == "committed"
    assert wire.is_chain_of(*(["n1", "n2"] if nodes == 3 else ["n2", "n3", "n4"]))
