"""Nothing leaves a node that its disk does not yet bear out."""

from __future__ import annotations

import pytest

from tests.unit.replication.wire import Wire, history
from tvault.replication.messages import Ack, Append, HeartbeatReturn, NewView, Prepare, Promised


@pytest.fixture
def wire() -> Wire:
    return Wire().founded()


def test_a_promise_leaves_only_when_it_is_durable(wire: Wire) -> None:
    wire["n2"].stop_before = "promise"
    wire.say("n1", "n2", 6, Prepare(wire["n1"].store.last()))
    assert wire["n2"].is_stopped
    assert wire["n2"].promise.promised == 3
    assert wire.sent(Promised) == []
    wire["n2"].go_on()
    assert wire["n2"].promise.promised == 6
    assert len(wire.sent(Promised, to="n1")) == 1


def test_a_promise_holds_over_a_crash_right_after_it_was_given(wire: Wire) -> None:
    wire["n2"].stop_before = "answers"
    wire.say("n1", "n2", 6, Prepare(wire["n1"].store.last()))
    wire["n2"].crash()
    wire["n2"].start()
    assert wire["n2"].state.promised == 6


def test_a_candidate_asks_for_nothing_that_it_has_not_durably_promised_itself() -> None:
    wire = Wire().with_past(3, n1=history(3), n2=history(3), n3=history(3))
    wire["n1"].stop_before = "promise"
    wire["n1"].stops_at = lambda ready: ready.promise is not None and ready.promise.promised > 3
    wire.run(2000)
    assert wire["n1"].is_stopped
    assert wire.sent(Prepare, sender="n1") == []
    wire["n1"].go_on()
    assert len(wire.sent(Prepare, sender="n1")) == 2
    assert wire["n1"].promise.promised == 6


def test_a_view_is_announced_only_when_its_barrier_is_durable_at_the_head() -> None:
    wire = Wire()
    wire.start()
    wire["n1"].stop_before = "journal"
    wire.run(2000)
    assert wire["n1"].is_stopped
    assert wire.sent(NewView) == []
    assert wire["n2"].state.role == "outside"
    wire["n1"].go_on()
    assert len(wire.sent(NewView)) == 2


@pytest.mark.parametrize("stopped", ["n1", "n2", "n3"])
def test_a_write_is_acknowledged_only_when_every_disk_holds_it(wire: Wire, stopped: str) -> None:
    wire[stopped].stop_before = "journal"
    seq = wire["n1"].propose(1)
    wire.run(500)
    assert wire[stopped].is_stopped
    assert wire[stopped].store.last().seq == seq - 1
    assert wire["n1"].answer(1) is None
    assert all(node.state.committed < seq for node in wire.nodes.values())
    wire[stopped].go_on()
    wire.deliver_all()
    assert wire["n1"].answer(1) == "committed"
    assert all(node.store.last().seq == seq for node in wire.nodes.values())


def test_an_entry_is_on_its_way_down_before_the_head_has_persisted_it(wire: Wire) -> None:
    wire["n1"].stop_before = "journal"
    seq = wire["n1"].propose(1)
    wire.deliver_all()
    assert wire["n3"].store.last().seq == seq
    assert wire["n1"].store.last().seq == seq - 1


@pytest.mark.parametrize("name", ["n2", "n3"])
def test_an_acknowledgement_leaves_only_when_its_entry_is_durable(wire: Wire, name: str) -> None:
    wire[name].stop_before = "journal"
    seq = wire["n1"].propose(1)
    wire.deliver_all()
    assert wire[name].is_stopped
    claims = wire.sent(Ack, HeartbeatReturn, sender=name)
    assert [claim for claim in claims if isinstance(claim, Ack) and claim.held >= seq] == []


@pytest.mark.parametrize("name", ["n2", "n3"])
def test_the_mark_is_written_before_an_acknowledgement_leaves(wire: Wire, name: str) -> None:
    wire[name].stop_before = "mark"
    seq = wire["n1"].propose(1)
    wire.deliver_all()
    assert wire[name].is_stopped
    assert wire[name].store.last().seq == seq
    assert wire.sent(Ack, sender=name) == []
    wire[name].stop_before = "late"
    wire[name].settle()
    written = wire[name].written
    assert written is not None
    assert written.mark == wire[name].store.last()


def test_the_head_marks_an_entry_before_it_answers_for_it(wire: Wire) -> None:
    wire["n1"].propose(1)
    wire["n1"].stop_before = "answers"
    wire.deliver_all()
    written = wire["n1"].written
    assert written is not None
    assert written.mark == wire["n1"].store.last()
    assert wire["n1"].answer(1) is None


def test_a_mark_never_leads_the_journal(wire: Wire) -> None:
    for node in wire.nodes.values():
        node.stop_before = "journal"
    wire["n1"].propose(1)
    wire.run(1500)
    for node in wire.nodes.values():
        assert node.written is not None
        assert node.store.position(node.written.mark.seq) == node.written.mark


def test_a_mark_is_synced_within_about_a_second(wire: Wire) -> None:
    wire["n1"].propose(1)
    wire.run(1500)
    for node in wire.nodes.values():
        assert node.promise.mark == node.store.last()


def test_the_mark_is_lowered_and_synced_before_a_cut() -> None:
    wire = Wire()
    wire["n1"].remembers(history(3, 3, 4), promised=5)
    wire["n2"].remembers(history(3, 3, 4), promised=5)
    wire["n3"].remembers(history(3, 3, 3, 3), promised=5, marked=4)
    wire.start()
    for _ in range(100):
        wire["n3"].stop_before = "journal"
        wire.run(100)
        if wire["n3"].is_stopped:
            break
    assert wire["n3"].doing.cut_after == 2
    assert wire["n3"].store.last().seq == 4
    assert wire["n3"].promise.mark == wire["n3"].store.position(2)
    wire["n3"].crash()
    wire["n3"].start()
    wire.run(6000)
    assert wire.writable()
    assert len(wire.ends()) == 1


def test_the_stored_commit_position_never_leads_what_every_disk_holds(wire: Wire) -> None:
    for ticket in range(1, 6):
        wire["n1"].propose(ticket)
        for name in wire.names:
            hint = wire[name].store.committed_hint()
            assert all(node.store.last().seq >= hint for node in wire.nodes.values())
        wire.deliver(Append)
        for name in wire.names:
            hint = wire[name].store.committed_hint()
            assert all(node.store.last().seq >= hint for node in wire.nodes.values())
        wire.deliver_all()
    assert wire["n1"].store.committed_hint() > 1
