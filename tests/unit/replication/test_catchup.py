"""Coming back: an outsider copies what is committed, cuts its own suffix where that differs, and says
when it lacks nothing."""

from __future__ import annotations

import pytest

from tests.unit.replication.wire import TIMING, Flying, Wire, history, rows
from tvault.model.commands import EpochStart, Rows, encode_rows
from tvault.replication.catchup import LEARN_BYTES
from tvault.replication.entry import ORIGIN, Entry, Kind, Position, follow
from tvault.replication.memory import ProtocolViolation
from tvault.replication.messages import (
    Ack,
    Append,
    Heartbeat,
    HeartbeatReturn,
    Learn,
    Learned,
    Prepare,
    Superseded,
)


@pytest.fixture
def wire() -> Wire:
    """n1 and n2 are a chain; n3 was away when an entry was committed, and is back, and hears of it."""
    wire = Wire().founded()
    wire.hints = True
    wire["n3"].crash()
    wire.until(lambda: wire.is_chain_of("n1", "n2"))
    write(wire, 1)
    wire.loses = lambda item: item.is_from(None, "n3", (Learned,))
    wire["n3"].start()
    wire.run(300)
    wire.loses = lambda _: False
    wire.keep()
    return wire


def write(wire: Wire, *tickets: int, body: bytes | None = None) -> int:
    """The head orders something, and it is committed; the last entry's `seq`."""
    for ticket in tickets:
        seq = wire.head().propose(ticket, body)
        wire.deliver_all()
    return seq


def learns(wire: Wire) -> Learn:
    """The question that n3 asks next, off the wire; nobody else notices that time passes."""
    for _ in range(40):
        asked = wire.keep(Learn, sender="n3")
        if asked:
            message = asked[0].envelope.message
            assert isinstance(message, Learn)
            return message
        wire.tick("n3")
        wire.keep(Learned)
    raise AssertionError("n3 asks for nothing")


def teaches(wire: Wire, name: str, question: Learn) -> list[Learned]:
    """What this node answers to n3."""
    wire.keep()
    wire.say("n3", name, 0, question)
    return [item for item in wire.sent(Learned, sender=name, to="n3") if isinstance(item, Learned)]


# What is taught.


def test_an_outsider_copies_what_it_missed_and_is_taken_in(wire: Wire) -> None:
    wire.loses = lambda item: isinstance(item.envelope.message, Prepare)
    wire.until(lambda: wire["n3"].state.committed == wire["n1"].state.committed, within=500)
    assert not wire["n3"].is_member
    assert len(wire.ends()) == 1
    wire.loses = lambda _: False
    wire.until(wire.is_whole)
    assert len(wire.ends()) == 1


def test_only_what_is_committed_is_taught(wire: Wire) -> None:
    question = learns(wire)
    seq = wire["n1"].propose(2)
    wire.deliver(Append)
    assert wire["n2"].store.last().seq == seq
    assert wire["n2"].state.committed == seq - 1
    for name in ("n1", "n2"):
        (learned,) = teaches(wire, name, question)
        assert [entry.seq for entry in learned.entries][-1] == seq - 1
        assert learned.committed == seq - 1


@pytest.mark.parametrize("name", ["n1", "n2", "n3"])
def test_nothing_is_taught_before_the_barrier_of_the_view_is_committed(name: str) -> None:
    """What a member counts as committed may be from before it took part, on any history."""
    wire = Wire()
    for each in wire.names:
        wire[each].remembers(history(3, 3), promised=3, committed=2)
    wire.start()
    wire.loses = lambda item: item.is_from("n3", "n2", (Ack, HeartbeatReturn))
    wire.until(lambda: all(node.is_member and node.state.readable for node in wire.nodes.values()))
    wire.keep()
    other = "n1" if name != "n1" else "n2"
    wire.say(other, name, 0, Learn(1, (ORIGIN,)))
    assert wire.sent(Learned) == []
    wire.loses = lambda _: False
    wire.run(500)
    wire.say(other, name, 0, Learn(1, (ORIGIN,)))
    assert len(wire.sent(Learned, sender=name)) == 1


