"""Rows survive the way through bytes exactly, in both directions."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvault.model.commands import (
    Block,
    Command,
    EpochStart,
    Mint,
    Rotate,
    Rows,
    decode_rows,
    encode_rows,
)

OWNERS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
EPOCHS = st.integers(1, 2**63 - 1)
DIGESTS = st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=5).map(b"".join)
BLOCKS = st.builds(Block, owner=OWNERS, epoch=EPOCHS, digests=DIGESTS, sealed=st.binary())
ROWS = st.builds(
    Rows,
    epochs=st.lists(st.builds(EpochStart, owner=OWNERS, epoch=EPOCHS), max_size=3).map(tuple),
    blocks=st.lists(BLOCKS, max_size=3).map(tuple),
)
COMMANDS = st.builds(
    Mint, owner=OWNERS, epoch=EPOCHS, blocks=st.lists(BLOCKS, max_size=3).map(tuple)
) | st.builds(Rotate, owner=OWNERS, to=EPOCHS)


@given(ROWS)
def test_rows_come_back_from_the_body_of_their_entry(rows: Rows) -> None:
    assert decode_rows(encode_rows(rows)) == rows


@given(ROWS)
def test_a_body_is_rebuilt_byte_for_byte_from_its_rows(rows: Rows) -> None:
    body = encode_rows(rows)
    assert encode_rows(decode_rows(body)) == body


def test_the_body_of_rows_never_changes() -> None:
    rows = Rows(epochs=(EpochStart("A", 2),), blocks=(Block("A", 1, b"0123456789abcdef", b"sealed"),))
    assert encode_rows(rows) == (
        b"\x92\x91\x92\xa1A\x02\x91\x94\xa1A\x01\xc4\x100123456789abcdef\xc4\x06sealed"
    )


def test_a_barrier_brings_no_rows() -> None:
    assert decode_rows(b"") == Rows()


def test_an_entry_without_rows_is_not_the_empty_body() -> None:
    assert decode_rows(encode_rows(Rows())) == Rows()
    assert encode_rows(Rows()) != b""


@given(st.binary(min_size=1))
def test_other_bytes_are_rows_or_are_refused(garbage: bytes) -> None:
    try:
        rows = decode_rows(garbage)
    except msgspec.DecodeError:
        return
    assert isinstance(rows, Rows)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00",
        b"not rows",
        b"\xc0",
        msgspec.msgpack.encode([[], [["A", 1, b""]]]),
        msgspec.msgpack.encode([[["A", "1"]], []]),
        msgspec.msgpack.encode([[], [[b"A", 1, b"", b""]]]),
        msgspec.msgpack.encode({"epochs": [], "blocks": []}),
        b"\x91" * 5000,
        b"\x92\x90\x91\x94\xa1\xff\x01\xc4\x00\xc4\x00",
    ],
)
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_rows(garbage)


@given(ROWS, st.data())
def test_a_body_cut_short_is_refused(rows: Rows, data: st.DataObject) -> None:
    body = encode_rows(rows)
    length = data.draw(st.integers(1, len(body) - 1))
    with pytest.raises(msgspec.DecodeError):
        decode_rows(body[:length])


@given(ROWS, st.binary(min_size=1))
def test_a_body_with_something_behind_it_is_refused(rows: Rows, tail: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_rows(encode_rows(rows) + tail)


@given(COMMANDS)
def test_a_command_comes_back_as_what_it_was(command: Command) -> None:
    decoder: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
    assert decoder.decode(msgspec.msgpack.encode(command)) == command


@pytest.mark.parametrize("count", [0, 1, 64])
def test_a_block_counts_its_values(count: int) -> None:
    assert len(Block("A", 1, bytes(16 * count), b"")) == count
