"""A head forms its chain anew, or another becomes the head: what waits is written or answered, once."""

from __future__ import annotations

import pytest

from tests.unit.office import Office, mint
from tvault.engine import Written
from tvault.model.commands import encode_command
from tvault.ordering import Declined
from tvault.replication.messages import Outcome, Prepare, Presence, Proposal


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def reforming(office: Office) -> Office:
    """n3 died with a command of n1 and one of n2 on its way to it, and n1 asks for a view without it."""
    wire = office.wire
    wire["n3"].stop_before = "journal"
    office["n1"].submit(1, mint(1))
    office["n2"].submit(2, mint(2))
    office.flow()
    wire["n3"].crash()
    wire["n1"].unreachable("n3")
    wire.tick("n1")
    assert wire["n1"].replica.is_reforming
    return office


def test_what_was_ordered_is_written_in_the_next_view_of_the_same_head(reforming: Office) -> None:
    reforming.flow()
    assert isinstance(reforming["n1"].verdict(1), Written)
    assert isinstance(reforming["n2"].verdict(2), Written)
    assert reforming["n1"].code(1) is None


def test_what_comes_while_the_head_forms_its_chain_anew_waits_and_is_written(reforming: Office) -> None:
    reforming["n1"].submit(3, mint(3))
    reforming["n1"].gather()
    life = reforming.wire["n2"].replica.life
    reforming.wire.say("n2", "n1", 3, Proposal(4, encode_command(mint(4)), life))
    reforming["n1"].gather()
    assert reforming["n1"].verdict(3) is None
    assert reforming.wire.sent(Outcome, to="n2") == []
    reforming.flow()
    assert isinstance(reforming["n1"].verdict(3), Written)
    assert reforming.wire["n1"].store.exists("A", 1, (4).to_bytes(16, "big"))


def test_what_was_passed_on_waits_while_the_head_forms_its_chain_anew(reforming: Office) -> None:
    reforming["n2"].submit(5, mint(5))
    wire = reforming.wire
    wire.deliver(Prepare)
    wire["n2"].unreachable("n3")
    wire.tick("n1", after=100)
    wire.deliver(Presence)
    assert wire["n2"].replica.head() is None
    reforming["n2"].gather()
    assert reforming["n2"].verdict(5) is reforming["n2"].verdict(2) is None
    reforming.flow()
    assert isinstance(reforming["n2"].verdict(5), Written)


def test_what_waits_for_a_ballot_that_comes_to_nothing_is_answered(reforming: Office) -> None:
    """What was ordered may be written yet, and what was not will not be."""
    reforming["n1"].submit(3, mint(3))
    reforming.wire["n2"].crash()
    reforming.run(2000)
    ordered, waiting = reforming["n1"].verdict(1), reforming["n1"].verdict(3)
    assert isinstance(ordered, Declined)
    assert isinstance(waiting, Declined)
    assert (ordered.code, ordered.nothing_ordered) == ("unavailable", False)
    assert (waiting.code, waiting.nothing_ordered) == ("unavailable", True)


def test_what_waits_is_answered_when_another_node_becomes_the_head(reforming: Office) -> None:
    reforming["n1"].submit(3, mint(3))
    reforming["n2"].submit(5, mint(5))
    wire = reforming.wire
    wire.keep()
    wire.say("n2", "n1", wire["n1"].state.promised + 1, Prepare(wire["n2"].store.last()))
    reforming["n1"].gather()
    assert [reforming["n1"].code(ticket) for ticket in (1, 3)] == ["unavailable"] * 2
    wire["n3"].start()
    reforming.run(3000)
    assert wire["n2"].replica.head() is not None
    if wire["n2"].replica.head() != "n1":
        assert [reforming["n2"].code(ticket) for ticket in (2, 5)] == ["unavailable"] * 2


def test_a_head_that_hands_over_says_that_what_waits_was_not_ordered(office: Office) -> None:
    wire = office.wire
    wire["n1"].leave()
    office["n1"].submit(3, mint(3))
    office.run(300)
    verdict = office["n1"].verdict(3)
    assert isinstance(verdict, Declined)
    assert (verdict.code, verdict.nothing_ordered) == ("unavailable", True)
    assert wire["n2"].replica.head() == "n2"
