"""What no correct node says is refused at the peer port, each kind of it by a rule of its own."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.unit.server.test_peer_port import Port, framed, from_n2, port, stream
from tvault.model.commands import Block, EpochStart, Rows, encode_rows
from tvault.replication import codec
from tvault.replication.account import Account, Condition
from tvault.replication.entry import Entry, Kind, Position, follow
from tvault.replication.messages import (
    Ack,
    Append,
    Confirm,
    Learn,
    Message,
    NewView,
    Part,
    Prepare,
    Presence,
    PreVote,
    Proposal,
    Superseded,
    Sync,
)
from tvault.replication.promise import Standing
from tvault.replication.view import Member, View

__all__ = ["port"]

NOWHERE = Position(0, 0, bytes(32))
FIRST = follow(NOWHERE, 2, Kind.ROWS, encode_rows(Rows(epochs=(EpochStart("A", 2),))))
ME, OTHER = Member("n2", "life of n2"), Member("n1", "life of n1")
MINE = View(3, (ME, OTHER), 1)


def presence(**changes: Any) -> Presence:
    account = Account(Standing.VOTER, Condition.READY, FIRST.position, ("n1",))
    part = Part(MINE, alive=True, open=True, flows=True)
    said = Presence(account, promised=3, part=part, committed=1, caught_up=True)
    return msgspec.structs.replace(said, **changes)


def appended(*entries: Entry) -> Append:
    return Append(1, NOWHERE, entries, 0)


def with_body(body: bytes, kind: Kind = Kind.ROWS) -> Append:
    return appended(follow(NOWHERE, 2, kind, body))


def with_view(chain: tuple[Member, ...] = MINE.chain, number: int = 3, barrier: int = 1) -> Presence:
    view = View(number, chain, barrier)
    return presence(part=Part(view, alive=True, open=True, flows=True), promised=number)


SEALED = Block("A", 1, b"d" * 16, b"sealed")
SENSELESS: dict[str, Message] = {
    "a number below zero": Confirm(-1),
    "a number that no database takes": Ack(1, 2**63, 0),
    "a view that nobody counts to": Superseded(2**60),
    "more acknowledged than held": Ack(1, 2, 3),
    "no places": Sync(1, ()),
    "a million places": Learn(1, (NOWHERE,) * 1_000_000),
    "places that rise": Sync(1, (NOWHERE, FIRST.position)),
    "a digest of another length": PreVote(1, Position(1, 1, b"short")),
    "a text without end": Proposal(1, b"", "x" * 1_000_000, ""),
    "entries with a gap": appended(msgspec.structs.replace(FIRST, seq=2)),
    "entries of a later view": appended(msgspec.structs.replace(FIRST, view=9)),
    "rows that are none": with_body(b"\xc1"),
    "rows with something behind them": with_body(FIRST.body + b"\x00"),
    "rows that would come back as other bytes": with_body(b"\xdc\x00\x02\x90\x90"),
    "half a token": with_body(encode_rows(Rows(blocks=(Block("A", 1, b"d" * 17, b""),)))),
    "an epoch below zero": with_body(encode_rows(Rows(epochs=(EpochStart("A", -1),)))),
    "an epoch that no database takes": with_body(
        encode_rows(Rows(blocks=(msgspec.structs.replace(SEALED, epoch=2**63),)))
    ),
    "rows in a barrier": with_body(FIRST.body, Kind.BARRIER),
    "nothing in an entry": with_body(b""),
    "a chain without it": with_view((OTHER, Member("n2", "another life"))),
    "a chain without a majority": with_view((ME,)),
    "an empty chain": NewView(View(3, (), 1)),
    "a node twice in a chain": with_view((ME, ME)),
    "an unknown node in a chain": with_view((ME, Member("n9", "x"))),
    "a view of another's number": with_view(number=2),
    "a view that was not promised": presence(promised=1),
    "more committed than held": presence(committed=2),
    "an unknown node among those heard": presence(
        account=Account(Standing.VOTER, Condition.READY, FIRST.position, ("n9",))
    ),
    "a view in another's name": NewView(View(2, (OTHER, ME), 1)),
    "a founding without a node": Prepare(NOWHERE, (ME,)),
}


def test_the_messages_that_the_senseless_ones_are_made_from_are_let_in(port: Port) -> None:
    said = (presence(), appended(FIRST), NewView(MINE), Prepare(NOWHERE, (OTHER, ME)), with_view())
    body = b"".join(framed(codec.encode(from_n2(message))) for message in said)
    assert stream(port, body) == 200
    assert [envelope.message for envelope in port.delivered] == list(said)


@pytest.mark.parametrize("name", SENSELESS)
def test_a_message_that_no_correct_node_sends_goes_no_further_than_the_port(
    port: Port, name: str
) -> None:
    good = framed(codec.encode(from_n2(Confirm(1))))
    stream(port, framed(codec.encode(from_n2(SENSELESS[name]))) + good)
    assert port.delivered == [], "nor what follows it on that stream"
    assert len(port.refusals) == 1
    assert stream(port, good) == 200
    assert len(port.delivered) == 1
