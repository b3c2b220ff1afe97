"""An outsider's confirmed read: a member says up to where the journal must be known, in a round that
began after the question."""

from __future__ import annotations

import pytest

from tests.unit.replication.wire import TICK_MS, TIMING, Flying, Wire, history
from tvault.replication.messages import (
    Ack,
    Append,
    Confirm,
    Confirmed,
    Heartbeat,
    Index,
    IndexAsk,
    Learn,
    Learned,
    Prepare,
    Superseded,
)
from tvault.replication.reads import INDEX_TRIES


@pytest.fixture
def wire() -> Wire:
    """n1 heads n2, and n3 is an outsider that hears of them and is not taken in."""
    wire = Wire().founded()
    wire.hints = True
    wire["n3"].crash()
    wire.until(lambda: wire.is_chain_of("n1", "n2"))
    wire.loses = lambda item: item.is_from(None, "n3", (Learned,))
    wire["n3"].start()
    wire.run(300)
    assert wire["n3"].replica.head() == "n1"
    return wire


def hears_only(wire: Wire, name: str) -> None:
    """n3 hears one member alone, which keeps it out of the chain, and catches up with that one."""
    (other,) = {"n1", "n2"} - {name}
    wire.split(["n3"], [other])
    wire.run(1000)
    wire.loses = lambda _: False
    wire.until(lambda: wire["n3"].state.caught_up)
    assert wire.is_chain_of("n1", "n2")


def asks(wire: Wire, ticket: int) -> str:
    """n3 asks for an index; the member that it asks."""
    wire["n3"].ask_index(ticket)
    (asked,) = [item.to for item in wire.flying if item.is_from("n3", None, (IndexAsk,))]
    return asked


