"""A node whose memory is lost counts for nothing until a view with it in has committed its barrier."""

from __future__ import annotations

import pytest

from tests.unit.replication.wire import Flying, Wire, history
from tvault.replication.entry import ORIGIN
from tvault.replication.messages import (
    Ack,
    Append,
    Confirm,
    Confirmed,
    Heartbeat,
    HeartbeatReturn,
    NewView,
    Prepare,
    PreVote,
    PreVoteAnswer,
    Promised,
)
from tvault.replication.promise import Standing


@pytest.fixture
def wire() -> Wire:
    wire = Wire().founded()
    for ticket in range(3):
        wire["n1"].propose(ticket)
    wire.run(200)
    return wire


def wipe(wire: Wire, *names: str) -> None:
    for name in names:
        wire[name].crash(wiped=True)
        wire[name].start()


def standing(wire: Wire, name: str) -> Standing:
    """What the node durably is."""
    return wire[name].promise.standing


def test_a_wiped_node_is_copied_to_at_the_end_of_a_new_chain_and_votes_again(wire: Wire) -> None:
    wipe(wire, "n2")
    wire.run(5000)
    assert wire.is_whole()
    assert wire["n2"].state.chain[-1] == "n2"
    assert wire["n2"].promise.standing is Standing.VOTER
    assert len(wire.ends()) == 1
    assert wire["n2"].store.last().seq >= 5


def test_a_blank_node_becomes_a_voter_only_when_the_barrier_is_committed(wire: Wire) -> None:
    wipe(wire, "n3")
    for _ in range(200):
        wire["n3"].stop_before = "journal"
        wire.run(50)
        if wire["n3"].is_stopped and wire["n3"].doing.entries:
            break
    barrier = wire["n3"].chain.view.barrier
    assert standing(wire, "n3") is Standing.BLANK
    wire.loses = lambda item: item.is_from("n3", None, ())
    wire["n3"].go_on()
    wire.run(100)
    assert wire["n3"].store.last().seq >= barrier
    assert standing(wire, "n3") is Standing.BLANK
    wire.loses = lambda _: False
    wire.run(1000)
    assert wire["n1"].state.committed >= barrier
    assert standing(wire, "n3") is Standing.VOTER


def test_blank_nodes_do_not_make_a_majority(wire: Wire) -> None:
    kept = wire["n1"].store.last()
    wipe(wire, "n2", "n3")
    wire.run(10_000)
    assert wire.members == set()
    assert not any(node.state.can_write for node in wire.nodes.values())
    assert wire["n1"].promise.promised == 6, "only the head of a chain asks without a pre-vote, once"
    assert wire["n1"].store.last() == kept
    assert wire["n2"].store.last() == wire["n3"].store.last() == ORIGIN


def test_a_blank_node_asks_for_no_view(wire: Wire) -> None:
    wipe(wire, "n2", "n3")
    asked: list[str] = []

    def notes(item: Flying) -> bool:
        if isinstance(item.envelope.message, PreVote | Prepare):
            asked.append(item.envelope.sender)
        return False

    wire.loses = notes
    wire.run(5000)
    assert set(asked) == {"n1"}


def joined_but_blank(wire: Wire) -> None:
    """Bring n3, which is blank, into a view whose barrier it holds while its head does not hear it."""
    wire.loses = lambda item: item.is_from("n3", None, (Ack, HeartbeatReturn))
    for _ in range(200):
        wire.run(50)
        if wire["n3"].state.readable:
            return
    raise AssertionError("n3 never got the barrier")


def test_a_blank_member_does_not_count_itself_when_it_confirms(wire: Wire) -> None:
    wipe(wire, "n3")
    joined_but_blank(wire)
    wire["n3"].confirm(1)
    wire.keep(Confirm, to="n1")
    wire.deliver_all()
    assert wire["n3"].answer(1) is None


def test_a_commit_below_the_barrier_makes_no_voter_of_a_blank_node() -> None:
    wire = Wire()
    wire["n1"].remembers(history(3, 3, 3), promised=3)
    wire["n2"].remembers(history(3, 3, 3), promised=3)
    wire.start()
    joined_but_blank(wire)
    chain = wire["n3"].chain
    assert wire["n3"].state.committed == 0
    above = chain.view.predecessor("n3")
    assert above is not None
    beat = Heartbeat(9, chain._session, chain.matched, 2)
    wire.say(above.node, "n3", chain.view.number, beat)
    assert wire["n3"].state.committed == 2
    assert standing(wire, "n3") is Standing.BLANK


def test_a_blank_node_grants_no_pre_vote_and_its_promise_says_what_it_is(wire: Wire) -> None:
    wipe(wire, "n2")
    last = wire["n1"].store.last()
    wire.say("n1", "n2", 0, PreVote(1, last))
    assert wire.sent(PreVoteAnswer) == [PreVoteAnswer(1, False, Standing.BLANK, 0)]
    wire.say("n1", "n2", 6, Prepare(last))
    (promised,) = wire.sent(Promised)
    assert isinstance(promised, Promised)
    assert promised.account.standing is Standing.BLANK
    assert promised.account.last == ORIGIN
    assert wire["n2"].promise.standing is Standing.BLANK
    assert wire["n2"].promise.promised == 6


def test_a_blank_node_confirms_nothing(wire: Wire) -> None:
    wipe(wire, "n2")
    wire.say("n1", "n2", 3, Confirm(1))
    assert wire.sent(Confirmed) == []


def test_a_blank_node_does_not_enter_the_view_of_its_earlier_life(wire: Wire) -> None:
    news = NewView(wire["n1"].chain.view)
    wipe(wire, "n3")
    wire.say("n1", "n3", 3, news)
    assert wire["n3"].state.role == "outside"
    assert wire["n3"].promise.promised == 0


def test_a_write_waits_until_the_blank_member_holds_everything(wire: Wire) -> None:
    wipe(wire, "n3")
    wire.loses = lambda item: item.is_from(None, "n3", (Append,))
    wire.run(5000)
    assert wire["n3"].state.role == "tail"
    head = next(node for node in wire.nodes.values() if node.state.role == "head")
    assert not head.state.can_write
    wire.loses = lambda _: False
    wire.run(3000)
    assert wire.is_whole()
    assert wire["n3"].store.position(4) == wire["n1"].store.position(4)
