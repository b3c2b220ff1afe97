"""What a node hears of the others: which chain is live, who is there, who is gone."""

from __future__ import annotations

import pytest

from tests.unit.replication.wire import TIMING, Wire
from tvault.replication.account import Account, Condition
from tvault.replication.log import Log
from tvault.replication.memory import Memory
from tvault.replication.messages import Envelope, Part, Presence
from tvault.replication.presence import Peers
from tvault.replication.promise import KnownLife, Promise, Standing
from tvault.replication.view import Member, View
from tvault.store.memory import MemoryStore

NAMES = ("n1", "n2", "n3", "n4", "n5")
NOW = 100_000
LATELY_MS = TIMING.suspect_ms - 2 * TIMING.heartbeat_ms


class Ear:
    """What n5 hears."""

    def __init__(self) -> None:
        lives = {name: KnownLife(name + "-a", 1, name + "-a") for name in NAMES[:-1]}
        promise = Promise(
            cluster="c",
            ensemble=NAMES,
            node="n5",
            keys="key",
            incarnation="n5-a",
            standing=Standing.VOTER,
            lives=lives,
        )
        self.memory = Memory(promise, Log(MemoryStore(), 0), TIMING)
        self.peers = Peers(self.memory)

    def hears(
        self,
        name: str,
        part: Part | None = None,
        *,
        at: int = NOW,
        hears: tuple[str, ...] = NAMES,
        incarnation: str = "a",
    ) -> None:
        """A presence of this node arrives."""
        account = Account(Standing.VOTER, Condition.READY, self.memory.log.end, hears)
        presence = Presence(account, 3, part, 0, caught_up=False)
        life = f"{name}-{incarnation}"
        envelope = Envelope(name, life, 1, life, 0, presence)
        for each in self.peers.admit(envelope, at):
            self.peers.on_presence(Member(each.sender, each.incarnation), presence, at)

    def live(self, now: int = NOW) -> int | None:
        """The number of the live view, None when there is none."""
        view = self.peers.live_view(now)
        return None if view is None else view.number


def part(number: int, *chain: str, alive: bool = True, is_open: bool = True, flows: bool = True) -> Part:
    """A part in the view of these nodes."""
    members = tuple(Member(name, f"{name}-a") for name in chain)
    return Part(View(number, members, 1), alive, is_open, flows)


@pytest.fixture
def ear() -> Ear:
    return Ear()


# The live chain.


def test_a_view_is_live_when_a_member_says_so(ear: Ear) -> None:
    assert ear.live() is None
    ear.hears("n1")
    assert ear.live() is None
    ear.hears("n2", part(3, "n1", "n2", "n3"))
    assert ear.live() == 3


def test_a_view_of_which_a_member_says_that_it_is_not_is_not_live(ear: Ear) -> None:
    ear.hears("n2", part(3, "n1", "n2", "n3", alive=False))
    assert ear.live() is None


def test_the_newest_of_several_live_views_is_the_one(ear: Ear) -> None:
    ear.hears("n1", part(8, "n1", "n2", "n3"))
    ear.hears("n2", part(3, "n2", "n3", "n4"))
    assert ear.live() == 8
    ear.hears("n1", part(8, "n1", "n2", "n3", alive=False))
    assert ear.live() == 3
    ear.hears("n4", part(9, "n4", "n2", "n3"))
    assert ear.live() == 9


def test_what_a_member_said_is_forgotten_when_it_falls_silent(ear: Ear) -> None:
    ear.hears("n2", part(3, "n1", "n2", "n3"))
    assert ear.live(NOW + TIMING.suspect_ms) == 3
    assert ear.live(NOW + TIMING.suspect_ms + 1) is None


def test_a_view_whose_head_is_gone_is_not_live_whatever_its_members_say(ear: Ear) -> None:
    ear.hears("n2", part(3, "n1", "n2", "n3"))
    ear.peers.unreachable("n3")
    assert ear.live() == 3
    ear.peers.unreachable("n1")
    assert ear.live() is None


def test_a_view_whose_head_lives_as_another_incarnation_is_not_live(ear: Ear) -> None:
    ear.hears("n2", part(3, "n1", "n2", "n3"))
    known = ear.memory.promise.lives["n1"]
    reborn = KnownLife("n1-b", 1, "n1-b", (known.incarnation,))
    ear.memory.remember(lives={**ear.memory.promise.lives, "n1": reborn})
    assert ear.live() is None


def test_a_view_that_this_node_headed_is_not_live(ear: Ear) -> None:
    """It orders in it no more."""
    ear.hears("n2", part(4, "n5", "n1", "n2"))
    assert ear.live() is None


def test_what_a_node_said_that_is_gone_counts_for_nothing(ear: Ear) -> None:
    ear.hears("n2", part(3, "n1", "n2", "n3"))
    ear.peers.unreachable("n2")
    assert ear.live() is None


# Who is there.


def test_a_node_is_heard_for_less_time_than_makes_a_chain_suspect(ear: Ear) -> None:
    """A ballot would else wait for whom the chain was broken by."""
    ear.hears("n2")
    assert ear.peers.hears(NOW + LATELY_MS) == ("n2",)
    assert ear.peers.hears(NOW + LATELY_MS + 1) == ()


