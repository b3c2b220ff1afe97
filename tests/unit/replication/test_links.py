"""A link between neighbours is a session of two lives: what is of another one counts for nothing."""

from __future__ import annotations

import msgspec
import pytest

from tests.unit.replication.wire import Wire, from_life
from tvault.replication.entry import ORIGIN
from tvault.replication.messages import Ack, Append, Confirm, Confirmed, HeartbeatReturn, Sync


@pytest.fixture
def wire() -> Wire:
    return Wire().founded()


def test_entries_of_a_session_that_was_given_up_are_not_taken(wire: Wire) -> None:
    wire["n1"].propose(1)
    kept = wire.keep(Append, to="n2")
    wire["n2"].crash()
    wire["n2"].start()
    wire.run(50)
    wire["n2"].stop_before = "journal"
    before = wire["n2"].chain.matched
    wire.release(kept)
    assert wire["n2"].chain.matched == before


def test_acknowledgements_of_another_session_count_for_nothing(wire: Wire) -> None:
    seq = wire["n1"].propose(1)
    wire.keep()
    session = wire["n2"].chain._session
    wire.say("n2", "n1", 3, Ack(session - 1, seq, seq))
    wire.say("n2", "n1", 3, Ack(0, seq, seq))
    wire.say("n2", "n1", 3, HeartbeatReturn(1, session + 1, seq, seq))
    assert wire["n1"].answer(1) is None


@pytest.mark.parametrize(("incarnation", "answer"), [("n2-1", "committed"), ("another", None)])
def test_an_acknowledgement_of_another_incarnation_counts_for_nothing(
    wire: Wire, incarnation: str, answer: str | None
) -> None:
    seq = wire["n1"].propose(1)
    wire.keep()
    ack = wire["n2"].replica.envelope(3, Ack(wire["n2"].chain._session, seq, seq))
    wire.hand("n1", from_life(ack, incarnation=incarnation))
    assert wire["n1"].answer(1) == answer


@pytest.mark.parametrize(("incarnation", "taken"), [("n1-1", 1), ("another", 0)])
def test_entries_from_another_incarnation_are_not_taken(
    wire: Wire, incarnation: str, taken: int
) -> None:
    seq = wire["n1"].propose(1)
    (kept,) = wire.keep(Append, to="n2")
    wire.hand("n2", from_life(kept.envelope, incarnation=incarnation))
    assert wire["n2"].store.last().seq == seq - 1 + taken


def test_messages_of_an_earlier_life_count_for_nothing_once_a_later_one_was_heard(wire: Wire) -> None:
    """The confirmation of n2 alone would be enough, and n2 is back in the same view."""
    wire["n3"].confirm(1)
    wire.keep(Confirm, to="n1")
    wire.deliver(Confirm)
    kept = wire.keep(Confirmed)
    wire["n2"].restart()
    wire.run(100)
    assert wire["n2"].state.view == wire["n3"].state.view == 3
    wire.keep(Confirm)
    wire.release(kept)
    assert wire["n3"].answer(1) is None


def test_an_acknowledgement_from_a_node_that_is_no_neighbour_counts_for_nothing(wire: Wire) -> None:
    seq = wire["n1"].propose(1)
    wire.keep()
    session = wire["n2"].chain._session
    wire.say("n3", "n1", 3, Ack(session, seq, seq))
    assert wire["n1"].answer(1) is None


def test_a_node_outside_the_ensemble_is_not_heard(wire: Wire) -> None:
    seq = wire["n1"].propose(1)
    (kept,) = wire.keep(Append, to="n2")
    envelope = kept.envelope
    stranger = msgspec.structs.replace(envelope, sender="n9")
    wire.hand("n2", stranger)
    assert wire["n2"].store.last().seq == seq - 1


def test_a_late_wish_for_an_old_session_does_not_disturb_the_present_one(wire: Wire) -> None:
    wire.say("n2", "n1", 3, Sync(wire["n2"].chain._session - 1, (ORIGIN,)))
    wire.keep()
    wire["n1"].propose(1)
    wire.deliver_all()
    assert wire["n1"].answer(1) == "committed", "without waiting for the next heartbeat"


def test_a_link_that_is_out_of_step_under_live_heartbeats_comes_into_step_again(wire: Wire) -> None:
    wire["n2"].crash()
    wire["n2"].start()
    wire.loses = lambda item: item.is_from("n3", "n2", (Sync,))
    wire.run(300)
    wire["n1"].propose(1)
    wire.run(300)
    assert wire["n1"].answer(1) is None
    wire.loses = lambda _: False
    wire.run(800)
    assert wire["n1"].answer(1) == "committed"
    assert wire["n1"].state.view == 3


@pytest.mark.parametrize("latency_ms", [50, 100, 150])
def test_a_network_slower_than_the_heartbeat_does_not_keep_the_chain_from_forming(
    latency_ms: int,
) -> None:
    wire = Wire()
    wire.latency_ms = latency_ms
    wire.start()
    wire.run(5000)
    assert wire.writable()
    wire["n1"].propose(1)
    wire.run(2000)
    assert wire["n1"].answer(1) == "committed"
