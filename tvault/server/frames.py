"""Frames of a stream between nodes: read without trust in what they say of themselves, and judged.

Whoever holds the cluster's secret is honest, but may be broken, or of another version.  What no correct
node says is no message here: it goes no further than this module.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tvault.model.commands import BLOCK_VALUES, DIGEST_BYTES, decode_rows, encode_rows
from tvault.replication import codec
from tvault.replication.entry import Entry
from tvault.replication.messages import Append, Envelope, Learned
from tvault.replication.sense import nonsense
from tvault.server.framing import FramingError
from tvault.server.hello import Hello
from tvault.server.links import LENGTH

FRAME_BYTES: Final = 64 * 1024 * 1024
"""No frame is longer."""

_PIECE_BYTES: Final = 256 * 1024
"""Memory is taken for what has come and for so much more, whatever length a frame announces."""

_EPOCHS: Final = 1 << 63
_DIGESTS_OF_BLOCKS: Final = frozenset(range(DIGEST_BYTES, BLOCK_VALUES * DIGEST_BYTES + 1, DIGEST_BYTES))


class Nonsense(FramingError):
    """What came is nothing that a correct node of this version sends; says why, but not what it was."""


def read_frame(stream: Any) -> bytes | bytearray | None:
    """The next frame, empty for a sign of life, None at the end of the stream.

    Raises `FramingError` for a frame that is cut short, `Nonsense` for one that is too long, `OSError`
    when the peer is silent or gone.
    """
    head = stream.read(LENGTH.size)
    if not head:
        return None
    if len(head) < LENGTH.size:
        raise FramingError("a frame is cut short")
    length: int = LENGTH.unpack(head)[0]
    if length > FRAME_BYTES:
        raise Nonsense("a frame of no sane length")
    frame: bytes = stream.read(min(length, _PIECE_BYTES))
    if len(frame) == length:
        return frame
    pieces = bytearray(frame)
    while len(pieces) < length:
        piece = stream.read(min(length - len(pieces), _PIECE_BYTES))
        if not piece:
            raise FramingError("a frame is cut short")
        pieces += piece
    return pieces


def envelope_of(peer: Hello, frame: bytes | bytearray) -> Envelope:
    """The envelope in a frame that `peer` sent.  Raises `Nonsense`."""
    try:
        envelope = codec.decode(frame)
    except msgspec.DecodeError:
        raise Nonsense("a frame that holds no message") from None
    life = (envelope.sender, envelope.incarnation, envelope.boot, envelope.life)
    if life != (peer.node, peer.incarnation, peer.boot, peer.life):
        raise Nonsense("a message in the name of another node or life")
    flaw = nonsense(envelope, peer.ensemble)
    if flaw is None and isinstance(envelope.message, Append | Learned):
        flaw = None if all(map(_holds_rows, envelope.message.entries)) else "an entry without sound rows"
    if flaw is not None:
        raise Nonsense(flaw)
    return envelope


def _holds_rows(entry: Entry) -> bool:
    """Whether a store could keep what the entry brings, and give the same bytes back."""
    try:
        rows = decode_rows(entry.body)
    except msgspec.DecodeError:
        return False
    if entry.body and encode_rows(rows) != entry.body:
        return False
    epochs = {block.epoch for block in rows.blocks} | {start.epoch for start in rows.epochs}
    lengths = {len(block.digests) for block in rows.blocks}
    return lengths <= _DIGESTS_OF_BLOCKS and all(0 < epoch < _EPOCHS for epoch in epochs)
