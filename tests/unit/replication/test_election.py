"""How a ballot goes: who may begin one, whom it waits for, who gives way to whom."""

from __future__ import annotations

from typing import TypeVar

import pytest

from tests.unit.replication.wire import TIMING, Wire, history
from tvault.replication.account import Account, Condition
from tvault.replication.election import GRACE_HEARTBEATS
from tvault.replication.entry import ORIGIN
from tvault.replication.messages import (
    HandOver,
    Learn,
    Learned,
    NewView,
    Part,
    Prepare,
    Presence,
    PreVote,
    PreVoteAnswer,
    Promised,
    Refused,
)
from tvault.replication.promise import Standing
from tvault.replication.ready import Detail
from tvault.replication.view import View

GRACE_MS = GRACE_HEARTBEATS * TIMING.heartbeat_ms
READY, FULL, LEAVING = Condition.READY, Condition.FULL, Condition.LEAVING
VOTER, BLANK = Standing.VOTER, Standing.BLANK

Asked = TypeVar("Asked", PreVote, Prepare)


def past(nodes: int = 3) -> Wire:
    """Voters that hold the barrier of view 3, and have promised no later one."""
    wire = Wire(nodes)
    return wire.with_past(3, **{name: history(3) for name in wire.names})


def asks(wire: Wire, kind: type[Asked], name: str = "n1", within: int = 1000) -> Asked:
    """What this node asks next; nobody else notices that time passes."""
    end = wire.now + within
    while wire.now < end:
        for item in wire.keep(kind, sender=name):
            if isinstance(item.envelope.message, kind):
                return item.envelope.message
        wire.tick(name)
    raise AssertionError(f"{name} asks for nothing")


def is_there(wire: Wire, *names: str) -> None:
    """n1 hears these nodes say that they are there."""
    for name in names:
        account = Account(VOTER, READY, wire[name].store.last(), wire.names)
        wire.say(name, "n1", 0, Presence(account, 3, None, 1, caught_up=False))


def grants(wire: Wire, question: PreVote, *names: str, standing: Standing = VOTER) -> None:
    for name in names:
        answer = PreVoteAnswer(question.round, granted=True, standing=standing, promised=3)
        wire.say(name, "n1", 0, answer)


def promises(
    wire: Wire, name: str, condition: Condition = READY, standing: Standing = VOTER, persist_ms: int = 0
) -> None:
    """n1 hears a promise of the view that it asks for, from a node that lacks nothing."""
    account = Account(standing, condition, wire["n1"].store.last(), wire.names, persist_ms)
    wire.say(name, "n1", wire["n1"].state.promised, Promised(account))


