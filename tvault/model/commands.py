"""What can be written to the vault, and the rows that a write becomes.

A *command* is one request's write.  The head judges commands (`model.rules`) and gathers the rows of
those it admits into one entry; the chain carries the encoded rows as opaque bytes, and every store
turns them back into the same rows.  `encode_rows(decode_rows(body)) == body` for every body written
by `encode_rows`: a store keeps rows only, and rebuilds an entry's bytes from them.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")

DIGEST_BYTES = 16
"""Bytes of a token's keyed hash."""

BLOCK_VALUES = 32
"""Most values in one block, so that a random read opens about 2 kB."""


class Block(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Values of one owner and epoch, from one request, sealed together.

    `digests` holds the tokens' 16-byte digests side by side, in the order of the sealed values;
    `sealed` is the ciphertext (see `model.blocks`).
    """

    owner: str
    epoch: int
    digests: bytes
    sealed: bytes

    def __len__(self) -> int:
        """How many values the block holds."""
        return len(self.digests) // DIGEST_BYTES


class EpochStart(msgspec.Struct, frozen=True, array_like=True):
    """From this entry on `epoch` is the owner's active epoch.  Epoch 1 has no row."""

    owner: str
    epoch: int


class Mint(msgspec.Struct, frozen=True, array_like=True, tag="mint"):
    """Write these blocks, all of one owner and of the epoch that the writer believes active."""

    owner: str
    epoch: int
    blocks: tuple[Block, ...]


class Rotate(msgspec.Struct, frozen=True, array_like=True, tag="rotate"):
    """Make `to` the owner's active epoch; it must be the successor of the newest."""

    owner: str
    to: int


Command = Mint | Rotate


class Rows(msgspec.Struct, frozen=True, array_like=True):
    """The rows of one entry, by table, each table in the order of judging."""

    epochs: tuple[EpochStart, ...] = ()
    blocks: tuple[Block, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_rows_decoder = msgspec.msgpack.Decoder(Rows)
_command_decoder: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)


def encode_command(command: Command) -> bytes:
    """The command as it travels to the head."""
    return _encoder.encode(command)


def decode_command(body: bytes) -> Command:
    """The command in `body`.  Raises `msgspec.DecodeError`."""
    return decoded(_command_decoder, body)


def decoded(decoder: msgspec.msgpack.Decoder[T], body: bytes) -> T:
    """What `decoder` reads; text that is no UTF-8, too, raises `msgspec.DecodeError`."""
    try:
        return decoder.decode(body)
    except UnicodeDecodeError:
        raise msgspec.DecodeError("text that is not UTF-8") from None


def encode_rows(rows: Rows) -> bytes:
    """The body of an entry that brings `rows`."""
    return _encoder.encode(rows)


def decode_rows(body: bytes) -> Rows:
    """The rows of an entry's body.  The empty body (a barrier) has none.

    Raises `msgspec.DecodeError` (or its subclass `ValidationError`) for anything else that
    `encode_rows` did not write.
    """
    if not body:
        return Rows()
    return decoded(_rows_decoder, body)
