"""A read is confirmed by a round that began after its look, in the view in which it looked."""

from __future__ import annotations

import pytest

from tests.unit.replication.wire import Wire, history
from tvault.replication.messages import Append, Confirm, Confirmed, Prepare, Superseded


@pytest.fixture
def wire() -> Wire:
    return Wire().founded()


@pytest.mark.parametrize("name", ["n1", "n2", "n3"])
def test_every_member_confirms_with_a_majority(wire: Wire, name: str) -> None:
    wire[name].confirm(1)
    assert wire[name].answer(1) is None
    wire.deliver_all()
    assert wire[name].answer(1) == "confirmed"


def test_one_other_of_three_is_enough(wire: Wire) -> None:
    wire["n3"].confirm(1)
    wire.keep(Confirm, to="n1")
    wire.deliver_all()
    assert wire["n3"].answer(1) == "confirmed"


def test_a_minority_is_not_enough() -> None:
    wire = Wire(5).founded()
    wire["n5"].confirm(1)
    for name in ("n1", "n2", "n3"):
        wire.keep(Confirm, to=name)
    wire.deliver_all()
    assert wire["n5"].answer(1) is None


def test_one_node_that_answers_twice_counts_once() -> None:
    wire = Wire(5).founded()
    wire["n5"].confirm(1)
    wire.deliver(Confirm, to="n4")
    (answer,) = wire.keep(Confirmed)
    wire.keep()
    wire.release([answer, answer, answer])
    assert wire["n5"].answer(1) is None


def test_a_reader_that_comes_later_waits_for_the_next_round(wire: Wire) -> None:
    wire["n3"].confirm(1)
    wire.deliver(Confirm)
    wire["n3"].confirm(2)
    answers = wire.keep(Confirmed)
    wire.release(answers)
    assert wire["n3"].answer(1) == "confirmed"
    assert wire["n3"].answer(2) is None
    wire.release(answers)
    assert wire["n3"].answer(2) is None
    wire.deliver_all()
    assert wire["n3"].answer(2) == "confirmed"


def test_readers_that_came_before_a_round_share_it(wire: Wire) -> None:
    wire["n3"].confirm(1)
    wire["n3"].confirm(2)
    wire["n3"].confirm(3)
    wire.deliver(Confirm)
    wire.deliver(Confirmed)
    assert len(wire.sent(Confirm, to="n1")) == 1
    wire.deliver_all()
    assert wire["n3"].answer(2) == wire["n3"].answer(3) == "confirmed"


def test_a_retry_is_a_new_round(wire: Wire) -> None:
    wire["n3"].confirm(1)
    lost = wire.keep(Confirm)
    for _ in range(9):
        wire.tick("n3")
    again = wire.sent(Confirm, to="n1")
    assert len(again) == 1
    assert again[0] not in [item.envelope.message for item in lost]


def test_an_answer_to_the_round_of_an_earlier_life_counts_for_nothing(wire: Wire) -> None:
    wire["n3"].confirm(1)
    wire.deliver(Confirm)
    early = wire.keep(Confirmed)
    wire["n3"].crash()
    wire["n3"].start()
    wire.run(300)
    assert wire["n3"].state.view == 3
    wire["n3"].confirm(2)
    wire.keep(Confirm)
    wire.release(early)
    assert wire["n3"].answer(2) is None


def test_who_has_promised_a_later_view_does_not_confirm_this_one(wire: Wire) -> None:
    for name in ("n1", "n2"):
        wire.say("n3", name, 5, Prepare(wire["n3"].store.last()))
    wire.keep()
    wire["n3"].confirm(1)
    wire.deliver(Confirm)
    assert wire.sent(Confirmed) == []
    assert set(map(type, wire.sent(to="n3"))) == {Superseded}
    wire.deliver_all()
    assert wire["n3"].answer(1) == "lost"


def test_a_view_change_loses_every_reader_of_the_view(wire: Wire) -> None:
    wire["n2"].confirm(1)
    wire.keep()
    wire["n2"].confirm(2)
    wire.say("n3", "n2", 5, Prepare(wire["n3"].store.last()))
    assert wire["n2"].answer(1) == wire["n2"].answer(2) == "lost"


def test_an_outsider_confirms_nothing() -> None:
    wire = Wire()
    wire.start()
    wire["n2"].confirm(1)
    assert wire["n2"].answer(1) == "lost"
    assert wire["n2"].state.readable == 0


def test_a_member_confirms_nothing_before_it_durably_holds_the_barrier() -> None:
    wire = Wire().with_past(3, n1=history(3), n2=history(3), n3=history(3))
    wire.loses = lambda item: item.is_from("n2", "n3", (Append,))
    for _ in range(100):
        wire.run(50)
        if wire["n3"].state.role == "tail":
            break
    wire["n3"].confirm(1)
    assert wire["n3"].answer(1) == "lost"
    assert wire["n3"].state.readable == 0
    assert wire["n1"].state.readable == wire["n1"].state.view


def test_who_looked_before_its_node_held_the_barrier_gets_no_confirmation() -> None:
    """A wiped node: the reader finds nothing, the journal arrives, and only then is its turn."""
    wire = Wire().founded()
    wire["n1"].propose(1)
    wire.run(100)
    wire["n3"].crash(wiped=True)
    wire["n3"].start()
    looked_in = wire["n3"].state.readable
    assert wire["n3"].store.last().seq == 0
    wire.run(5000)
    assert wire.writable()
    wire["n3"].confirm(2, looked_in)
    wire.deliver_all()
    assert wire["n3"].answer(2) == "lost"
    wire["n3"].confirm(3, wire["n3"].state.readable)
    wire.deliver_all()
    assert wire["n3"].answer(3) == "confirmed"


def test_who_looked_in_an_earlier_view_gets_no_confirmation(wire: Wire) -> None:
    looked_in = wire["n2"].state.readable
    assert looked_in == 3
    wire["n1"].crash()
    wire["n1"].start()
    wire.run(5000)
    assert wire["n2"].state.readable > 3
    wire["n2"].confirm(1, looked_in)
    assert wire["n2"].answer(1) == "lost"


def test_a_single_node_confirms_by_itself() -> None:
    wire = Wire(1).founded()
    wire["n1"].confirm(1)
    assert wire["n1"].answer(1) == "confirmed"
