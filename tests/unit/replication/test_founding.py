"""The first view of all: only nodes that remember nothing found it, all of them, in one round."""

from __future__ import annotations

import msgspec
import pytest

from tests.unit.replication.wire import Wire, from_life, history
from tvault.replication.entry import ORIGIN
from tvault.replication.messages import (
    Confirm,
    Confirmed,
    FoundingAnswer,
    FoundingAsk,
    NewView,
    Prepare,
    Presence,
    PreVote,
    PreVoteAnswer,
    Promised,
    Refused,
)
from tvault.replication.promise import Standing
from tvault.replication.view import Member


@pytest.fixture
def wire() -> Wire:
    """Three empty nodes that hear each other; n1 has asked, and the others' answers are under way."""
    wire = Wire()
    wire.start()
    wire.tick(*wire.names)
    wire.deliver(Presence)
    while not wire.sent(FoundingAnswer, to="n1"):
        wire.deliver(FoundingAsk, sender="n1")
        wire.tick("n1")
    return wire


def test_empty_nodes_found_a_cluster_and_all_become_voters() -> None:
    wire = Wire().founded()
    wire.run(200)
    assert {node.promise.standing for node in wire.nodes.values()} == {Standing.VOTER}
    assert {node.promise.promised for node in wire.nodes.values()} == {3}


@pytest.mark.parametrize("away", ["n1", "n2", "n3"])
def test_nothing_is_founded_while_a_node_is_away(away: str) -> None:
    wire = Wire()
    wire.start(*(name for name in wire.names if name != away))
    wire.run(10_000)
    assert all(node.store.last() == ORIGIN for node in wire.nodes.values())
    assert all(node.promise.promised == 0 for node in wire.nodes.values() if node.is_up)


def test_answers_of_two_rounds_do_not_add_up(wire: Wire) -> None:
    early = wire.keep(FoundingAnswer, sender="n2", to="n1")
    wire.keep()
    for _ in range(60):
        wire.tick("n1")
        wire.deliver(FoundingAsk, sender="n1", to="n3")
        wire.deliver(FoundingAnswer, sender="n3")
        wire.release(early)
    assert wire["n1"].promise.promised == 0


def test_an_answer_to_the_round_of_an_earlier_life_founds_nothing(wire: Wire) -> None:
    early = wire.keep(FoundingAnswer, to="n1")
    wire["n1"].crash()
    wire["n1"].start()
    wire.keep()
    while not wire.sent(FoundingAsk, sender="n1"):
        wire.tick("n1")
    wire.release(early)
    assert wire["n1"].promise.promised == 0


def test_a_node_that_holds_anything_prevents_the_founding() -> None:
    wire = Wire()
    wire["n3"].remembers(history(3, 3), promised=3)
    wire.start()
    wire.run(5000)
    assert wire["n1"].store.last() == ORIGIN
    assert {wire[name].promise.standing for name in ("n1", "n2")} == {Standing.BLANK}
    assert not wire["n3"].state.can_write


@pytest.mark.parametrize("damaged", ["n1", "n2", "n3"])
def test_a_node_that_set_files_aside_never_founds(damaged: str) -> None:
    wire = Wire()
    node = wire[damaged]
    node.remembers([], promised=0, standing=Standing.BLANK)
    assert node.written is not None
    node.synced = node.written = msgspec.structs.replace(node.written, set_aside=True)
    wire.start()
    wire.run(10_000)
    assert all(other.store.last() == ORIGIN for other in wire.nodes.values())
    assert all(other.state.role == "outside" for other in wire.nodes.values())


def test_a_voter_with_an_empty_journal_does_not_found() -> None:
    wire = Wire()
    wire["n2"].remembers([], promised=3, standing=Standing.VOTER)
    wire.start()
    wire.run(10_000)
    assert all(node.store.last() == ORIGIN for node in wire.nodes.values())


def test_a_wiped_node_is_no_founder_of_the_round_before(wire: Wire) -> None:
    wire.deliver(FoundingAnswer, to="n1")
    prepares = wire.keep(Prepare, sender="n1", to="n2")
    assert len(prepares) == 1
    wire["n2"].crash(wiped=True)
    wire["n2"].start()
    wire.release(prepares)
    assert wire["n2"].promise.promised == 0
    assert wire.sent(Refused, sender="n2") == [Refused(0, ORIGIN)]


def test_a_promise_of_a_founder_from_before_it_was_wiped_opens_no_view_for_the_new_one(
    wire: Wire,
) -> None:
    wire.deliver(FoundingAnswer, to="n1")
    wire.deliver(Prepare, sender="n1")
    wire["n2"].crash(wiped=True)
    wire.deliver(Promised, to="n1")
    assert wire["n1"].state.role == "head"
    wire["n2"].start()
    wire.deliver(NewView, to="n2")
    assert wire["n2"].state.role == "outside"
    assert wire["n1"].state.committed == 0


def test_a_founder_is_asked_by_name_and_life(wire: Wire) -> None:
    strangers = (Member("n1", "n1-1"), Member("n2", "other"), Member("n3", "n3-1"))
    wire.say("n1", "n2", 3, Prepare(ORIGIN, strangers))
    assert wire.sent(Promised, sender="n2") == []