def ticks(wire: Wire, duration: int) -> None:
    """Time passes for the outsider alone, and nothing arrives."""
    for _ in range(duration // TICK_MS):
        wire.tick("n3")


# What an index says.


def test_everything_acknowledged_before_the_question_is_at_or_below_the_index(wire: Wire) -> None:
    """The member asked has persisted it, and does not know yet that it is committed."""
    seq = wire["n1"].propose(1)
    wire.deliver(Append)
    wire.deliver(Ack)
    assert wire["n1"].answer(1) == "committed"
    assert wire["n2"].state.committed < seq
    assert asks(wire, 7) == "n2"
    wire.keep(Append, Heartbeat)
    wire.deliver_all()
    assert wire["n3"].index(7) == seq


@pytest.mark.parametrize("name", ["n1", "n2"])
def test_any_member_gives_an_index(wire: Wire, name: str) -> None:
    for ticket in range(4):
        if (asked := asks(wire, ticket)) == name:
            break
        wire.keep(IndexAsk)
        ticks(wire, TIMING.round_ms)
        asked = next(item.to for item in wire.flying if item.is_from("n3", None, (IndexAsk,)))
        if asked == name:
            break
    wire.deliver_all()
    assert wire["n3"].index(ticket) == wire[name].store.last().seq


def test_an_index_comes_only_after_a_round_that_began_after_the_question(wire: Wire) -> None:
    """An earlier round proves nothing about a write that was acknowledged since it began."""
    wire["n2"].confirm(1)
    wire.deliver(Confirm)
    assert asks(wire, 7) == "n2"
    wire.deliver(IndexAsk)
    early = wire.keep(Confirmed)
    wire.release(early)
    assert wire["n2"].answer(1) == "confirmed"
    assert wire.sent(Index) == []
    wire.release(early)
    assert wire.sent(Index) == []
    wire.deliver_all()
    assert wire["n3"].index(7) is not None


def test_an_index_needs_a_majority_that_has_promised_no_later_view(wire: Wire) -> None:
    assert asks(wire, 7) == "n2"
    wire.deliver(IndexAsk)
    wire.keep(Confirm)
    wire.deliver_all()
    assert wire["n3"].answer(7) is None


def test_a_member_of_a_view_that_is_over_gives_no_index() -> None:
    """Others went on, and n3 still believes that it is a member when n4 asks it."""
    wire = Wire(5).founded()
    wire.keep()
    for name in ("n1", "n4", "n5"):
        wire.say("n2", name, 6, Prepare(wire["n2"].store.last()))
    wire.keep()
    wire.say("n4", "n3", 0, IndexAsk(1))
    wire.deliver(Confirm)
    assert wire.sent(Superseded, to="n3") != []
    wire.deliver_all()
    assert wire.sent(Index) == []
    assert wire["n3"].state.role == "outside"


def test_a_member_gives_no_index_before_it_durably_holds_the_barrier_of_its_view() -> None:
    wire = Wire().with_past(3, n1=history(3), n2=history(3), n3=history(3))
    wire.loses = lambda item: item.is_from("n2", "n3", (Append,))
    wire.until(lambda: wire["n3"].is_member)
    wire.keep()
    wire.say("n1", "n3", 0, IndexAsk(1))
    assert wire.sent(Confirm, sender="n3") == []
    wire.loses = lambda _: False
    wire.run(500)
    wire.say("n1", "n3", 0, IndexAsk(1))
    assert len(wire.sent(Confirm, sender="n3")) == 2


def test_an_outsider_gives_no_index(wire: Wire) -> None:
    wire.keep()
    wire.say("n2", "n3", 0, IndexAsk(1))
    assert wire.sent(Confirm, sender="n3") == []


# Who is asked, and when again.


def test_an_outsider_asks_the_tail_first(wire: Wire) -> None:
    """The head has enough to do."""
    assert asks(wire, 1) == "n2"


def test_a_question_that_gets_no_answer_is_a_new_one_to_the_next_member(wire: Wire) -> None:
    asked: list[tuple[str, int]] = []

    def loses(item: Flying) -> bool:
        if isinstance(item.envelope.message, IndexAsk):
            asked.append((item.to, item.envelope.message.round))
        return item.is_from(None, None, (IndexAsk,)) or item.is_from(None, "n3", (Learned,))

    wire.loses = loses
    wire["n3"].ask_index(7)
    wire.run(INDEX_TRIES * TIMING.round_ms + 200)
    assert [name for name, _ in asked] == ["n2", "n1", "n2"]
    assert len({number for _, number in asked}) == INDEX_TRIES
    assert wire["n3"].answer(7) == "lost"


def test_the_answer_to_a_question_that_was_given_up_is_not_taken(wire: Wire) -> None:
    """It may have been given before something that the reader of the next one must see."""
    asks(wire, 7)
    wire.deliver(IndexAsk)
    wire.deliver(Confirm)
    wire.deliver(Confirmed)
    late = wire.keep(Index)
    assert len(late) == 1
    wire["n3"].stop_before = None
    ticks(wire, TIMING.round_ms)
    wire.release(late)
    assert wire["n3"].answer(7) is None


def test_an_index_answers_one_reader_once(wire: Wire) -> None:
    asks(wire, 7)
    wire.deliver(IndexAsk)
    wire["n3"].ask_index(8)
    wire.keep(IndexAsk)
    wire.deliver(Confirm)
    wire.deliver(Confirmed)
    (index,) = wire.keep(Index)
    wire.release([index, index])
    assert wire["n3"].index(7) is not None
    assert wire["n3"].answer(8) is None


def test_a_member_that_leaves_its_view_gives_no_index_and_the_outsider_asks_another(
    wire: Wire,
) -> None:
    assert asks(wire, 7) == "n2"
    wire.deliver(IndexAsk)
    wire.keep()
    wire.say("n1", "n2", 9, Prepare(wire["n1"].store.last()))
    wire.keep(Confirm)
    wire.deliver(Confirmed)
    assert wire.sent(Index) == []
    wire.run(2 * TIMING.round_ms)
    assert wire["n3"].answer(7) in ("index", "lost"), "and not for ever nothing"


def test_an_index_is_lost_when_there_is_no_live_chain_any_more(wire: Wire) -> None:
    asks(wire, 7)
    wire["n1"].crash()
    wire["n2"].crash()
    wire.run(TIMING.round_ms + 100)
    assert wire["n3"].answer(7) == "lost"
    wire["n3"].ask_index(8)
    assert wire["n3"].answer(8) == "lost"


def test_an_outsider_that_becomes_a_member_loses_its_questions(wire: Wire) -> None:
    """Its readers are to look as those of a member do."""
    asks(wire, 7)
    wire.loses = lambda item: item.is_from(None, None, (IndexAsk,))
    wire.until(wire.is_whole, within=TIMING.round_ms)
    assert wire["n3"].answer(7) == "lost"


def test_a_member_asks_for_no_index() -> None:
    wire = Wire().founded()
    wire["n2"].ask_index(7)
    assert wire["n2"].answer(7) == "lost"
    assert wire.sent(IndexAsk) == []


# What comes of it.


def test_an_outsider_that_lacks_what_an_index_names_asks_for_it_at_once(wire: Wire) -> None:
    """A reader waits for it."""
    hears_only(wire, "n1")
    seq = wire["n1"].propose(1)
    wire.deliver(Append)
    wire.deliver(Ack)
    assert asks(wire, 7) == "n1"
    wire.deliver(IndexAsk)
    wire.deliver(Confirm)
    wire.deliver(Confirmed)
    assert wire.sent(Learn) == []
    wire.deliver(Index)
    assert len(wire.sent(Learn, sender="n3")) == 1
    wire.deliver_all()
    assert wire["n3"].index(7) == wire["n3"].state.committed == seq


def test_an_outsider_that_waits_for_the_word_of_a_commit_asks_with_pauses(wire: Wire) -> None:
    """Its teacher holds the entry, and does not know yet that it is committed."""
    hears_only(wire, "n2")
    seq = wire["n1"].propose(1)
    wire.deliver(Append)
    wire.deliver(Ack)
    wire.keep(Append)
    assert asks(wire, 7) == "n2"
    wire.deliver_all()
    assert wire["n3"].index(7) == seq
    assert wire["n3"].state.committed == wire["n2"].state.committed == seq - 1
    wire.run(2 * TIMING.heartbeat_ms)
    assert wire["n3"].state.committed == seq
