"""When an entry counts as committed, and how journals that differ become one."""

from __future__ import annotations

import pytest

from tests.unit.replication.wire import Flying, Wire, history, rows
from tvault.model.commands import EpochStart, Rows, encode_rows
from tvault.replication.chain import APPEND_BYTES, WINDOW_BYTES
from tvault.replication.entry import Kind, follow
from tvault.replication.memory import ProtocolViolation
from tvault.replication.messages import Ack, Append, Heartbeat, HeartbeatReturn
from tvault.replication.replica import WINDOW_ENTRIES


@pytest.fixture
def wire() -> Wire:
    return Wire().founded()


def wide_rows(number: int) -> bytes:
    """The body of an entry of almost 1 MiB."""
    return encode_rows(Rows(epochs=(EpochStart("o" * 1_000_000, number),)))


def until_role(wire: Wire, name: str, role: str) -> None:
    for _ in range(200):
        if wire[name].state.role == role:
            return
        wire.run(50)
    raise AssertionError(f"{name} never became {role}")


def test_an_old_entry_on_every_disk_is_not_committed_before_the_barrier_of_the_new_view() -> None:
    old = history(3, 3)
    wire = Wire().with_past(3, n1=old, n2=old, n3=old)
    wire.loses = lambda item: item.is_from("n2", "n3", (Append,))
    until_role(wire, "n3", "tail")
    wire.run(300)
    session = wire["n3"].chain._session
    wire.say("n2", "n3", 6, Append(session, old[-1].position, (), 0))
    wire.deliver_all()
    acked = wire["n1"].chain._down.acked
    assert acked == 2, "every disk is known to hold the old entries"
    assert [node.state.committed for node in wire.nodes.values()] == [0, 0, 0]
    wire.loses = lambda _: False
    wire.run(1000)
    assert [node.state.committed for node in wire.nodes.values()] == [3, 3, 3]


def test_every_member_learns_what_is_committed_though_no_write_follows(wire: Wire) -> None:
    seq = wire["n1"].propose(1)
    wire.deliver_all()
    assert [node.state.committed for node in wire.nodes.values()] == [seq] * 3


def test_a_member_forwards_nothing_before_it_durably_holds_the_barrier() -> None:
    dead = history(3, 3, 3, 3)
    sound = history(3, 3, 4)
    wire = Wire().with_past(5, n1=sound, n2=dead, n3=history(3))
    for _ in range(200):
        wire["n2"].stop_before = "journal"
        wire.run(50)
        if wire["n2"].is_stopped:
            break
    assert wire["n2"].doing.cut_after == 2
    wire.run(300)
    assert wire.sent(Append, sender="n2") == []
    assert wire["n3"].store.last().seq == 1
    wire["n2"].go_on()
    wire.run(1000)
    assert wire.writable()
    assert len(wire.ends()) == 1
    assert wire["n3"].store.position(3) == sound[-1].position


def test_a_member_cuts_only_from_the_first_entry_that_differs() -> None:
    wire = Wire().with_past(
        5, n1=history(3, 3, 3, 4), n2=history(3, 3, 3, 4), n3=history(3, 3, 3, 3, 3, 3)
    )
    for _ in range(200):
        wire["n3"].stop_before = "journal"
        wire.run(50)
        if wire["n3"].is_stopped:
            break
    assert wire["n3"].doing.cut_after == 3
    wire["n3"].go_on()
    wire.run(1000)
    assert len(wire.ends()) == 1


def test_a_member_keeps_a_suffix_that_the_head_has_too() -> None:
    whole = history(3, 3, 3, 4, 4)
    wire = Wire().with_past(5, n1=whole, n2=whole, n3=history(3, 3))
    wire["n3"].stop_before = "journal"
    wire.run(3000)
    assert wire["n3"].doing.cut_after is None
    assert wire["n3"].doing.entries[0].seq == 3