@pytest.mark.parametrize("standing", [Standing.BLANK, Standing.VOTER])
def test_a_node_that_remembers_or_forgot_something_promises_no_founder(standing: Standing) -> None:
    wire = Wire()
    node = wire["n2"]
    node.remembers([], promised=0, standing=standing)
    assert node.written is not None
    set_aside = standing is Standing.BLANK
    node.synced = node.written = msgspec.structs.replace(node.written, set_aside=set_aside)
    wire.start()
    founders = tuple(wire[name].me for name in wire.names)
    wire.say("n1", "n2", 3, Prepare(ORIGIN, founders))
    assert wire.sent(Promised) == []
    assert node.promise.standing is standing


def test_a_founding_that_broke_off_is_begun_again(wire: Wire) -> None:
    wire.deliver(FoundingAnswer, to="n1")
    wire.deliver(Prepare, sender="n1")
    wire.keep()
    assert wire["n2"].promise.standing is Standing.FOUNDER
    for name in wire.names:
        wire[name].crash()
        wire[name].start()
    wire.run(5000)
    assert wire.writable()
    assert {node.promise.standing for node in wire.nodes.values()} == {Standing.VOTER}


def test_a_founder_that_holds_the_barrier_already_says_that_it_remembers(wire: Wire) -> None:
    wire.deliver(FoundingAnswer, to="n1")
    wire.deliver(Prepare, sender="n1")
    wire.deliver(Promised, to="n1")
    wire.keep()
    assert wire["n1"].promise.standing is Standing.FOUNDER
    assert wire["n1"].store.last().seq == 1
    wire.say("n2", "n1", 0, FoundingAsk(7))
    assert wire.sent(FoundingAnswer) == [FoundingAnswer(7, empty=False, promised=3)]
    founders = tuple(wire[name].me for name in wire.names)
    wire.say("n2", "n1", 4, Prepare(ORIGIN, founders))
    assert wire.sent(Promised, sender="n1") == []
    wire.run(5000)
    assert wire.writable()
    assert all(node.store.position(1) == wire["n1"].store.position(1) for node in wire.nodes.values())


def test_one_answer_counts_once_however_often_it_arrives(wire: Wire) -> None:
    (answer,) = wire.keep(FoundingAnswer, sender="n2", to="n1")
    wire.keep()
    for boot in (1, 2, 3):
        wire.hand("n1", from_life(answer.envelope, boot=boot))
    assert wire["n1"].promise.promised == 0


def test_a_founding_needs_the_promises_of_all_and_its_chain_holds_all(wire: Wire) -> None:
    wire.deliver(FoundingAnswer, to="n1")
    wire.deliver(Prepare, sender="n1")
    (late,) = wire.keep(Promised, sender="n3")
    wire.deliver(Promised, to="n1")
    wire.tick("n1", after=500)
    assert wire["n1"].state.role == "outside"
    wire.release([late])
    assert wire["n1"].state.role == "head"
    assert set(wire["n1"].state.chain) == set(wire.names)


@pytest.fixture
def founder(wire: Wire) -> Wire:
    """n2 has promised the founding of view 3, and heard no more of it; what was said since is lost."""
    wire.deliver(FoundingAnswer, to="n1")
    wire.deliver(Prepare, sender="n1", to="n2")
    wire.keep()
    assert wire["n2"].promise.standing is Standing.FOUNDER
    return wire


def test_a_founder_that_holds_nothing_counts_for_whoever_holds_the_barrier_of_its_founding(
    founder: Wire,
) -> None:
    last = history(3)[-1].position
    founder.say("n1", "n2", 6, Prepare(last, founded=3))
    (promised,) = founder.sent(Promised, sender="n2")
    assert isinstance(promised, Promised)
    assert promised.account.may_vote


def test_a_founder_that_holds_nothing_counts_for_no_other_founding(founder: Wire) -> None:
    """It was wiped in between, for all that is known: then another disk holds what it has lost."""
    last = history(2)[-1].position
    founder.say("n1", "n2", 0, PreVote(1, last, founded=2))
    (answer,) = founder.sent(PreVoteAnswer, sender="n2")
    assert isinstance(answer, PreVoteAnswer)
    assert not answer.granted
    founder.say("n1", "n2", 6, Prepare(last, founded=2))
    (promised,) = founder.sent(Promised, sender="n2")
    assert isinstance(promised, Promised)
    assert not promised.account.may_vote
    assert founder["n2"].promise.standing is Standing.BLANK


def test_a_founder_that_holds_nothing_asks_for_no_view_and_confirms_nothing(founder: Wire) -> None:
    founder.say("n1", "n2", 3, Confirm(1))
    assert founder.sent(Confirmed) == []
    founder.tick("n2", after=5000)
    asked = founder.sent(FoundingAsk, sender="n2", to="n1")
    assert isinstance(asked[-1], FoundingAsk)
    founder.say("n1", "n2", 0, FoundingAnswer(asked[-1].round, empty=False, promised=0))
    founder.tick("n2", after=5000)
    assert founder.sent(PreVote) == []


@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
def test_a_cluster_of_any_size_is_founded(nodes: int) -> None:
    wire = Wire(nodes).founded()
    wire["n1"].propose(1)
    wire.run(200)
    assert wire["n1"].answer(1) == "committed"
    assert len(wire.ends()) == 1
