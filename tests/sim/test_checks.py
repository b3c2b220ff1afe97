"""The checks of the simulator notice what they are there for: each is shown a world that is wrong."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from tests.history.check import violations
from tests.history.operations import Detokenize, Operation, ReadEpoch, Tokenize
from tests.sim.node import SimNode
from tests.sim.process import Look, Process
from tests.sim.run import Run
from tests.sim.world import World
from tvault.model.commands import Rows, encode_rows
from tvault.replication.account import Account, Condition
from tvault.replication.entry import Kind, Position, follow
from tvault.replication.messages import (
    Ack,
    Append,
    Confirmed,
    Heartbeat,
    HeartbeatReturn,
    Learned,
    Message,
    NewView,
    Prepare,
    PreVote,
    PreVoteAnswer,
    Promised,
    Refused,
    Superseded,
    Sync,
)
from tvault.replication.promise import Promise, Standing
from tvault.replication.ready import Ready
from tvault.replication.view import Member, View


@pytest.fixture(scope="module")
def run() -> Run:
    """A calm run that is over: three nodes agree, and hold some entries."""
    run = Run(5, 3, "calm", full_trace=False)
    run.go()
    return run


@pytest.fixture
def world(run: Run) -> World:
    return run.world


@pytest.fixture
def node(world: World) -> SimNode:
    return world.nodes["n1"]


@pytest.fixture
def life(node: SimNode) -> Process:
    assert node.life is not None
    return node.life


def promise_of(node: SimNode) -> Promise:
    assert node.disk.promise is not None
    return node.disk.promise


def beyond(node: SimNode) -> Position:
    """A place that no journal has come to."""
    return follow(node.disk.store.last(), promise_of(node).promised, Kind.ROWS, b"").position


def account(last: Position) -> Account:
    return Account(standing=Standing.VOTER, condition=Condition.READY, last=last)


def said(life: Process, message: Message, view: int | None = None) -> None:
    number = promise_of(life.node).promised if view is None else view
    life.promised_before = promise_of(life.node).promised
    life.world.checks.sent(life, life.replica.envelope(number, message))


def test_a_claim_to_hold_more_than_the_disk_does_is_noticed(life: Process, node: SimNode) -> None:
    end, lie = node.disk.store.last(), beyond(node)
    for sound in (Ack(1, end.seq, end.seq), Sync(1, (end,)), PreVote(1, end), Prepare(end)):
        said(life, sound)
    for false in (
        Ack(1, lie.seq, lie.seq),
        Ack(1, end.seq - 1, end.seq),
        HeartbeatReturn(1, 1, lie.seq, 0),
        Sync(1, (lie,)),
        PreVote(1, lie),
        Prepare(lie),
        Promised(account(lie)),
    ):
        with pytest.raises(AssertionError, match="hold"):
            said(life, false)


def test_a_word_of_what_is_not_committed_is_noticed(life: Process, node: SimNode) -> None:
    end, entry = node.disk.store.last(), follow(node.disk.store.last(), 9, Kind.ROWS, b"")
    said(life, Append(1, end, (entry,), end.seq))
    for false in (
        Append(1, end, (), end.seq + 1),
        Heartbeat(1, 1, end.seq, end.seq + 1),
        Learned(1, end, (), end.seq + 1),
        Learned(1, end, (entry,), end.seq),
    ):
        with pytest.raises(AssertionError, match=r"leads|teaches"):
            said(life, false)


def test_acting_below_or_without_a_promise_is_noticed(life: Process, node: SimNode) -> None:
    promised, end = promise_of(node).promised, node.disk.store.last()
    acts: list[Message] = [Ack(1, 0, 0), Append(1, end, (), 0), Heartbeat(1, 1, 0, 0), Confirmed(1)]
    for message in acts:
        with pytest.raises(AssertionError, match=r"below its promise|promised a later"):
            said(life, message, promised - 1)
    for message in (Ack(1, 0, 0), Prepare(end), Promised(account(end))):
        with pytest.raises(AssertionError, match="has not synced its promise"):
            said(life, message, promised + 3)
    for message in (Refused(promised + 1, end), Superseded(promised + 1)):
        with pytest.raises(AssertionError, match="has not synced its promise"):
            said(life, message)


def test_a_blank_node_that_counts_itself_is_noticed(life: Process, node: SimNode) -> None:
    sound, end = promise_of(node), node.disk.store.last()
    blank = msgspec.structs.replace(sound, standing=Standing.BLANK)
    node.disk.write_promise(blank, sync=True)
    try:
        granted = PreVoteAnswer(1, granted=True, standing=Standing.BLANK, promised=0)
        for message in (Confirmed(1), PreVote(1, end), Prepare(end), Promised(account(end)), granted):
            with pytest.raises(AssertionError, match="is blank"):
                said(life, message)
    finally:
        node.disk.write_promise(sound, sync=True)


def test_a_second_chain_or_one_of_too_few_is_noticed(life: Process, node: SimNode) -> None:
    checks = node.world.checks
    members = tuple(Member(name, f"{name}.1") for name in node.world.nodes)
    barrier = node.disk.store.last().seq + 1
    checks.decided(View(100, members, barrier), life)
    with pytest.raises(AssertionError, match="two chains"):
        checks.decided(View(100, members[:2], barrier), life)
    with pytest.raises(AssertionError, match="has 1 voters"):
        checks.decided(View(103, (*members[:1], Member("n2", "n2.9")), barrier), life)
    with pytest.raises(AssertionError, match="lacks committed entry"):
        checks.decided(View(106, members, barrier - 1), life)
    with pytest.raises(AssertionError, match="without its barrier"):
        said(life, NewView(View(promise_of(node).promised, members, barrier)))


def test_a_promise_that_falls_is_noticed(node: SimNode) -> None:
    sound = promise_of(node)
    node.disk.write_promise(msgspec.structs.replace(sound, promised=0), sync=True)
    with pytest.raises(AssertionError, match="goes back on its promise"):
        node.world.checks.promised(node)
    node.disk.write_promise(sound, sync=True)


def test_the_cut_of_a_committed_entry_and_a_hint_that_leads_are_noticed(node: SimNode) -> None:
    end = node.disk.store.last().seq
    checks = node.world.checks
    checks.before_write(node, Ready(cut_after=end, committed=end))
    with pytest.raises(AssertionError, match="which is committed"):
        checks.before_write(node, Ready(cut_after=end - 1, committed=end - 1))
    with pytest.raises(AssertionError, match="leads"):
        checks.before_write(node, Ready(committed=end + 1))


def test_a_commit_that_is_not_on_enough_disks_is_noticed(life: Process) -> None:
    end = life.store.last()
    life.store.write(None, [follow(end, end.view, Kind.ROWS, encode_rows(Rows()))], end.seq)
    state = msgspec.structs.replace(life.state, committed=end.seq + 1)
    try:
        with pytest.raises(AssertionError, match=r"on \['n1'\] alone"):
            life.world.checks.published(life.node, state)
    finally:
        life.world.checks.committed.pop()
        life.store.write(end.seq, [], end.seq)


def test_a_read_confirmed_by_no_round_of_its_own_is_noticed(life: Process) -> None:
    world, view = life.world, life.replica.view_number()
    life.rounds = {1: (10.0, {"n2": True}), 2: (20.0, {})}
    world.checks.confirmed(life, Look(view, 9.0))
    with pytest.raises(AssertionError, match="by no round"):
        world.checks.confirmed(life, Look(view, 11.0))
    with pytest.raises(AssertionError, match="after view"):
        world.checks.confirmed(life, Look(view - 1, world.moment + 1))


def test_a_false_answer_in_a_history_is_noticed(run: Run) -> None:
    history = run.world.operations
    assert violations(history) == []
    spoiled = {kind: spoil(history, kind) for kind in ("lost", "stale", "two tokens")}
    assert [kind for kind, told in spoiled.items() if not violations(told)] == []


def spoil(history: list[Operation], kind: str) -> list[Operation]:
    """The history with one answer that cannot be: the last that can be spoiled so."""
    for at in range(len(history) - 1, -1, -1):
        what = spoiled_answer(history[at].what, kind)
        if what is not None:
            return [*history[:at], replace(history[at], what=what), *history[at + 1 :]]
    raise AssertionError(f"nothing to spoil: {kind}")


def spoiled_answer(what: object, kind: str) -> Detokenize | ReadEpoch | Tokenize | None:
    if kind == "lost" and isinstance(what, Detokenize) and what.result and not what.misses():
        return replace(what, result=(None, *what.result[1:]))
    if kind == "stale" and isinstance(what, ReadEpoch) and (what.result or 0) > 1:
        return replace(what, result=1)
    if kind == "two tokens" and isinstance(what, Tokenize) and what.result is not None:
        epoch, (first, *rest) = what.result
        return replace(what, result=(epoch, (f"tv1_{epoch}_{'0' * 32}" if first else None, *rest)))
    return None
