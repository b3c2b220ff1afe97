"""Whatever a peer sends, as long as it is not a lie that a correct node could tell, harms nothing."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.examples import fuzzed
from tests.fuzz.messages import Shapes, in_name_of, packed, unpacked
from tests.unit.replication.wire import Wire
from tvault.replication import codec
from tvault.replication.entry import Entry, Kind, Position, follow
from tvault.replication.memory import PER_BOOT
from tvault.replication.messages import Append, Doubted, Envelope, Message
from tvault.replication.view import View
from tvault.server.frames import Nonsense, envelope_of
from tvault.server.hello import Hello

SEEDS = st.integers(0, 2**32 - 1)


def hello_of(said: Envelope, ensemble: tuple[str, ...]) -> Hello:
    """The greeting of the life that said this."""
    return Hello(
        cluster="c",
        ensemble=ensemble,
        fields="f",
        keys="k",
        master="m1",
        masters={},
        owners="o",
        node=said.sender,
        incarnation=said.incarnation,
        boot=said.boot,
        life=said.life,
    )


def chain_with_entries() -> Wire:
    """Three nodes in one chain, which have committed a few entries."""
    wire = Wire(3).founded()
    for ticket in range(3):
        wire["n1"].propose(ticket)
        wire.run(100)
    return wire


def shapes_of(wire: Wire, dice: random.Random, *, wild: bool) -> Shapes:
    """What is drawn is near to what these nodes say."""
    lives = [node.replica.envelope(0, next(iter(PROBES))) for node in wire.nodes.values()]
    places = [wire["n1"].store.position(seq) for seq in range(wire["n1"].store.last().seq + 1)]
    sessions = [PER_BOOT + number for number in (1, 2, 3)]
    return Shapes(
        dice,
        numbers=[*range(8), *sessions, wire["n1"].replica.view_number()],
        texts=[*wire.names, *(life.incarnation for life in lives), *(life.life for life in lives)],
        digests=[place.digest for place in places if place is not None],
        wild=wild,
        known={
            Position: [unpacked(place) for place in places if place is not None],
            Entry: [unpacked(entry) for entry in wire["n1"].store.entries(0, 1 << 20)],
            View: [unpacked(wire["n1"].chain.view)],
        },
        bodies=[b"", b"x", *(entry.body for entry in wire["n1"].store.entries(0, 1 << 20))],
    )


PROBES: tuple[Message, ...] = (Append(0, Position(0, 0, bytes(32)), (), 0),)


@given(SEEDS)
@fuzzed(100)
def test_whatever_is_decoded_is_within_its_bounds_and_comes_back_as_the_same_bytes(seed: int) -> None:
    dice = random.Random(seed)
    shapes = Shapes(dice, [0, 1, 2**48, 2**48 + 1, -1], ["n1", "n2"], [bytes(32)], wild=True)
    for _ in range(20):
        frame = packed(shapes.envelope())
        if dice.random() < 0.3:
            at = dice.randrange(len(frame))
            frame = frame[:at] + bytes([dice.randrange(256)]) + frame[at + 1 :]
        try:
            envelope = codec.decode(frame)
        except msgspec.DecodeError:
            continue
        assert codec.decode(codec.encode(envelope)) == envelope
        assert 0 <= envelope.view <= 2**48


@given(st.binary(max_size=200))
@fuzzed(200)
def test_bytes_that_hold_no_message_are_refused_by_one_exception(frame: bytes) -> None:
    try:
        codec.decode(frame)
    except msgspec.DecodeError:
        return
    pytest.fail("random bytes were taken for a message")


@pytest.mark.parametrize(
    "frame",
    [
        b"\x91" * 1_000_000,
        b"\x97\xa2n1\xa1i\x01\xa1l\x01" + b"\x91" * 1_000_000,
        b"\x96\xa2n1\xa1i\x01\xa1l\x01\x94\xa6append\x01\x93\x00\x00\xc4\x20"
        + bytes(32)
        + b"\xdd"
        + b"\xff" * 4,
        b"\xdd\xff\xff\xff\xff",
        b"\x96\xdb\xff\xff\xff\xff",
    ],
    ids=["nested", "nested behind the end", "2**32 entries", "2**32 members", "text of 4 GiB"],
)
def test_no_depth_and_no_length_that_is_only_announced_costs_anything(frame: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        codec.decode(frame)


@given(SEEDS)
@fuzzed(80, share=8)
def test_what_passes_the_door_is_taken_by_a_replica_whose_journal_and_promise_stay_sound(
    seed: int,
) -> None:
    dice = random.Random(seed)
    wire = chain_with_entries()
    shapes = shapes_of(wire, dice, wild=dice.random() < 0.3)
    target = wire[dice.choice(wire.names)]
    committed = target.replica.state().committed
    held = [target.store.position(seq) for seq in range(committed + 1)]
    promised = target.promise.promised
    passed: list[Envelope] = []
    for _ in range(12):
        sender = wire[dice.choice([name for name in wire.names if name != target.name])]
        said = sender.replica.envelope(0, PROBES[0])
        frame = packed(in_name_of(shapes.envelope(), said))
        try:
            envelope = envelope_of(hello_of(said, wire.names), frame)
        except Nonsense:
            continue
        passed.append(envelope)
        wire.hand(target.name, envelope)
        if dice.random() < 0.2:
            wire.tick(target.name)
        assert target.promise.promised >= promised
        promised = target.promise.promised
    assert [target.store.position(seq) for seq in range(committed + 1)] == held
    assert target.state.committed >= committed
    is_told = any(isinstance(each.message, Doubted) for each in passed)
    assert target.replica.doubt is None or is_told


def garbled(entries: Any, at: int) -> Any:
    """The entries, one of them with another digest."""
    entry = msgspec.structs.replace(entries[at], digest=b"\xee" * 32)
    return (*entries[:at], entry, *entries[at + 1 :])


def test_an_entry_that_continues_nothing_undoes_nothing() -> None:
    wire = chain_with_entries()
    follower = wire["n2"]
    session = follower.chain._session
    view = follower.replica.view_number()
    head = wire["n1"]
    wire.isolate("n3")
    seq = head.propose(77)
    wire.deliver(Append, to="n2")
    assert follower.store.last().seq == seq, "held, and not committed"
    before = follower.store.position(seq - 1)
    assert before is not None
    other = follow(before, view, Kind.ROWS, b"\x92\x90\x90")
    message = Append(session, before, garbled((other,), 0), 0)
    wire.say("n1", "n2", view, message)
    assert follower.store.last() == head.store.position(seq)
