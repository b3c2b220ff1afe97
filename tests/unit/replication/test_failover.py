"""Nodes die, pause, are cut off and come back: the rest goes on within a bounded time, and nothing that
was acknowledged is lost."""

from __future__ import annotations

from itertools import combinations

import pytest

from tests.unit.replication.wire import TIMING, Flying, Wire
from tvault.replication.messages import Heartbeat, Prepare, PreVote, Superseded
from tvault.replication.view import majority

NOTICED_MS = 200
"""With a hint: nobody waits for one that is known to be gone."""

SUSPECTED_MS = TIMING.suspect_ms + NOTICED_MS
"""Without: the silence comes first."""

PLACES = {3: ("n1", "n2", "n3"), 5: ("n1", "n3", "n5")}


def write(wire: Wire, ticket: int) -> int:
    """The head orders something, and it is acknowledged in a moment."""
    head = wire.head()
    seq = head.propose(ticket)
    wire.deliver_all()
    assert head.answer(ticket) == "committed"
    return seq


def others(wire: Wire, *names: str) -> list[str]:
    return [name for name in wire.names if name not in names]


def cases() -> list[tuple[int, str]]:
    return [(nodes, name) for nodes, names in PLACES.items() for name in names]


@pytest.mark.parametrize("hints", [True, False])
@pytest.mark.parametrize(("nodes", "name"), cases())
def test_when_a_node_dies_the_rest_goes_on_in_a_bounded_time_and_it_comes_back_by_itself(
    nodes: int, name: str, *, hints: bool
) -> None:
    wire = Wire(nodes).founded()
    kept = write(wire, 1)
    position = wire["n1"].store.position(kept)
    wire.hints = hints
    wire[name].crash()
    took = wire.until(lambda: wire.is_chain_of(*others(wire, name)))
    assert took <= (NOTICED_MS if hints else SUSPECTED_MS)
    write(wire, 2)
    wire[name].start()
    wire.until(wire.is_whole, within=2000)
    write(wire, 3)
    assert len(wire.ends()) == 1
    assert wire[name].store.position(kept) == position


@pytest.mark.parametrize("hints", [True, False])
@pytest.mark.parametrize("names", list(combinations(("n1", "n2", "n4", "n5"), 2)))
def test_two_of_five_may_die_at_once(names: tuple[str, str], *, hints: bool) -> None:
    wire = Wire(5).founded()
    write(wire, 1)
    wire.hints = hints
    for name in names:
        wire[name].crash()
    took = wire.until(lambda: wire.is_chain_of(*others(wire, *names)))
    assert took <= (NOTICED_MS if hints else SUSPECTED_MS)
    write(wire, 2)
    wire.start(*names)
    wire.until(wire.is_whole, within=4000)
    assert len(wire.ends()) == 1


@pytest.mark.parametrize("name", ["n1", "n2", "n3"])
def test_who_is_left_alone_takes_no_write_and_brings_what_was_acknowledged_into_the_next_chain(
    name: str,
) -> None:
    """The node that comes back first is not the one that held it, too."""
    wire = Wire().founded()
    wire.hints = True
    first, alone = others(wire, name)
    wire[first].crash()
    wire.until(lambda: wire.is_chain_of(name, alone))
    seq = write(wire, 1)
    position = wire[alone].store.position(seq)
    wire[name].crash()
    wire.run(5000)
    assert not wire[alone].state.can_write
    assert not wire[alone].replica.heads_live_chain()
    wire[first].start()
    wire.until(lambda: wire.is_chain_of(first, alone))
    assert wire[first].store.position(seq) == position
    wire[name].start()
    wire.until(wire.is_whole)
    assert len(wire.ends()) == 1


