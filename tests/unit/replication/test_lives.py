"""Which life of a node speaks: a later one is believed once it proves itself, an older copy is doubted,
and what an earlier life sent harms nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.replication.wire import Wire, WiredNode, from_life, history
from tvault.replication.entry import ORIGIN
from tvault.replication.messages import (
    Challenge,
    Doubted,
    Presence,
    Present,
    PreVote,
    PreVoteAnswer,
    Sync,
)
from tvault.replication.presence import HELD_MESSAGES
from tvault.replication.promise import KnownLife, Standing


@pytest.fixture
def wire() -> Wire:
    return Wire().founded()


def write(wire: Wire, *tickets: int) -> None:
    """The head orders something, and it is committed."""
    for ticket in tickets:
        wire.head().propose(ticket)
        wire.run(100)


def doubts(wire: Wire) -> dict[str, str | None]:
    return {node.name: node.replica.doubt for node in wire.up}


# What is known of the others.


def test_a_life_is_known_durably_before_anything_is_said_to_it() -> None:
    wire = Wire().with_past(3, n1=history(3), n2=history(3), n3=history(3))
    wire["n2"].stop_before = "promise"
    wire.say("n1", "n2", 0, PreVote(1, history(3)[-1].position))
    assert wire["n2"].is_stopped
    assert wire.sent(PreVoteAnswer) == []
    assert wire["n2"].promise.lives == {}
    wire["n2"].go_on()
    assert len(wire.sent(PreVoteAnswer)) == 1
    assert wire["n2"].promise.lives == {"n1": KnownLife("n1-0", 1, "n1-1")}


def test_what_is_known_of_the_others_is_known_after_a_restart(wire: Wire) -> None:
    known = wire["n2"].promise.lives
    assert set(known) == {"n1", "n3"}
    wire["n2"].restart()
    assert wire["n2"].promise.lives == known


def test_every_start_is_a_life_of_its_own(wire: Wire) -> None:
    lives = []
    for _ in range(3):
        wire["n3"].restart()
        wire.run(200)
        known = wire["n1"].promise.lives["n3"]
        lives.append((known.incarnation, known.boot, known.life))
    assert lives == [("n3-1", 2, "n3-2"), ("n3-1", 3, "n3-3"), ("n3-1", 4, "n3-4")]


def test_an_incarnation_that_is_over_is_remembered(wire: Wire) -> None:
    wire["n3"].restart(wiped=True)
    wire.run(200)
    known = wire["n1"].promise.lives["n3"]
    assert (known.incarnation, known.boot, known.past) == ("n3-2", 1, ("n3-1",))


# Proof.


@pytest.fixture
def returned(wire: Wire) -> Wire:
    """n3 has started again, and n1 has heard it ask once and not answered."""
    wire["n3"].restart()
    wire.say("n3", "n1", 0, PreVote(1, wire["n3"].store.last()))
    return wire


def test_a_life_that_is_not_the_known_one_is_asked_to_prove_itself_before_it_is_answered(
    returned: Wire,
) -> None:
    wire = returned
    assert wire.sent(PreVoteAnswer) == []
    assert len(wire.sent(Challenge, sender="n1", to="n3")) == 1
    wire.deliver(Challenge)
    wire.deliver(Present)
    assert len(wire.sent(PreVoteAnswer, to="n3")) == 1
    assert wire["n1"].promise.lives["n3"].boot == 2


def test_an_answer_to_another_challenge_proves_nothing(returned: Wire) -> None:
    wire = returned
    (challenge,) = wire.sent(Challenge)
    assert isinstance(challenge, Challenge)
    wire.say("n3", "n1", 0, Present(challenge.nonce - 1))
    wire.say("n3", "n1", 0, Present(challenge.nonce + 1))
    assert wire.sent(PreVoteAnswer) == []
    assert wire["n1"].promise.lives["n3"].boot == 1


def test_a_proof_is_one_for_the_life_that_gives_it_alone(returned: Wire) -> None:
    """What another life had sent is dropped, also what waits."""
    wire = returned
    wire["n3"].restart()
    wire.deliver(Challenge)
    wire.deliver(Present)
    assert wire["n1"].promise.lives["n3"].boot == 3
    assert wire.sent(PreVoteAnswer) == []


def test_only_so_much_of_an_unproven_life_is_kept(returned: Wire) -> None:
    wire = returned
    for number in range(2, HELD_MESSAGES + 11):
        wire.say("n3", "n1", 0, PreVote(number, wire["n3"].store.last()))
    wire.deliver(Challenge)
    wire.deliver(Present)
    answers = wire.sent(PreVoteAnswer, to="n3")
    assert len(answers) == HELD_MESSAGES
    assert isinstance(answers[-1], PreVoteAnswer)
    assert answers[-1].round == HELD_MESSAGES + 10


def test_a_first_contact_is_believed() -> None:
    """A node that knows nothing could else be asked by nobody."""
    wire = Wire().with_past(3, n1=history(3), n2=history(3), n3=history(3))
    wire.say("n3", "n1", 0, PreVote(1, history(3)[-1].position))
    assert wire.sent(Challenge) == []
    assert len(wire.sent(PreVoteAnswer)) == 1


# An older copy of a folder.


def restarts(node: WiredNode) -> None:
    """Two more starts: a copy from before them starts as a boot that was."""
    node.restart()
    node.restart()


def one_restart(node: WiredNode) -> None:
    """A copy from before it starts as the same boot, and is another life."""
    node.restart()


def rebirth(node: WiredNode) -> None:
    """A copy from before it starts as an incarnation that is over."""
    node.restart(wiped=True)


@pytest.mark.parametrize("since", [restarts, one_restart, rebirth])
@pytest.mark.parametrize("name", ["n1", "n2", "n3"])
def test_a_folder_that_was_put_back_from_a_copy_is_noticed_before_anything_relies_on_it(
    wire: Wire, name: str, since: Callable[[WiredNode], None]
) -> None:
    copy = wire[name].copy()
    since(wire[name])
    wire.run(3000)
    assert wire.is_whole()
    write(wire, 1)
    known = [other.promise.lives[name] for other in wire.up if other.name != name]
    wire[name].restore(copy)
    for _ in range(20):
        if wire[name].replica.doubt is None:
            assert wire[name].state.readable == 0
            wire.tick()
            wire.deliver()
    assert wire[name].replica.doubt is not None
    assert known == [other.promise.lives[name] for other in wire.up if other.name != name]
    assert {other for other, doubt in doubts(wire).items() if doubt} == {name}


def test_a_copy_of_the_present_boot_is_noticed_by_what_it_had_acknowledged_in_the_view(
    wire: Wire,
) -> None:
    """The next boot follows, and says nothing; but its journal ends before its acknowledgement."""
    copy = wire["n3"].copy()
    write(wire, 1, 2)
    wire["n3"].restore(copy)
    wire.run(300)
    assert wire["n3"].replica.doubt is not None
    assert wire["n1"].replica.doubt is wire["n2"].replica.doubt is None


def test_a_copy_of_the_present_boot_is_noticed_by_what_it_had_said_to_be_committed(wire: Wire) -> None:
    """Also by a node that was no neighbour of it, and with its view gone."""
    copy = wire["n3"].copy()
    write(wire, 1, 2)
    wire.run(300)
    wire["n2"].crash()
    wire["n3"].restore(copy)
    wire.run(300)
    assert wire["n3"].replica.doubt is not None
    assert wire["n1"].replica.doubt is None


def test_a_copy_that_lacks_nothing_is_as_good_as_the_folder(wire: Wire) -> None:
    write(wire, 1)
    copy = wire["n3"].copy()
    wire["n3"].restore(copy)
    wire.run(3000)
    assert set(doubts(wire).values()) == {None}
    assert wire.is_whole()


def test_a_folder_that_was_doubted_and_set_aside_is_filled_again_from_the_chain(wire: Wire) -> None:
    copy = wire["n3"].copy()
    restarts(wire["n3"])
    wire.run(3000)
    write(wire, 1, 2, 3)
    wire["n3"].restore(copy)
    wire.run(300)
    wire["n3"].set_aside()
    wire["n3"].start()
    standings = [wire["n3"].promise.standing]
    wire.until(wire.is_whole)
    wire.run(200)
    standings.append(wire["n3"].promise.standing)
    assert standings == [Standing.BLANK, Standing.VOTER]
    assert len(wire.ends()) == 1


def test_a_doubted_node_says_who_doubts_it_and_stops_acting_in_its_view(wire: Wire) -> None:
    promise = wire["n1"].promise
    wire["n1"].propose(1)
    wire.say("n3", "n1", 0, Doubted(promise.incarnation, promise.boot, promise.life))
    assert wire["n1"].replica.doubt == "node n3 has heard of a later life of this node"
    assert wire["n1"].answer(1) == "lost"
    assert wire["n1"].state.role == "outside"


# What is late.


def test_a_doubt_about_another_life_is_none_about_this_one(wire: Wire) -> None:
    promise = wire["n1"].promise
    for doubted in (
        Doubted("another", promise.boot, promise.life),
        Doubted(promise.incarnation, promise.boot - 1, promise.life),
        Doubted(promise.incarnation, promise.boot, "another"),
    ):
        wire.say("n3", "n1", 0, doubted)
    assert wire["n1"].replica.doubt is None
    assert wire["n1"].state.role == "head"


@pytest.mark.parametrize("wiped", [False, True])
def test_late_messages_of_an_earlier_life_do_not_make_the_present_one_doubted(
    wire: Wire, *, wiped: bool
) -> None:
    wire.tick()
    wire.tick()
    late = wire.keep(sender="n3")
    assert {type(item.envelope.message) for item in late} >= {Presence}
    wire["n3"].restart(wiped=wiped)
    wire.run(3000)
    assert wire.is_whole()
    view = wire["n1"].state.view
    wire.release(late)
    wire.run(1000)
    assert set(doubts(wire).values()) == {None}
    assert wire.is_whole()
    assert wire["n1"].state.view == view


@pytest.mark.parametrize("first", ["n3-1", "n3-2"])
def test_a_straggler_of_an_incarnation_that_is_over_does_not_make_the_present_one_doubted(
    wire: Wire, first: str
) -> None:
    """n2 has lost all that it knew of lives, and cannot tell by itself which one is over."""
    wire.tick()
    wire.tick()
    late = wire.keep(Presence, sender="n3", to="n2")
    wire["n3"].restart(wiped=True)
    wire.run(3000)
    wire["n2"].restart(wiped=True)
    if first == "n3-2":
        wire.run(200)
    wire.release(late)
    assert wire["n2"].promise.lives["n3"].incarnation == first
    wire.run(100)
    assert wire["n2"].promise.lives["n3"].incarnation == "n3-2"
    wire.until(wire.is_whole)
    assert set(doubts(wire).values()) == {None}


def test_what_a_late_message_of_an_earlier_life_says_is_not_taken(wire: Wire) -> None:
    late = wire["n3"].replica.envelope(0, PreVote(1, wire["n3"].store.last()))
    wire["n3"].restart()
    wire.run(300)
    wire.hand("n1", late)
    wire.deliver(Challenge)
    wire.deliver(Present)
    assert wire.sent(PreVoteAnswer) == []
    wire.hand("n1", from_life(late, boot=2, life="n3-2"))
    assert len(wire.sent(PreVoteAnswer)) == 1


@pytest.mark.parametrize("back", [0, 1])
def test_a_late_wish_for_a_session_that_is_over_raises_no_doubt(wire: Wire, back: int) -> None:
    """It tells of a journal from before what was acknowledged since."""
    write(wire, 1)
    wire.say("n3", "n2", 3, Sync(wire["n3"].chain._session - back, (ORIGIN,)))
    assert wire.sent(Doubted) == []
    wire.say("n3", "n2", 3, Sync(wire["n3"].chain._session + 1, (ORIGIN,)))
    assert len(wire.sent(Doubted, to="n3")) == 1


@pytest.mark.parametrize("latency_ms", [50, 60, 100, 150])
def test_a_node_comes_back_though_its_proof_takes_longer_than_the_time_between_two_questions(
    latency_ms: int,
) -> None:
    wire = Wire().founded()
    wire.latency_ms = latency_ms
    wire["n3"].crash()
    wire.run(3_000)
    wire["n3"].start()
    wire.run(5_000)
    assert wire["n3"].state.role != "outside"
