"""What a gateway and a node say to each other: the calls of an engine, as msgpack over the peer port.

A gateway computes tokens and ciphertext itself; plaintext, API keys and the token key never travel here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

import msgspec
import numpy as np

from tvault.engine import EpochRefused, Health, StaleEpoch, TokensExist, Written
from tvault.errors import VaultError
from tvault.model.commands import DIGEST_BYTES, Block, Mint, Rotate, decoded
from tvault.model.records import Places
from tvault.model.tokens import MAX_EPOCH

FORMAT = 1
"""Version of this exchange."""

TERMS_HEADER = "Tvault-Gateway"
"""The header that carries the `Terms` of a gateway as JSON."""

MSGPACK_TYPE = "application/msgpack"

Epoch = Annotated[int, msgspec.Meta(ge=1, le=MAX_EPOCH)]


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a gateway must have in common with the nodes: `keys` is the fingerprint of the token key,
    `fields` a digest of the configured paths."""

    cluster: str
    fields: str
    keys: str
    format: int = FORMAT

    def refusal(self, other: Terms) -> str | None:
        """Why a gateway with `other` terms is turned away, or None."""
        for name, mine, theirs in (
            ("cluster", self.cluster, other.cluster),
            ("message format", self.format, other.format),
            ("field list", self.fields, other.fields),
            ("token key", self.keys, other.keys),
        ):
            if mine != theirs:
                return f"has another {name}"
        return None


class AskLookUp(msgspec.Struct, frozen=True, array_like=True, tag="look-up"):
    """`Engine.look_up`."""

    owner: str
    epoch: Epoch
    digests: bytes


class AskFind(msgspec.Struct, frozen=True, array_like=True, tag="find"):
    """`Engine.find`."""

    owner: str
    asked: tuple[tuple[Epoch, bytes], ...]


class AskEpoch(msgspec.Struct, frozen=True, array_like=True, tag="epoch"):
    """`Engine.read_epoch`."""

    owner: str


class AskWaitFor(msgspec.Struct, frozen=True, array_like=True, tag="wait-for"):
    """`Engine.wait_for`."""

    seq: int


class AskHealth(msgspec.Struct, frozen=True, array_like=True, tag="health"):
    """`Engine.health`."""


Question = Mint | Rotate | AskLookUp | AskFind | AskEpoch | AskWaitFor | AskHealth


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """A question, and for how long the gateway waits for the answer."""

    patience_ms: int
    question: Question


class Located(msgspec.Struct, frozen=True, array_like=True):
    """`Places`, as it travels: the two arrays are 8-byte little endian numbers."""

    blocks: tuple[Block, ...]
    block_of: bytes
    place_of: bytes
    seq: int


class FoundPlaces(msgspec.Struct, frozen=True, array_like=True, tag="places"):
    """What was looked for, in the order of the question."""

    places: tuple[Located, ...]


class TooLong(msgspec.Struct, frozen=True, array_like=True, tag="too-long"):
    """`LookTooLong`."""


class ActiveEpoch(msgspec.Struct, frozen=True, array_like=True, tag="active-epoch"):
    """The owner's active epoch, confirmed."""

    epoch: int


class Waited(msgspec.Struct, frozen=True, array_like=True, tag="waited"):
    """The wait is over."""


class OwnHealth(msgspec.Struct, frozen=True, array_like=True, tag="health"):
    """The health of the node that answers."""

    health: Health


Reply = (
    Written
    | StaleEpoch
    | TokensExist
    | EpochRefused
    | FoundPlaces
    | TooLong
    | ActiveEpoch
    | Waited
    | OwnHealth
)

_encoder = msgspec.msgpack.Encoder()
_asks = msgspec.msgpack.Decoder(Ask)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
_NUMBERS = np.dtype("<i8")


def encode_ask(ask: Ask) -> bytes:
    """The body of a request."""
    return _encoder.encode(ask)


def decode_ask(body: bytes) -> Ask:
    """The ask in a body.  Raises `VaultError` `malformed`."""
    try:
        ask = decoded(_asks, body)
    except msgspec.DecodeError:
        ask = None
    if ask is None or any(len(digests) % DIGEST_BYTES for digests in _digests_of(ask.question)):
        raise VaultError("malformed", "The body holds no question of a gateway.")
    return ask


def _digests_of(question: Question) -> Iterator[bytes]:
    match question:
        case AskLookUp():
            yield question.digests
        case AskFind():
            yield from (digests for _, digests in question.asked)


def encode_reply(reply: Reply) -> bytes:
    """The body of an answer."""
    return _encoder.encode(reply)


def decode_reply(body: bytes) -> Reply:
    """The reply in a body.  Raises `msgspec.DecodeError`."""
    return decoded(_replies, body)


def located(places: Places) -> Located:
    """`places` as it travels."""
    block_of, place_of = (
        array.astype(_NUMBERS, copy=False).tobytes() for array in (places.block_of, places.place_of)
    )
    return Located(tuple(places.blocks), block_of, place_of, places.seq)


def places_of(located: Located) -> Places:
    """What has travelled."""
    block_of, place_of = (
        np.frombuffer(numbers, dtype=_NUMBERS).astype(np.int64, copy=False)
        for numbers in (located.block_of, located.place_of)
    )
    return Places(located.blocks, block_of, place_of, located.seq)


def encode_terms(terms: Terms) -> str:
    """The header's text, ASCII."""
    return json.dumps(msgspec.to_builtins(terms), separators=(",", ":"))


def decode_terms(text: str | None) -> Terms:
    """The terms in a header.  Raises `VaultError` `malformed`."""
    try:
        return msgspec.json.decode((text or "").encode("latin-1"), type=Terms)
    except (msgspec.DecodeError, UnicodeError):
        raise VaultError("malformed", "The request carries no terms of a gateway.") from None