@pytest.mark.parametrize("nodes", [1, 3, 5])
def test_when_all_die_at_once_all_come_back_with_what_was_acknowledged(nodes: int) -> None:
    """Of three and five, the first was away, and would be the first to ask for a view."""
    wire = Wire(nodes).founded()
    wire.hints = True
    if nodes > 1:
        wire["n1"].crash()
        wire.until(lambda: wire.is_chain_of(*others(wire, "n1")))
    seq = write(wire, 1)
    position = wire.head().store.position(seq)
    for name in wire.names:
        wire[name].crash()
    wire.start("n1")
    wire.tick()
    wire.start(*others(wire, "n1"))
    wire.deliver_all()
    wire.until(wire.is_whole)
    assert all(node.store.position(seq) == position for node in wire.nodes.values())


@pytest.mark.parametrize("killed", ["early", "promise", "journal", "mark", "late", "answers"])
@pytest.mark.parametrize("name", ["n1", "n2", "n3"])
def test_a_node_that_dies_before_any_step_of_a_write_loses_nothing_that_was_acknowledged(
    name: str, killed: str
) -> None:
    wire = Wire().founded()
    wire.hints = True
    write(wire, 1)
    wire[name].stop_before = killed
    for ticket in range(2, 6):
        wire.deliver_all()
        if wire["n1"].replica.may_propose():
            wire["n1"].propose(ticket)
    wire.keep()
    acknowledged = [answer.seq for answer in wire["n1"].answers if answer.result == "committed"]
    positions = {seq: wire["n1"].store.position(seq) for seq in acknowledged}
    wire[name].crash()
    wire.until(lambda: wire.is_chain_of(*others(wire, name)))
    wire[name].start()
    wire.until(wire.is_whole)
    for seq, position in positions.items():
        assert all(node.store.position(seq) == position for node in wire.nodes.values())
    assert len(wire.ends()) == 1


# Back before anybody suspects.


@pytest.mark.parametrize("name", ["n2", "n3"])
def test_the_others_notice_a_restarted_head_at_once(name: str) -> None:
    """It orders no more in its view, and whoever waits for its silence would wait in vain."""
    wire = Wire().founded()
    wire.loses = lambda item: (
        isinstance(item.envelope.message, PreVote) and not item.is_from(name, None, ())
    )
    wire["n1"].restart()
    took = wire.until(wire.is_whole)
    assert took < TIMING.suspect_ms
    assert wire.head().name == name


def test_a_head_that_lost_its_part_in_its_view_may_form_the_next_at_once() -> None:
    """The members may think their chain alive: their head knows better."""
    wire = Wire().founded()
    wire.say("n2", "n1", 3, Superseded(5))
    assert wire.members == {"n2", "n3"}
    took = wire.until(wire.is_whole)
    assert took < TIMING.suspect_ms
    assert wire.head().name == "n1"


# Pauses.


@pytest.mark.parametrize("name", ["n1", "n2", "n3"])
def test_a_paused_node_is_left_out_and_disturbs_nobody_when_it_goes_on(name: str) -> None:
    wire = Wire().founded()
    write(wire, 1)
    wire[name].is_paused = True
    wire.run(4000)
    rest = others(wire, name)
    assert {wire[other].state.view for other in rest} == {wire.head().state.view}
    seq = write(wire, 2)
    assert wire.members >= set(rest)
    asked: list[str] = []

    def notes(item: Flying) -> bool:
        if isinstance(item.envelope.message, PreVote | Prepare):
            asked.append(item.envelope.sender)
        return False

    wire.loses = notes
    wire[name].go_on()
    wire.until(wire.is_whole)
    wire.run(1000)
    assert name not in asked, "it asks for no view"
    assert all(node.store.last().seq > seq for node in wire.nodes.values())
    assert len(wire.ends()) == 1


def test_what_a_paused_head_had_ordered_is_of_unknown_outcome_and_its_entry_goes() -> None:
    wire = Wire().founded()
    seq = write(wire, 1)
    wire["n1"].propose(2)
    wire.keep()
    wire["n1"].is_paused = True
    wire.run(4000)
    write(wire, 3)
    before = wire["n1"].store.position(seq + 1)
    wire["n1"].go_on()
    wire.until(wire.is_whole)
    assert wire["n1"].answer(2) == "lost"
    assert wire["n1"].store.position(seq + 1) == wire["n2"].store.position(seq + 1) != before


