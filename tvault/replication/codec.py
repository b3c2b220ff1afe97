"""Envelopes as bytes: msgpack, one envelope a frame."""

from __future__ import annotations

import msgspec

from tvault.replication.messages import Envelope

FORMAT = 5
"""Version of the format; nodes of another one are refused before any envelope passes."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)


def encode(envelope: Envelope) -> bytes:
    """The bytes of one frame."""
    return _encoder.encode(envelope)


def decode(frame: bytes | bytearray) -> Envelope:
    """The envelope in a frame, within the bounds of `bounds`.  Raises `msgspec.DecodeError` for
    anything that is none."""
    try:
        return _decoder.decode(frame)
    except (UnicodeDecodeError, RecursionError):
        raise msgspec.DecodeError("text that is not UTF-8, or nesting without end") from None