def test_those_that_are_heard_are_told_in_the_order_of_the_ensemble(ear: Ear) -> None:
    for name in ("n4", "n1", "n3"):
        ear.hears(name)
    assert ear.peers.hears(NOW) == ("n1", "n3", "n4")


def test_a_node_whose_port_refuses_is_gone_until_it_is_heard_again(ear: Ear) -> None:
    member = Member("n2", "n2-a")
    ear.hears("n2")
    assert not ear.peers.is_member_gone(member)
    ear.peers.unreachable("n2")
    assert ear.peers.is_member_gone(member)
    assert ear.peers.hears(NOW) == ()
    ear.hears("n2")
    assert not ear.peers.is_member_gone(member)
    assert ear.peers.hears(NOW) == ("n2",)


def test_what_an_unproven_life_sends_does_not_make_a_node_heard_or_its_hint_forgotten(ear: Ear) -> None:
    ear.peers.unreachable("n2")
    ear.hears("n2", part(3, "n1", "n2"), incarnation="b")
    assert ear.peers.is_member_gone(Member("n2", "n2-a"))
    assert ear.peers.hears(NOW) == ()
    assert ear.live() is None


def test_a_hint_about_no_node_of_the_ensemble_or_about_itself_is_none(ear: Ear) -> None:
    ear.peers.unreachable("n9")
    ear.peers.unreachable("n5")
    assert not ear.peers.is_member_gone(Member("n9", "n9-a"))
    assert not ear.peers.is_member_gone(Member("n5", "n5-a"))


# Who teaches, and where writes go.


def test_the_members_that_can_teach_are_named_from_the_tail_up(ear: Ear) -> None:
    mine = part(3, "n1", "n2", "n3")
    for name in ("n1", "n2", "n3"):
        ear.hears(name, mine)
    assert ear.peers.teachers(mine.view, NOW) == ["n3", "n2", "n1"]


def test_a_member_can_teach_only_if_its_view_is_open_and_is_the_one_and_it_hears_the_learner(
    ear: Ear,
) -> None:
    mine = part(3, "n1", "n2", "n3", "n4")
    ear.hears("n1", part(3, "n1", "n2", "n3", "n4", is_open=False))
    ear.hears("n2", part(2, "n2", "n3", "n4"))
    ear.hears("n3", mine, hears=("n1", "n2"))
    ear.hears("n4", mine)
    assert ear.peers.teachers(mine.view, NOW) == ["n4"]
    assert ear.peers.teachers(mine.view, NOW + TIMING.suspect_ms + 1) == []


@pytest.mark.parametrize(
    ("name", "flows", "hears", "expected"),
    [
        ("n1", True, NAMES, True),
        ("n1", False, NAMES, False),
        ("n1", True, ("n2",), False),
        ("n2", True, NAMES, False),
    ],
)
def test_writes_can_be_passed_on_to_a_head_that_says_that_they_flow_and_hears_this_node(
    ear: Ear, name: str, *, flows: bool, hears: tuple[str, ...], expected: bool
) -> None:
    said = part(3, "n1", "n2", flows=flows)
    ear.hears(name, said, hears=hears)
    assert ear.peers.flows(said.view, NOW) == expected
    assert not ear.peers.flows(part(4, "n1", "n2").view, NOW)


# What an outsider says of the chain that it hears of.


@pytest.fixture
def wire() -> Wire:
    """n3 is an outsider, since it hears n1 alone of the two members."""
    wire = Wire().founded()
    wire.isolate("n3")
    wire.until(lambda: wire["n1"].state.chain == ("n1", "n2"))
    wire.heal()
    wire.split(["n3"], ["n2"])
    wire.run(500)
    return wire


def test_an_outsider_tells_of_the_live_chain_and_its_head(wire: Wire) -> None:
    state = wire["n3"].state
    assert (state.role, state.chain, state.degraded) == ("outside", ("n1", "n2"), True)
    assert state.view == wire["n1"].state.view
    assert wire["n3"].replica.head() == "n1"
    assert state.can_write
    assert wire["n3"].replica.view_number() == 0
    assert not wire["n3"].replica.may_propose()
    assert not wire["n3"].replica.may_confirm()


def test_an_outsider_that_hears_of_no_live_chain_says_so(wire: Wire) -> None:
    wire["n1"].crash()
    wire["n3"].unreachable("n1")
    state = wire["n3"].state
    assert (state.chain, state.can_write, state.degraded) == ((), False, True)
    assert wire["n3"].replica.head() is None


def test_a_whole_chain_is_not_degraded() -> None:
    wire = Wire().founded()
    assert not any(node.state.degraded for node in wire.nodes.values())


@pytest.mark.parametrize("name", ["n1", "n2", "n3"])
def test_every_node_tells_the_truth_about_writes_before_anybody_is_suspected(name: str) -> None:
    wire = Wire().founded()
    wire[name].crash()
    rest = [node for node in wire.up if node.name != name]
    took = wire.until(lambda: not any(node.state.can_write for node in rest))
    assert took <= TIMING.round_ms + TIMING.heartbeat_ms
    assert {node.state.view for node in rest} == {3}


def test_a_silence_that_the_head_learns_of_is_told_to_outsiders(wire: Wire) -> None:
    wire["n2"].crash()
    took = wire.until(lambda: not wire["n3"].state.can_write)
    assert took <= TIMING.round_ms + 2 * TIMING.heartbeat_ms