def test_when_all_stand_still_at_once_nobody_suspects_anybody() -> None:
    wire = Wire().founded()
    wire.now += 60_000
    wire.run(3000)
    assert wire.is_whole()
    assert wire["n1"].state.view == 3
    assert write(wire, 1)


def test_a_node_that_stood_still_itself_does_not_take_the_others_for_silent() -> None:
    wire = Wire().founded()
    wire.keep()
    wire.tick("n1", after=5000)
    assert wire["n1"].replica.heads_live_chain()
    assert wire.sent(Prepare) == []


def test_a_node_that_ticks_on_and_hears_nothing_does_not_excuse_the_others() -> None:
    wire = Wire().founded()
    for _ in range(TIMING.suspect_ms // 50 + 3):
        wire.keep()
        wire.tick("n1")
    assert not wire["n1"].replica.heads_live_chain()


# Cuts.


def links() -> list[tuple[list[str], list[str]]]:
    one_way = [([one], [other]) for one in PLACES[3] for other in PLACES[3] if one != other]
    mute = [([one], [other for other in PLACES[3] if other != one]) for one in PLACES[3]]
    deaf = [(rest, one) for one, rest in mute]
    return one_way + mute + deaf


def settles(wire: Wire) -> None:
    """A majority writes soon, and no view comes or goes any more."""
    wire.run(6000)
    head = wire.head()
    view = head.state.view
    assert len(head.state.chain) >= majority(len(wire.names))
    write(wire, 100)
    wire.run(6000)
    assert wire.head().state.view == view
    write(wire, 101)


@pytest.mark.parametrize(("senders", "to"), links())
def test_under_a_cut_one_way_a_majority_writes_again_without_flapping(
    senders: list[str], to: list[str]
) -> None:
    wire = Wire().founded()
    wire.cut(senders, to)
    settles(wire)
    wire.heal()
    wire.until(wire.is_whole)
    assert len(wire.ends()) == 1


@pytest.mark.parametrize("sides", list(combinations(PLACES[3], 1)) + list(combinations(PLACES[3], 2)))
def test_under_a_cut_both_ways_the_majority_writes_again_without_flapping(sides: tuple[str]) -> None:
    """One name: that node is cut off; two: the link between them."""
    wire = Wire().founded()
    if len(sides) == 1:
        wire.isolate(*sides)
    else:
        one, other = sides
        wire.split([one], [other])
    settles(wire)
    wire.heal()
    wire.until(wire.is_whole)
    assert len(wire.ends()) == 1


@pytest.mark.parametrize("side", list(combinations(("n1", "n2", "n3", "n4", "n5"), 2)))
def test_of_five_the_three_on_one_side_of_a_cut_write_and_the_two_on_the_other_do_not(
    side: tuple[str, str],
) -> None:
    wire = Wire(5).founded()
    rest = others(wire, *side)
    wire.split(side, rest)
    wire.run(4000)
    assert wire.head().name in rest
    write(wire, 1)
    for name in side:
        assert not wire[name].state.can_write
        assert not wire[name].replica.may_propose()
    wire.heal()
    wire.until(wire.is_whole)
    assert len(wire.ends()) == 1


@pytest.mark.parametrize("name", ["n2", "n3"])
def test_a_node_that_was_cut_off_for_long_does_not_overthrow_the_chain_when_it_is_back(
    name: str,
) -> None:
    wire = Wire().founded()
    wire.isolate(name)
    wire.run(20_000)
    head, promised = wire.head().name, wire[name].promise.promised
    assert promised == 3, "without a majority that misses the chain, it asked for no promise"
    wire.heal()
    wire.until(wire.is_whole)
    wire.run(2000)
    assert wire.head().name == head


def test_a_link_that_carries_all_but_heartbeats_is_a_broken_link() -> None:
    wire = Wire().founded()
    wire.loses = lambda item: item.is_from("n2", "n3", (Heartbeat,))
    wire.run(2000)
    assert wire["n1"].state.view > 3