def balloting(wire: Wire, *heard: str) -> None:
    """n1 asks for a promise; it has heard these lately, and their promises are still to come."""
    question = asks(wire, PreVote)
    grants(wire, question, *wire.names[1 : len(wire.names) // 2 + 1])
    wire.keep()
    assert wire["n1"].part.election.is_balloting
    assert set(heard) <= set(wire["n1"].part.peers.hears(wire.now))


# Pre-votes.


def test_a_pre_vote_needs_a_majority() -> None:
    wire = past(5)
    question = asks(wire, PreVote)
    grants(wire, question, "n2", "n2", "n2")
    assert wire["n1"].promise.promised == 3, "two of five, of which one said so three times"
    grants(wire, question, "n3")
    assert wire["n1"].promise.promised == 5


def test_blank_nodes_and_answers_to_an_earlier_pre_vote_count_for_nothing() -> None:
    wire = past(5)
    earlier = asks(wire, PreVote)
    question = asks(wire, PreVote)
    assert question.round > earlier.round
    grants(wire, earlier, "n2", "n3", "n4", "n5")
    grants(wire, question, "n2", "n3", standing=BLANK)
    grants(wire, question, "n2")
    assert wire["n1"].promise.promised == 3


def test_a_pre_vote_that_no_majority_can_grant_any_more_is_given_up() -> None:
    wire = past()
    question = asks(wire, PreVote)
    for name in ("n2", "n3"):
        wire.say(name, "n1", 0, PreVoteAnswer(question.round, False, VOTER, 3))
    grants(wire, question, "n2", "n3")
    assert wire["n1"].promise.promised == 3


def test_a_pre_vote_is_granted_to_no_journal_that_is_behind() -> None:
    wire = Wire().with_past(3, n1=history(3), n2=history(3, 3), n3=history(3))
    question = asks(wire, PreVote)
    wire.say("n1", "n2", 0, question)
    wire.say("n1", "n3", 0, question)
    answers = [wire.sent(PreVoteAnswer, sender=name)[0] for name in ("n2", "n3")]
    assert [getattr(answer, "granted", None) for answer in answers] == [False, True]


# Whom a ballot waits for.


def test_a_ballot_waits_a_little_for_those_that_are_known_to_be_there() -> None:
    wire = past()
    is_there(wire, "n2", "n3")
    balloting(wire, "n2", "n3")
    promises(wire, "n2")
    assert wire.sent(NewView) == []
    promises(wire, "n3")
    assert wire["n1"].state.chain == ("n1", "n2", "n3")


def test_a_ballot_does_not_wait_for_ever() -> None:
    wire = past()
    is_there(wire, "n2", "n3")
    balloting(wire, "n2", "n3")
    promises(wire, "n2")
    wire.tick("n1", after=GRACE_MS - 1)
    assert wire["n1"].state.role == "outside"
    wire.tick("n1", after=1)
    assert wire["n1"].state.chain == ("n1", "n2")


def test_a_ballot_waits_longer_when_a_disk_is_slow() -> None:
    wire = past()
    is_there(wire, "n2", "n3")
    balloting(wire, "n2", "n3")
    promises(wire, "n2", persist_ms=200)
    wire.tick("n1", after=GRACE_MS + 1)
    assert wire["n1"].state.role == "outside"
    promises(wire, "n3")
    assert wire["n1"].state.chain == ("n1", "n2", "n3")


def test_a_ballot_waits_for_nobody_that_is_not_heard_or_known_to_be_gone() -> None:
    wire = past(5)
    is_there(wire, "n2", "n3", "n4")
    wire["n1"].unreachable("n4")
    balloting(wire, "n2", "n3")
    promises(wire, "n2")
    promises(wire, "n3")
    assert wire["n1"].state.chain == ("n1", "n2", "n3")


def test_a_ballot_is_given_up_without_a_majority_of_promises() -> None:
    wire = past(5)
    balloting(wire)
    promises(wire, "n2")
    wire.tick("n1", after=TIMING.suspect_ms + 50)
    assert not wire["n1"].part.election.is_balloting
    promises(wire, "n3")
    assert wire["n1"].state.role == "outside"


def test_the_promise_of_a_blank_node_is_not_counted_and_not_waited_for() -> None:
    wire = past(5)
    balloting(wire)
    promises(wire, "n4", standing=BLANK)
    promises(wire, "n2")
    wire.tick("n1", after=GRACE_MS)
    promises(wire, "n3")
    assert wire["n1"].state.chain == ("n1", "n2", "n3", "n4"), "and it is copied to"


def test_a_view_is_decided_once() -> None:
    wire = past()
    balloting(wire)
    promises(wire, "n2")
    assert wire["n1"].state.chain == ("n1", "n2")
    promises(wire, "n3")
    assert wire["n1"].state.chain == ("n1", "n2")
    assert len({repr(message) for message in wire.sent(NewView)}) == 1


def test_a_candidate_learns_nothing_from_a_chain_that_it_hears_of_meanwhile() -> None:
    """It has said where its journal ends, and is judged by that."""
    wire = past()
    wire.loses = lambda item: item.is_from(None, None, (Learned,))
    account = Account(VOTER, READY, wire["n2"].store.last(), wire.names)
    live = View(4, (wire["n2"].me, wire["n3"].me), 2)
    presence = Presence(account, 4, Part(live, True, True, True), 3, caught_up=False)
    wire.say("n2", "n1", 0, presence)
    wire.tick("n1")
    (learn,) = wire.keep(Learn, sender="n1")
    assert isinstance(learn.envelope.message, Learn)
    wire.now += 2 * TIMING.suspect_ms
    balloting(wire)
    wire.say("n2", "n1", 0, presence)
    wire.tick("n1")
    assert wire.sent(Learn, sender="n1") == []
    more = history(3, 4, 4)
    wire.say("n2", "n1", 4, Learned(learn.envelope.message.round, more[0].position, tuple(more[1:]), 3))
    assert wire["n1"].store.last().seq == 1
    promises(wire, "n2")
    wire.tick("n1", after=GRACE_MS)
    assert wire["n1"].state.role == "head"


# Who cannot be a member.


@pytest.mark.parametrize("condition", [FULL, LEAVING])
def test_a_node_that_is_full_or_leaves_promises_and_counts_and_is_no_member(
    condition: Condition,
) -> None:
    wire = past(5)
    is_there(wire, "n2", "n3", "n4")
    balloting(wire, "n2", "n3", "n4")
    promises(wire, "n2")
    promises(wire, "n3", condition)
    promises(wire, "n4")
    assert wire["n1"].state.chain == ("n1", "n2", "n4")


def test_a_majority_of_promises_is_not_enough_where_too_few_can_be_members() -> None:
    wire = past(5)
    balloting(wire)
    promises(wire, "n2")
    promises(wire, "n3", FULL)
    assert wire["n1"].state.role == "outside"
    assert wire.sent(NewView) == []


def test_a_full_node_promises_and_says_that_it_is_full() -> None:
    wire = Wire().founded()
    wire["n3"].has_room = False
    wire["n1"].propose(1)
    wire.run(500)
    assert wire["n3"].state.condition is FULL
    wire.say("n2", "n3", 100, Prepare(wire["n2"].store.last()))
    (promised,) = wire.sent(Promised, sender="n3")
    assert isinstance(promised, Promised)
    assert promised.account.condition is FULL
    assert wire["n3"].promise.promised == 100


@pytest.mark.parametrize("cause", ["full", "leaves", "nothing"])
def test_a_node_that_cannot_be_a_member_asks_for_no_view(cause: str) -> None:
    wire = Wire().founded()
    if cause == "full":
        wire["n3"].has_room = False
        wire["n1"].propose(1)
        wire.run(500)
    elif cause == "leaves":
        wire["n3"].leave()
        wire.run(500)
    wire["n1"].crash()
    wire["n2"].crash()
    asked = False
    for _ in range(60):
        wire.tick("n3")
        asked = asked or bool(wire.keep(PreVote, sender="n3"))
    assert asked == (cause == "nothing")


# Who goes first.


@pytest.mark.parametrize("longer", [True, False])
def test_who_is_refused_by_a_longer_journal_leaves_it_the_time_to_go_first(*, longer: bool) -> None:
    wire = past()
    balloting(wire)
    last = history(3, 3)[-1].position if longer else history(3)[-1].position
    wire.say("n2", "n1", 6, Refused(20, last))
    wire.say("n3", "n1", 6, Promised(Account(VOTER, READY, ORIGIN, wire.names)))
    assert wire["n1"].state.role == "outside"
    begun = wire.now
    asks(wire, PreVote)
    pauses = (wire.now - begun) // TIMING.heartbeat_ms
    assert pauses == (4 if longer else 2)


def test_the_next_number_is_above_every_promise_heard_of() -> None:
    wire = past()
    balloting(wire)
    wire.say("n2", "n1", 6, Refused(20, history(3)[-1].position))
    grants(wire, asks(wire, PreVote), "n2")
    assert wire["n1"].promise.promised == 21


def test_who_has_promised_to_another_leaves_it_the_time_to_open_its_view() -> None:
    wire = past()
    wire.say("n2", "n1", 4, Prepare(history(3)[-1].position))
    begun = wire.now
    asks(wire, PreVote)
    assert wire.now - begun >= TIMING.round_ms


def test_the_successor_of_a_head_that_fell_silent_asks_first() -> None:
    wire = Wire(5).founded()
    wire["n1"].crash()
    asked: list[str] = []
    while not asked:
        wire.tick(after=10)
        asked = [item.envelope.sender for item in wire.flying if item.is_from(None, "n5", (PreVote,))]
        wire.deliver_all()
    assert asked == ["n2"]


def test_the_next_chain_is_in_the_order_of_the_last_one() -> None:
    wire = Wire(5).founded()
    wire.hints = True
    wire["n2"].crash()
    wire.until(lambda: wire.is_chain_of("n1", "n3", "n4", "n5"))
    assert list(wire["n1"].state.chain) == ["n1", "n3", "n4", "n5"]
    wire["n2"].start()
    wire.until(wire.is_whole)
    assert list(wire["n1"].state.chain) == ["n1", "n3", "n4", "n5", "n2"]


# Rights handed over.


def test_who_is_given_the_right_by_its_head_asks_for_a_view_without_a_pre_vote() -> None:
    wire = Wire().founded()
    wire.say("n1", "n2", 3, HandOver())
    assert wire.sent(PreVote) == []
    assert len(wire.sent(Prepare, sender="n2")) == 2
    wire.deliver_all()
    assert wire["n2"].state.role == "head"
    assert wire["n2"].state.view > 3


@pytest.mark.parametrize(("sender", "view"), [("n3", 3), ("n1", 2), ("n1", 4)])
def test_the_right_to_a_ballot_is_given_by_the_head_of_the_present_view_alone(
    sender: str, view: int
) -> None:
    wire = Wire().founded()
    wire.say(sender, "n2", view, HandOver())
    assert wire.sent(Prepare) == []
    assert wire["n2"].state.role == "middle"


def test_a_head_of_an_earlier_life_gives_no_right_to_a_ballot() -> None:
    wire = Wire().founded()
    late = wire["n1"].replica.envelope(3, HandOver())
    wire["n1"].restart(wiped=True)
    wire.hand("n2", wire["n1"].replica.envelope(0, PreVote(1, ORIGIN)))
    wire.run(50)
    promised = wire["n2"].promise.promised
    wire.keep()
    wire.hand("n2", late)
    assert wire["n2"].promise.promised == promised
    assert wire.sent(Prepare, sender="n2") == []


# What people are told.


def test_that_too_few_may_vote_is_told_once_and_by_name() -> None:
    wire = Wire().founded()
    wire["n2"].restart(wiped=True)
    wire["n3"].restart(wiped=True)
    wire.run(10_000)
    for node in wire.nodes.values():
        (notice,) = node.told("no-majority")
        assert set(_names(notice.details["heard"])) == {"n1", "n2", "n3"}
        assert set(_names(notice.details["blank"])) == {"n2", "n3"}


def _names(detail: Detail) -> list[str]:
    assert isinstance(detail, list)
    return detail
