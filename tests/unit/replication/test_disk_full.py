"""A full disk: nothing is claimed that was not written, the node leaves its chain, stays useful, and
comes back when there is room."""

from __future__ import annotations

import pytest

from tests.unit.replication.wire import TIMING, Wire, history
from tvault.replication.account import Condition
from tvault.replication.messages import (
    Ack,
    Append,
    Confirm,
    HeartbeatReturn,
    Learn,
    Message,
    NewView,
    Prepare,
    PreVote,
    Promised,
)


@pytest.fixture
def wire() -> Wire:
    return Wire().founded()


def fills(wire: Wire, name: str) -> int:
    """The disk of this node fills with the write that the head orders now (its ticket is 1)."""
    wire[name].has_room = False
    seq = wire["n1"].propose(1)
    wire.deliver_all()
    assert wire[name].state.condition is Condition.FULL
    return seq


@pytest.mark.parametrize("name", ["n2", "n3"])
def test_what_was_not_written_is_not_acknowledged(wire: Wire, name: str) -> None:
    above = {"n2": "n1", "n3": "n2"}[name]
    wire[name].has_room = False
    seq = wire["n1"].propose(1)
    claims = []
    for _ in range(20):
        if not wire.deliver():
            break
        claims += wire.sent(Ack, HeartbeatReturn, sender=name, to=above)
    assert [claim for claim in claims if getattr(claim, "held", 0) >= seq] == []
    assert wire[name].store.last().seq == wire[name].state.last == seq - 1
    written = wire[name].written
    assert written is not None
    assert written.mark.seq < seq


@pytest.mark.parametrize("name", ["n2", "n3"])
def test_a_full_member_leaves_its_chain_and_the_rest_writes_on(wire: Wire, name: str) -> None:
    fills(wire, name)
    rest = [other for other in wire.names if other != name]
    assert not wire[name].is_member
    took = wire.until(lambda: wire.is_chain_of(*rest))
    assert took <= 2 * TIMING.heartbeat_ms, "nobody waits for its silence"
    wire.run(100)
    assert wire["n1"].answer(1) == "committed"
    assert wire[name].state.condition is Condition.FULL


def test_a_full_head_leaves_its_chain_and_says_that_the_outcome_is_unknown(wire: Wire) -> None:
    fills(wire, "n1")
    assert wire["n1"].answer(1) == "lost"
    assert not wire["n1"].replica.may_propose()
    wire.until(lambda: wire.is_chain_of("n2", "n3"), within=TIMING.suspect_ms + 200)


def test_a_full_head_has_sent_on_what_it_could_not_write_and_takes_it_over_again_later(
    wire: Wire,
) -> None:
    seq = fills(wire, "n1")
    wire.until(lambda: wire.is_chain_of("n2", "n3"))
    ordered = wire["n2"].store.position(seq)
    assert ordered is not None
    wire["n1"].finds_room()
    wire.until(wire.is_whole)
    assert wire["n1"].store.position(seq) == ordered


def test_people_are_told_once_that_the_disk_is_full_and_once_that_there_is_room(wire: Wire) -> None:
    fills(wire, "n3")
    wire.run(3000)
    (notice,) = wire["n3"].told("disk-full")
    assert notice.details == {"last": 1}
    wire["n3"].finds_room()
    wire["n3"].finds_room()
    assert len(wire["n3"].told("disk-room")) == 1
    wire["n2"].finds_room()
    assert wire["n2"].told("disk-room") == []


def test_a_full_node_copies_nothing_and_is_taken_in_when_there_is_room(wire: Wire) -> None:
    fills(wire, "n3")
    wire.until(lambda: wire.is_chain_of("n1", "n2"))
    wire["n1"].propose(2)
    for _ in range(40):
        wire.tick()
        assert wire.sent(Learn, sender="n3") == []
        wire.deliver_all()
    assert wire.is_chain_of("n1", "n2")
    wire["n3"].finds_room()
    wire.until(wire.is_whole, within=1000)
    assert len(wire.ends()) == 1


def test_a_node_that_was_told_too_early_that_there_is_room_is_full_again(wire: Wire) -> None:
    fills(wire, "n3")
    wire.until(lambda: wire.is_chain_of("n1", "n2"))
    wire["n3"].replica.disk_has_room()
    wire.run(3000)
    assert wire["n3"].state.condition is Condition.FULL
    assert wire.is_chain_of("n1", "n2")
    wire["n3"].finds_room()
    wire.until(wire.is_whole, within=1000)


