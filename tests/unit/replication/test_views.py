"""How views come and go: who may open one, who promises whom, who stops when."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.replication.wire import Flying, Wire, history
from tvault.replication.account import Account, Condition
from tvault.replication.entry import Entry
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
    Refused,
    Superseded,
)
from tvault.replication.promise import Standing
from tvault.replication.view import View, next_own_view


@pytest.fixture
def wire() -> Wire:
    return Wire().founded()


@given(st.integers(0, 10_000), st.integers(1, 7), st.data())
def test_a_view_number_belongs_to_one_node_and_is_the_next_of_it(
    promised: int, nodes: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, nodes - 1))
    number = next_own_view(promised, index, nodes)
    assert number % nodes == index
    assert promised < number <= promised + nodes


def test_a_view_number_is_asked_for_in_one_life_only() -> None:
    wire = Wire().with_past(3, n1=history(3), n2=history(3), n3=history(3))
    asked: list[tuple[int, int]] = []

    def loses_and_notes(item: Flying) -> bool:
        if item.is_from("n1", "n2", (Prepare,)):
            asked.append((item.envelope.view, item.envelope.boot))
        return isinstance(item.envelope.message, Prepare)

    wire.loses = loses_and_notes
    for life in range(1, 5):
        while len({boot for _, boot in asked}) < life:
            wire.run(50)
        wire["n1"].crash()
        wire["n1"].start()
    numbers = [number for number, _ in asked]
    assert numbers == sorted(set(numbers))
    assert all(number % 3 == 0 for number in numbers)


@pytest.mark.parametrize("view", [0, 1, 2, 3])
def test_a_promise_refuses_an_equal_and_every_lower_view(wire: Wire, view: int) -> None:
    wire.say("n1", "n2", view, Prepare(wire["n1"].store.last()))
    assert wire.sent(Promised) == []
    assert wire.sent(Refused) == [Refused(3, wire["n2"].store.last())]
    assert wire["n2"].state.role == "middle"


@pytest.mark.parametrize(
    "older",
    [history(3), history(3, 3), history(3, 3, 3, 3, 3)],
    ids=["shorter", "without-the-later-view", "longer-of-an-older-view"],
)
def test_a_promise_refuses_a_candidate_whose_journal_is_behind(older: list[Entry]) -> None:
    mine = history(3, 3, 4, 4)
    wire = Wire().with_past(5, n1=older, n2=mine, n3=mine)
    wire.say("n1", "n2", 6, Prepare(older[-1].position))
    assert wire.sent(Promised) == []
    assert wire.sent(Refused) == [Refused(5, mine[-1].position)]
    assert wire["n2"].promise.promised == 5


def test_a_candidate_with_the_same_journal_gets_the_promise() -> None:
    mine = history(3, 3, 4, 4)
    wire = Wire().with_past(5, n1=mine, n2=mine, n3=mine)
    wire.say("n1", "n2", 6, Prepare(mine[-1].position))
    assert len(wire.sent(Promised)) == 1


def test_who_has_promised_a_later_view_acts_no_more_for_an_earlier_one(wire: Wire) -> None:
    wire["n1"].propose(1)
    appends = wire.keep(Append, to="n2")
    wire.say("n3", "n2", 5, Prepare(wire["n3"].store.last()))
    wire.keep()
    wire.release(appends)
    wire.say("n1", "n2", 3, Confirm(1))
    assert wire["n2"].state.role == "outside"
    assert wire.sent(Ack, Confirmed, Append) == []
    assert wire.sent(Superseded, to="n1") == [Superseded(5), Superseded(5)]
    assert wire["n2"].store.last().seq == 1


def test_a_candidate_acts_no_more_for_the_view_that_it_wants_to_leave(wire: Wire) -> None:
    """Else its journal may be cut after it was promised for, and it would head a view without an entry
    that another had committed."""
    wire.loses = lambda item: item.is_from(None, None, (Heartbeat, HeartbeatReturn, Prepare))
    for _ in range(60):
        wire.run(50)
        for node in wire.nodes.values():
            assert node.state.role == "outside" or node.state.view >= node.promise.promised
    assert wire["n1"].promise.promised > 3
    wire.loses = lambda _: False
    wire.run(6000)
    assert wire.writable()


def test_a_member_of_a_live_chain_grants_no_pre_vote(wire: Wire) -> None:
    wire.say("n3", "n2", 0, PreVote(1, wire["n3"].store.last()))
    assert wire.sent(PreVoteAnswer) == [PreVoteAnswer(1, False, wire["n2"].promise.standing, 3)]


def test_a_node_outside_the_ensemble_gets_no_promise(wire: Wire) -> None:
    prepare = wire["n3"].replica.envelope(8, Prepare(wire["n3"].store.last()))
    wire.hand("n2", msgspec.structs.replace(prepare, sender="n9"))
    assert wire["n2"].promise.promised == 3
    assert wire["n2"].state.role == "middle"


def test_a_superseded_head_stops_and_says_that_the_outcome_is_unknown(wire: Wire) -> None:
    wire["n1"].propose(1)
    wire.say("n2", "n1", 3, Superseded(4))
    assert wire["n1"].answer(1) == "lost"
    assert wire["n1"].state.role == "outside"
    assert not wire["n1"].replica.may_propose()
    assert not wire["n1"].replica.heads_live_chain()


def test_news_of_a_view_that_is_not_later_supersedes_nothing(wire: Wire) -> None:
    wire.say("n2", "n1", 3, Superseded(3))
    wire.say("n2", "n1", 3, Superseded(2))
    assert wire["n1"].state.role == "head"


@pytest.mark.parametrize("name", ["n1", "n2", "n3"])
def test_a_member_that_hears_of_a_later_view_without_it_acts_no_more_in_its_own(
    wire: Wire, name: str
) -> None:
    other, third = (each for each in wire.names if each != name)
    later = View(5, (wire[other].me, wire[third].me), 2)
    wire.say(other, name, 5, NewView(later))
    assert wire[name].state.role == "outside"
    assert wire[name].promise.promised == 5


def test_a_restarted_head_never_orders_again_in_its_old_view(wire: Wire) -> None:
    news = NewView(wire.view(3, "n1", 1))
    wire["n1"].crash()
    wire["n1"].start()
    wire.say("n2", "n1", 3, news)
    assert wire["n1"].state.role == "outside"
    wire.run(4000)
    assert wire.is_whole()
    assert wire["n2"].state.view > 3


@pytest.mark.parametrize("name", ["n2", "n3"])
def test_a_restarted_member_enters_the_same_view_again_and_the_chain_goes_on(
    wire: Wire, name: str
) -> None:
    wire["n1"].propose(1)
    wire[name].crash()
    wire.run(100)
    wire[name].start()
    wire.run(500)
    assert wire["n1"].answer(1) == "committed"
    wire["n1"].propose(2)
    wire.run(200)
    assert wire["n1"].answer(2) == "committed"
    assert {node.state.view for node in wire.nodes.values()} == {3}


def test_a_returning_node_does_not_overthrow_a_live_chain(wire: Wire) -> None:
    answers = wire.keep(PreVoteAnswer)
    assert answers == []
    wire["n3"].crash()
    wire["n3"].start()
    wire.run(5000)
    assert {node.state.view for node in wire.nodes.values()} == {3}


def test_an_entry_that_only_some_persisted_before_the_head_died_is_kept_by_the_next_view(
    wire: Wire,
) -> None:
    wire["n1"].stop_before = "journal"
    seq = wire["n1"].propose(1)
    wire.deliver_all()
    ordered = wire["n2"].store.last()
    wire["n1"].crash()
    wire["n1"].start()
    assert wire["n1"].store.last().seq == seq - 1
    wire.run(5000)
    assert wire.writable()
    assert all(node.store.position(seq) == ordered for node in wire.nodes.values())


@pytest.mark.parametrize(("nodes", "there"), [(3, 1), (5, 2), (2, 1)])
def test_no_view_comes_about_without_a_majority(nodes: int, there: int) -> None:
    wire = Wire(nodes)
    for name in wire.names:
        wire[name].remembers(history(3), promised=3)
    wire.start(*wire.names[:there])
    wire.run(10_000)
    assert wire.members == set()
    assert {node.promise.promised for node in wire.nodes.values()} == {3}
    wire.start(wire.names[there])
    wire.run(3000)
    assert wire.is_chain_of(*wire.names[: there + 1])


def test_a_chain_that_lost_its_majority_takes_no_more_writes(wire: Wire) -> None:
    wire["n2"].crash()
    wire["n3"].crash()
    wire.run(500)
    assert not wire["n1"].state.can_write, "what health says comes before the suspicion"
    assert wire["n1"].is_member
    wire.run(500)
    assert not wire["n1"].replica.may_propose()
    assert not wire["n1"].replica.heads_live_chain()
    assert not wire["n1"].state.can_write


def test_nodes_with_different_promises_come_to_one_view_by_themselves() -> None:
    wire = Wire()
    for name, promised in (("n1", 30), ("n2", 4), ("n3", 17)):
        wire[name].remembers(history(3), promised)
    wire.start()
    wire.run(6000)
    assert wire.is_whole()
    assert wire["n1"].state.view > 30


def test_the_node_with_the_latest_journal_heads_the_next_view() -> None:
    wire = Wire().with_past(5, n1=history(3, 3), n2=history(3, 3), n3=history(3, 3, 4))
    wire.run(8000)
    assert wire.writable()
    assert wire["n3"].state.chain == ("n3", "n1", "n2")
    assert all(node.store.position(3) == history(3, 3, 4)[-1].position for node in wire.nodes.values())


def test_a_promise_of_another_view_is_not_counted() -> None:
    wire = Wire().with_past(3, n1=history(3), n2=history(3), n3=history(3))
    wire.loses = lambda item: item.is_from(None, "n1", (Promised,))
    wire.until(lambda: wire["n1"].promise.promised == 6)
    wire.keep()
    account = Account(Standing.VOTER, Condition.READY, wire["n3"].store.last(), wire.names)
    for view in (3, 9, 7):
        wire.say("n3", "n1", view, Promised(account))
    wire.tick("n1", after=350)
    assert wire["n1"].state.role == "outside"
    wire.say("n3", "n1", 6, Promised(account))
    wire.tick("n1", after=350)
    assert wire["n1"].state.role == "head"