def test_an_outsider_teaches_nothing(wire: Wire) -> None:
    wire.say("n1", "n3", 0, Learn(1, (ORIGIN,)))
    assert wire.sent(Learned) == []


def test_what_is_taught_follows_the_first_place_that_both_hold(wire: Wire) -> None:
    question = learns(wire)
    mine, held = wire["n3"].store.last(), wire["n1"].store.position(1)
    assert held is not None
    (learned,) = teaches(wire, "n1", question)
    assert learned.previous == mine
    strange = Position(1, 3, b"\x01" * 32)
    (learned,) = teaches(wire, "n1", Learn(question.round, (strange, ORIGIN)))
    assert learned.previous == ORIGIN
    (learned,) = teaches(wire, "n1", Learn(question.round, (strange, held, ORIGIN)))
    assert learned.previous == held


def test_a_common_place_above_what_the_teacher_knows_as_committed_is_not_taken_for_one(
    wire: Wire,
) -> None:
    """The learner would take the word for it that everything up to there is committed."""
    seq = wire["n1"].propose(2)
    wire.deliver(Append)
    end = wire["n2"].store.last()
    assert end.seq == seq == wire["n2"].state.committed + 1
    known = wire["n2"].store.position(seq - 1)
    assert known is not None
    (learned,) = teaches(wire, "n2", Learn(1, (end, known, ORIGIN)))
    assert learned.previous == known
    assert learned.committed == seq - 1


def test_a_learner_that_knows_more_than_its_teacher_is_taught_nothing_and_takes_no_harm(
    wire: Wire,
) -> None:
    """The word of the last commit is still under way to the teacher."""
    seq = wire["n1"].propose(2)
    wire.deliver(Append)
    wire.deliver(Ack)
    assert wire["n1"].state.committed == seq == wire["n2"].state.committed + 1
    (learned,) = teaches(wire, "n1", learns(wire))
    wire.say("n1", "n3", 6, learned)
    assert wire["n3"].state.committed == seq
    (learned,) = teaches(wire, "n2", learns(wire))
    assert learned.entries == ()
    wire.say("n2", "n3", 6, learned)
    assert wire["n3"].state.committed == wire["n3"].store.last().seq == seq


def test_a_long_way_is_copied_in_ranges_of_bounded_size() -> None:
    wire = Wire().founded()
    wire.hints = True
    wire["n3"].crash()
    wire.until(lambda: wire.is_chain_of("n1", "n2"))
    for number in range(10):
        write(wire, number, body=wide_rows(number))
    sizes: list[int] = []

    def notes(item: Flying) -> bool:
        if isinstance(item.envelope.message, Learned):
            sizes.append(sum(len(entry.body) for entry in item.envelope.message.entries))
        return False

    wire.loses = notes
    wire["n3"].start()
    wire.until(wire.is_whole)
    assert len(wire.ends()) == 1
    assert len([size for size in sizes if size]) >= 4
    assert max(sizes) <= LEARN_BYTES


def wide_rows(number: int) -> bytes:
    """The body of an entry of about 100 KB."""
    return encode_rows(Rows(epochs=(EpochStart("o" * 100_000, number),)))


# How it is asked.


def test_ranges_follow_each_other_without_a_pause() -> None:
    wire = Wire().founded()
    wire.hints = True
    wire["n3"].crash()
    wire.until(lambda: wire.is_chain_of("n1", "n2"))
    for number in range(10):
        write(wire, number, body=wide_rows(number))
    wire["n3"].start()
    wire.until(lambda: wire["n3"].state.committed > 1)
    wire.deliver_all()
    assert wire["n3"].state.committed >= 11


