"""A head forms its chain anew: what it ordered waits for the next view, each ticket for one answer."""

from __future__ import annotations

import pytest

from tests.unit.replication.wire import TICK_MS, TIMING, Wire, history
from tvault.replication.account import Account, Condition
from tvault.replication.entry import Kind
from tvault.replication.messages import Ack, Append, Learn, Part, Prepare, Presence, Promised, Refused
from tvault.replication.promise import Standing
from tvault.replication.view import View


@pytest.fixture
def wire() -> Wire:
    """n1 has ordered three entries that n3 does not get."""
    wire = Wire().founded()
    wire.loses = lambda item: item.is_from("n2", "n3", (Append,))
    for ticket in (1, 2, 3):
        wire["n1"].propose(ticket)
        wire.deliver_all()
    assert [wire["n1"].answer(ticket) for ticket in (1, 2, 3)] == [None, None, None]
    return wire


def answers(wire: Wire) -> list[str | None]:
    return [wire["n1"].answer(ticket) for ticket in (1, 2, 3)]


def reforming(wire: Wire) -> None:
    """n3 dies, and n1 asks for a view that nobody has promised yet."""
    wire.loses = lambda item: item.is_from(None, "n1", (Promised,))
    wire.hints = True
    wire["n3"].crash()
    wire.until(lambda: wire["n1"].replica.is_reforming)


def test_what_the_head_ordered_is_committed_in_its_next_view_and_each_ticket_answered_once(
    wire: Wire,
) -> None:
    before = wire["n1"].store.position(4)
    wire.loses = lambda _: False
    wire.hints = True
    wire["n3"].crash()
    wire.until(lambda: wire.is_chain_of("n1", "n2"))
    wire.run(200)
    assert answers(wire) == ["committed"] * 3
    assert wire["n1"].store.position(4) == wire["n2"].store.position(4) == before
    assert [answer.seq for answer in wire["n1"].answers] == [2, 3, 4]


def test_what_waits_is_answered_neither_way_while_the_ballot_runs(wire: Wire) -> None:
    reforming(wire)
    assert answers(wire) == [None, None, None]
    assert not wire["n1"].is_member
    assert not wire["n1"].replica.may_propose()


def test_nothing_of_the_old_view_is_counted_while_the_head_asks_for_another(wire: Wire) -> None:
    session = wire["n2"].chain._session
    reforming(wire)
    wire.say("n2", "n1", 3, Ack(session, 4, 4))
    assert answers(wire) == [None, None, None]
    assert wire["n1"].state.committed == 1


def test_what_waits_is_lost_when_the_ballot_comes_to_nothing(wire: Wire) -> None:
    reforming(wire)
    for _ in range(TIMING.suspect_ms // TICK_MS + 1):
        wire.tick("n1")
    assert answers(wire) == ["lost"] * 3
    assert not wire["n1"].replica.is_reforming


def test_what_waits_is_lost_when_the_ballot_is_refused(wire: Wire) -> None:
    reforming(wire)
    view = wire["n1"].state.promised
    wire.say("n2", "n1", view, Refused(view + 1, wire["n2"].store.last()))
    assert answers(wire) == ["lost"] * 3
    assert not wire["n1"].replica.is_reforming


def test_what_waits_is_lost_when_the_head_promises_to_another(wire: Wire) -> None:
    reforming(wire)
    wire.say("n2", "n1", wire["n1"].state.promised + 1, Prepare(wire["n2"].store.last()))
    assert answers(wire) == ["lost"] * 3
    assert not wire["n1"].replica.is_reforming


def test_what_waits_is_committed_only_if_its_own_head_brings_it_into_the_next_view() -> None:
    """n1 forms its chain anew behind a cut, while the others go on without it and commit something else
    in the same places."""
    wire = Wire().founded()
    wire.isolate("n1")
    for ticket in (1, 2, 3):
        wire["n1"].propose(ticket)
    wire.until(lambda: wire.is_chain_of("n2", "n3") or wire["n1"].replica.is_reforming)
    wire.until(lambda: wire["n1"].replica.is_reforming)
    head = wire["n2"] if wire["n2"].replica.heads_live_chain() else wire["n3"]
    for ticket in range(10, 20):
        head.propose(ticket)
    wire.heal()
    wire.until(wire.is_whole)
    assert answers(wire) == ["lost"] * 3
    assert len(wire.ends()) == 1
    assert wire["n1"].store.entries(2, 1)[0].kind is Kind.ROWS


def test_a_head_that_forms_its_chain_anew_learns_nothing_from_another_chain_meanwhile(
    wire: Wire,
) -> None:
    """What is committed there in the place of what it ordered is not what it ordered."""
    reforming(wire)
    wire.keep()
    view = View(4, (wire["n2"].me, wire["n3"].me), 3)
    part = Part(view, alive=True, open=True, flows=True)
    account = Account(Standing.VOTER, Condition.READY, history(3, 3, 4)[-1].position, ("n1", "n3"))
    wire.say("n2", "n1", 0, Presence(account, 4, part, 3, caught_up=False))
    assert wire["n1"].replica.head() == "n2"
    wire.tick("n1")
    assert wire.sent(Learn) == []
    wire.run(2000)
    assert answers(wire) == ["lost"] * 3


def test_commands_are_kept_for_a_head_as_long_as_it_forms_its_chain_anew(wire: Wire) -> None:
    assert not wire["n1"].replica.is_reforming
    wire["n1"].unreachable("n3")
    wire.tick("n1")
    assert wire["n1"].replica.head() is None
    assert wire["n1"].replica.is_reforming
    wire.deliver_all()
    assert wire["n1"].replica.head() == "n1"
    assert not wire["n1"].replica.is_reforming


def test_readers_of_the_old_view_are_lost_when_the_head_forms_the_next(wire: Wire) -> None:
    wire.loses = lambda item: isinstance(item.envelope.message, Presence | Promised)
    wire["n1"].confirm(7)
    wire.keep()
    wire.hints = True
    wire["n3"].crash()
    wire.tick()
    assert wire["n1"].answer(7) == "lost"