def test_a_member_that_would_have_to_undo_a_committed_entry_stops_and_keeps_its_journal() -> None:
    wire = Wire()
    wire["n1"].remembers(history(3, 3, 4), promised=5)
    wire["n2"].remembers(history(3, 3, 4), promised=5)
    wire["n3"].remembers(history(3, 3, 3), promised=5, committed=3)
    wire.start()
    with pytest.raises(ProtocolViolation):
        wire.run(5000)
    assert wire["n3"].store.position(3) == history(3, 3, 3)[-1].position


def test_an_entry_that_does_not_continue_the_digest_is_not_taken(wire: Wire) -> None:
    last = wire["n2"].store.last()
    session = wire["n2"].chain._session
    other = follow(history(3, 3)[-1].position, 3, Kind.ROWS, rows(77))
    forged = type(other)(last.seq + 1, 3, Kind.ROWS, rows(77), other.digest)
    wire.say("n1", "n2", 3, Append(session, last, (forged,), 0))
    assert wire["n2"].store.last() == last
    wire["n1"].propose(1)
    wire.run(500)
    assert wire["n1"].answer(1) == "committed"


def test_an_entry_of_a_view_that_is_yet_to_come_is_not_taken(wire: Wire) -> None:
    last = wire["n2"].store.last()
    session = wire["n2"].chain._session
    early = follow(last, 6, Kind.ROWS, rows(77))
    wire.say("n1", "n2", 3, Append(session, last, (early,), 0))
    assert wire["n2"].store.last() == last


def test_a_commit_position_beyond_what_a_member_holds_commits_only_what_it_holds(wire: Wire) -> None:
    session = wire["n3"].chain._session
    wire.say("n2", "n3", 3, Heartbeat(9, session, 1, 50))
    assert wire["n3"].state.committed == 1


def test_what_is_committed_says_nothing_about_a_suffix_not_yet_compared_with_the_head() -> None:
    wire = Wire().with_past(5, n1=history(3, 3, 4), n2=history(3, 3, 4), n3=history(3, 3, 3))
    wire.loses = lambda item: item.is_from("n2", "n3", (Append,))
    until_role(wire, "n3", "middle")
    session = wire["n3"].chain._session
    wire.say("n2", "n3", wire["n3"].state.view, Heartbeat(9, session, 0, 3))
    assert wire["n3"].state.committed == 0
    wire.loses = lambda _: False
    wire.run(1000)
    assert wire.writable()


def test_writes_ahead_of_the_commit_are_bounded(wire: Wire) -> None:
    wire["n3"].stop_before = "journal"
    for ticket in range(WINDOW_ENTRIES):
        assert wire["n1"].replica.may_propose()
        wire["n1"].propose(ticket)
        wire.deliver_all()
    assert not wire["n1"].replica.may_propose()
    wire["n3"].go_on()
    wire.deliver_all()
    assert wire["n1"].replica.may_propose()
    assert all(wire["n1"].answer(ticket) == "committed" for ticket in range(WINDOW_ENTRIES))


def test_bytes_on_their_way_to_a_successor_are_bounded(wire: Wire) -> None:
    wire.keep()
    for ticket in range(WINDOW_ENTRIES):
        wire["n1"].propose(ticket, wide_rows(ticket))
    flying = sum(
        len(entry.body)
        for message in wire.sent(Append, to="n2")
        if isinstance(message, Append)
        for entry in message.entries
    )
    assert WINDOW_BYTES <= flying < WINDOW_BYTES + APPEND_BYTES
    wire.deliver_all()
    assert len(wire.ends()) == 1


@pytest.mark.parametrize("kind", [Append, Ack, Heartbeat, HeartbeatReturn])
@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_lost_message_delays_a_write_but_does_not_end_the_view(
    wire: Wire, kind: type, lost: int
) -> None:
    left = [lost]

    def loses_some(item: Flying) -> bool:
        if left[0] and isinstance(item.envelope.message, kind):
            left[0] -= 1
            return True
        return False

    wire.loses = loses_some
    for ticket in range(4):
        wire["n1"].propose(ticket)
        wire.run(100)
    wire.run(700)
    assert left == [0]
    assert [wire["n1"].answer(ticket) for ticket in range(4)] == ["committed"] * 4
    assert {node.state.view for node in wire.nodes.values()} == {3}