def test_an_answer_that_is_lost_is_asked_for_again_of_the_next_member(wire: Wire) -> None:
    first = wire["n3"].part
    asked: list[tuple[str, int]] = []

    def loses(item: Flying) -> bool:
        if isinstance(item.envelope.message, Learn):
            asked.append((item.to, item.envelope.message.round))
        return item.is_from(None, "n3", (Learned,))

    wire.loses = loses
    wire.run(3 * TIMING.round_ms)
    assert first.chain is None
    names = [name for name, _ in asked]
    assert names[:3] in (["n1", "n2", "n1"], ["n2", "n1", "n2"])
    assert len({number for _, number in asked}) == len(asked)
    assert len(asked) <= 4


def test_an_answer_that_comes_late_is_not_taken(wire: Wire) -> None:
    early = learns(wire)
    learned = teaches(wire, "n1", early)[0]
    later = learns(wire)
    assert later.round > early.round
    wire.say("n1", "n3", wire["n1"].state.view, learned)
    assert wire["n3"].store.last().seq == 1
    (learned,) = teaches(wire, "n1", later)
    wire.say("n1", "n3", wire["n1"].state.view, learned)
    assert wire["n3"].store.last().seq == wire["n1"].state.committed


def test_an_answer_that_comes_twice_is_taken_once(wire: Wire) -> None:
    (learned,) = teaches(wire, "n1", learns(wire))
    for _ in range(2):
        wire.say("n1", "n3", wire["n1"].state.view, learned)
    assert wire["n3"].store.last().seq == wire["n1"].state.committed


def test_when_its_teacher_dies_an_outsider_learns_from_another_one() -> None:
    wire = Wire(5).founded()
    wire.hints = True
    wire["n5"].crash()
    wire.until(lambda: wire.is_chain_of("n1", "n2", "n3", "n4"))
    write(wire, *range(5))
    wire["n5"].start()
    wire.loses = lambda item: item.is_from(None, "n5", (Learned,))
    wire.run(200)
    wire.hints = False
    wire["n4"].crash()
    wire.loses = lambda _: False
    end = wire["n1"].store.last()
    wire.until(lambda: wire["n5"].store.last() == end, within=TIMING.round_ms + 100)
    wire.until(lambda: wire.is_chain_of("n1", "n2", "n3", "n5"))


def test_two_outsiders_catch_up_beside_each_other() -> None:
    wire = Wire(5).founded()
    wire.hints = True
    wire["n2"].crash()
    wire["n4"].crash()
    wire.until(lambda: wire.is_chain_of("n1", "n3", "n5"))
    for number in range(8):
        write(wire, number, body=wide_rows(number))
    wire.start("n2", "n4")
    wire.until(wire.is_whole, within=2000)
    assert len(wire.ends()) == 1


def test_an_outsider_says_that_it_lacks_nothing_only_while_that_is_so(wire: Wire) -> None:
    """It cannot come in, since no chain of all could hold it."""
    assert not wire["n3"].state.caught_up
    wire.cut("n2", "n3")
    wire.loses = lambda item: isinstance(item.envelope.message, Learned)
    wire.run(1000)
    assert not wire["n3"].state.caught_up
    wire.loses = lambda _: False
    wire.run(500)
    assert wire["n3"].state.caught_up
    wire.loses = lambda item: isinstance(item.envelope.message, Learned)
    wire.run(2 * TIMING.round_ms)
    assert not wire["n3"].is_member
    assert not wire["n3"].state.caught_up


# What is taken.


def dead_suffix(marked: int = 0, committed: int = 0) -> Wire:
    """n1 and n2 go on from the third entry of view 4; n3 holds two entries of view 3 in its place, and
    starts with the next tick."""
    wire = Wire()
    for name in ("n1", "n2"):
        wire[name].remembers(history(3, 3, 4, 4, 4), promised=5)
    wire["n3"].remembers(history(3, 3, 3, 3), promised=5, marked=marked, committed=committed)
    wire.start("n1", "n2")
    wire.until(lambda: wire.is_chain_of("n1", "n2"))
    wire.start("n3")
    return wire