def test_a_single_node_with_a_full_disk_takes_writes_again_when_there_is_room() -> None:
    wire = Wire(1).founded()
    wire["n1"].has_room = False
    wire["n1"].propose(1)
    wire.run(3000)
    assert wire["n1"].answer(1) == "lost"
    assert not wire["n1"].state.can_write
    wire["n1"].finds_room()
    wire.until(wire.is_whole)
    wire["n1"].propose(2)
    assert wire["n1"].answer(2) == "committed"


def test_with_too_many_full_disks_nothing_is_written_until_one_has_room(wire: Wire) -> None:
    fills(wire, "n3")
    wire["n2"].has_room = False
    wire.run(5000)
    assert not any(node.state.can_write for node in wire.nodes.values())
    wire["n2"].finds_room()
    wire.until(lambda: wire.is_chain_of("n1", "n2"))
    wire["n3"].finds_room()
    wire.until(wire.is_whole)


# What it is still good for.


def test_a_promise_is_given_though_the_write_beside_it_failed(wire: Wire) -> None:
    """It was synced; only its answer is lost, and comes when it is asked for again."""
    wire["n2"].has_room = False
    wire["n1"].propose(1)
    wire["n2"].stop_before = "promise"
    wire.deliver(Append)
    assert wire["n2"].state.condition is Condition.FULL
    wire["n2"].go_on()
    wire.say("n3", "n2", 5, Prepare(wire["n3"].store.last()))
    assert wire["n2"].promise.promised == 5
    assert len(wire.sent(Promised, sender="n2", to="n3")) == 1


def test_a_full_node_confirms_reads(wire: Wire) -> None:
    fills(wire, "n3")
    wire.until(lambda: wire.is_chain_of("n1", "n2"))
    wire["n2"].confirm(7)
    wire.keep(Confirm, to="n1")
    wire.deliver_all()
    assert wire["n2"].answer(7) == "confirmed"


def test_a_full_node_asks_a_member_how_far_it_must_know_the_journal(wire: Wire) -> None:
    fills(wire, "n3")
    wire.until(lambda: wire.is_chain_of("n1", "n2"))
    wire.run(200)
    wire["n3"].ask_index(7)
    wire.deliver_all()
    assert wire["n3"].index(7) == wire["n2"].store.last().seq


def test_a_node_that_has_become_full_enters_no_view_that_names_it(wire: Wire) -> None:
    fills(wire, "n3")
    wire.say("n1", "n3", 6, NewView(wire.view(6, "n1", 2)))
    assert wire["n3"].state.role == "outside"


# What it holds.


def outsider_that_must_cut() -> Wire:
    """n3 holds a dead suffix of two entries, and is about to copy what is committed in their place."""
    sound = history(3, 3, 4, 4, 4)
    wire = Wire()
    for name in ("n1", "n2"):
        wire[name].remembers(sound, promised=5)
    wire["n3"].remembers(history(3, 3, 3, 3), promised=5, marked=4)
    wire.start("n1", "n2")
    wire.until(lambda: wire.is_chain_of("n1", "n2"))
    wire["n3"].has_room = False
    wire.start("n3")
    wire.until(lambda: wire["n3"].state.condition is Condition.FULL)
    return wire


def test_what_is_known_as_committed_never_leads_the_disk_after_a_cut_that_was_not_written() -> None:
    wire = outsider_that_must_cut()
    assert wire["n3"].store.last() == history(3, 3, 3, 3)[-1].position, "nothing was cut"
    committed = wire["n3"].state.committed
    assert committed <= 2
    assert wire["n3"].store.position(committed) == wire["n1"].store.position(committed)


def test_after_a_cut_that_was_not_written_the_node_catches_up_as_any_other() -> None:
    wire = outsider_that_must_cut()
    wire["n3"].finds_room()
    wire.until(wire.is_whole)
    assert len(wire.ends()) == 1
    assert wire["n3"].store.position(5) == history(3, 3, 4, 4, 4)[-1].position


def test_entries_that_were_not_written_are_not_sent_on_or_taught_any_more(wire: Wire) -> None:
    """They are still in the memory of the node when it is told that they are not on its disk."""
    seq = fills(wire, "n2")
    held = wire["n2"].part.memory.log.entries(0, 1 << 20)
    assert [entry.seq for entry in held] == list(range(1, seq))


def test_a_view_whose_barrier_could_not_be_written_is_announced_to_nobody() -> None:
    wire = Wire().with_past(3, n1=history(3), n2=history(3), n3=history(3))
    wire["n1"].has_room = False
    heard: list[Message] = []
    for _ in range(20):
        wire.tick("n1")
        for _ in range(6):
            heard += wire.sent(NewView, PreVote, sender="n1")
            wire.deliver()
    assert wire["n1"].state.condition is Condition.FULL
    assert [message for message in heard if isinstance(message, NewView)] == []
    assert len(heard) == 2, "and it asks for no other one"
    assert wire["n1"].store.last().seq == 1