def test_an_outsider_cuts_its_own_suffix_where_it_differs() -> None:
    wire = dead_suffix()
    wire["n3"].stop_before = "journal"
    wire.until(lambda: wire["n3"].is_stopped)
    assert wire["n3"].doing.cut_after == 2
    assert not wire["n3"].is_member
    wire["n3"].go_on()
    wire.until(wire.is_whole)
    assert len(wire.ends()) == 1
    assert wire["n3"].told("truncate")


def test_the_mark_is_lowered_and_synced_before_an_outsider_cuts() -> None:
    wire = dead_suffix(marked=4)
    wire["n3"].stop_before = "journal"
    wire.until(lambda: wire["n3"].is_stopped)
    assert wire["n3"].promise.mark == wire["n3"].store.position(2)
    wire["n3"].restart()
    wire.until(wire.is_whole)
    assert len(wire.ends()) == 1


def test_an_outsider_that_would_have_to_undo_a_committed_entry_stops_and_keeps_its_journal() -> None:
    wire = dead_suffix(committed=3)
    with pytest.raises(ProtocolViolation):
        wire.run(2000)
    assert wire["n3"].store.last() == history(3, 3, 3, 3)[-1].position


def taken(wire: Wire, *entries: Entry, view: int | None = None, committed: int = 99) -> int:
    """Where the journal of n3 ends after it was taught these entries behind its own."""
    question = learns(wire)
    learned = Learned(question.round, wire["n3"].store.last(), entries, committed)
    wire.say("n1", "n3", wire["n1"].state.view if view is None else view, learned)
    return wire["n3"].store.last().seq


def test_an_entry_that_does_not_continue_the_journal_is_not_taken(wire: Wire) -> None:
    end = wire["n3"].store.last()
    sound = follow(end, 3, Kind.ROWS, rows(77))
    forged = type(sound)(2, 3, Kind.ROWS, rows(78), sound.digest)
    assert taken(wire, forged) == 1
    assert taken(wire, follow(sound.position, 3, Kind.ROWS, rows(79))) == 1, "a gap"
    assert taken(wire, follow(end, 2, Kind.ROWS, rows(77))) == 1, "an earlier view"
    later = wire["n1"].state.view + 1
    assert taken(wire, follow(end, later, Kind.ROWS, rows(77))) == 1, "a later view than its teacher's"
    assert taken(wire, sound) == 2


def test_no_more_is_known_as_committed_than_was_compared(wire: Wire) -> None:
    end = wire["n3"].store.last()
    assert taken(wire, follow(end, 3, Kind.ROWS, rows(77)), committed=50) == 2
    assert wire["n3"].state.committed == 2
    assert not wire["n3"].state.caught_up


def test_who_has_learned_from_a_view_acts_no_more_for_an_earlier_one(wire: Wire) -> None:
    """Else what it has cut may be asked of it again."""
    taken(wire, view=8)
    assert wire["n3"].promise.promised == 8
    wire.say("n1", "n3", 7, Heartbeat(1, 1, 1, 1))
    assert len(wire.sent(Superseded, sender="n3")) == 1


def test_an_answer_for_a_place_that_was_cut_meanwhile_is_not_taken(wire: Wire) -> None:
    question = learns(wire)
    assert wire["n3"].state.committed == 0
    strange = Position(1, 3, b"\x01" * 32)
    wire.say("n1", "n3", 6, Learned(question.round, strange, (), 1))
    assert wire["n3"].state.committed == 0
    assert not wire["n3"].state.caught_up
    question = learns(wire)
    wire.say("n1", "n3", 6, Learned(question.round, wire["n3"].store.last(), (), 1))
    assert wire["n3"].state.committed == 1


def test_what_is_committed_says_nothing_about_a_suffix_not_yet_compared() -> None:
    wire = dead_suffix()
    wire.loses = lambda item: item.is_from(None, "n3", (Learned,))
    wire.run(300)
    question = learns(wire)
    both = wire["n1"].store.position(2)
    assert both is not None
    wire.say("n1", "n3", 6, Learned(question.round, both, (), 5))
    assert wire["n3"].state.committed == 2
    assert not wire["n3"].state.caught_up
