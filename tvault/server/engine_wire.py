"""What a gateway and a node say to each other: the calls of an engine, as msgpack over the peer port.

A gateway computes tokens and ciphertext itself; plaintext, API keys and the token key never travel here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
import numpy as np

from tvault.engine import EpochRefused, Health, Overtaken, StaleEpoch, TokensExist, Written
from tvault.errors import VaultError
from tvault.model.commands import DIGEST_BYTES, Block, Mint, Rotate, WriteSecrets, decoded
from tvault.model.records import Places
from tvault.model.secret_looks import FoundHistory, FoundNames, FoundSecrets, Wanted
from tvault.model.tokens import MAX_EPOCH
from tvault.replication.bounds import Request
from tvault.server.hello import Fingerprints, KeyId, other_master_key

FORMAT = 2
"""Version of this exchange."""

TERMS_HEADER = "Tvault-Gateway"
"""The header that carries the `Terms` of a gateway as JSON."""

MSGPACK_TYPE = "application/msgpack"

Epoch = Annotated[int, msgspec.Meta(ge=1, le=MAX_EPOCH)]


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway must have in common with the nodes: see `hello.Hello`."""

    cluster: str
    fields: str
    keys: str
    master: KeyId
    masters: Fingerprints
    format: int = FORMAT

    def refusal(self, other: Terms) -> str | None:
        """Why a gateway with `other` terms is turned away, or None."""
        for name, mine, theirs in (
            ("message format", self.format, other.format),
            ("cluster", self.cluster, other.cluster),
            ("field list", self.fields, other.fields),
            ("token key", self.keys, other.keys),
            ("active master key", self.master, other.master),
        ):
            if mine != theirs:
                return f"has another {name}"
        key_id = other_master_key(self.masters, other.masters)
        return None if key_id is None else f"has another key under the master key id {key_id!r}"


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


class AskSecrets(msgspec.Struct, frozen=True, array_like=True, tag="secrets"):
    """`Engine.read_secrets`, or `Engine.peek_secrets` if it `is_glance`."""

    owner: str
    wanted: tuple[Wanted, ...]
    request: bytes | None
    is_glance: bool


class AskHistory(msgspec.Struct, frozen=True, array_like=True, tag="history"):
    """`Engine.read_history`."""

    owner: str
    name: str


class AskNames(msgspec.Struct, frozen=True, array_like=True, tag="names"):
    """`Engine.read_names`."""

    owner: str


SecretQuestion = WriteSecrets | AskSecrets | AskHistory | AskNames
Question = Mint | Rotate | AskLookUp | AskFind | AskEpoch | AskWaitFor | SecretQuestion


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """A question, for how long the gateway waits for the answer, and the id of the request for which it
    asks."""

    patience_ms: int
    question: Question
    request: Request = ""


class PackedPlaces(msgspec.Struct, frozen=True, array_like=True):
    """`Places`, as it travels: the two arrays are 8-byte little endian numbers."""

    blocks: tuple[Block, ...]
    block_of: bytes
    place_of: bytes
    seq: int


class FoundPlaces(msgspec.Struct, frozen=True, array_like=True, tag="places"):
    """What was looked for, in the order of the question."""

    places: tuple[PackedPlaces, ...]


class TooLong(msgspec.Struct, frozen=True, array_like=True, tag="too-long"):
    """`LookTooLong`."""


class ActiveEpoch(msgspec.Struct, frozen=True, array_like=True, tag="active-epoch"):
    """The owner's active epoch, confirmed."""

    epoch: int


class Waited(msgspec.Struct, frozen=True, array_like=True, tag="waited"):
    """The wait is over."""


Reply = (
    Written
    | StaleEpoch
    | TokensExist
    | EpochRefused
    | Overtaken
    | FoundPlaces
    | FoundSecrets
    | FoundHistory
    | FoundNames
    | TooLong
    | ActiveEpoch
    | Waited
)

_encoder = msgspec.msgpack.Encoder()
_asks = msgspec.msgpack.Decoder(Ask)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
_NUMBERS = np.dtype("<i8")


class Journal(msgspec.Struct, frozen=True):
    """A node's journal, as `GET /status` tells it."""

    last: int
    committed: int
    digest: str


class NodeStatus(msgspec.Struct, frozen=True):
    """What a gateway reads of `GET /peer/gateway`."""

    view: int
    chain: list[str]
    ensemble: list[str]
    journal: Journal
    health: Health


# Made before there are threads: two at once that are msgspec's first to decode a type crash the process.
_terms = msgspec.json.Decoder(Terms)
_statuses = msgspec.json.Decoder(NodeStatus)


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


def packed(places: Places) -> PackedPlaces:
    """`places` as it travels."""
    block_of, place_of = (
        array.astype(_NUMBERS, copy=False).tobytes() for array in (places.block_of, places.place_of)
    )
    return PackedPlaces(tuple(places.blocks), block_of, place_of, places.seq)


def unpacked(packed: PackedPlaces) -> Places:
    """What has travelled."""
    block_of, place_of = (
        np.frombuffer(numbers, dtype=_NUMBERS).astype(np.int64, copy=False)
        for numbers in (packed.block_of, packed.place_of)
    )
    return Places(packed.blocks, block_of, place_of, packed.seq)


def misfit(question: Question, reply: Reply) -> bool:
    """Whether a reply is none to the question, or holds what cannot be so."""
    match question, reply:
        case _, TooLong():
            return not isinstance(question, AskLookUp | AskFind | AskSecrets)
        case AskLookUp(), FoundPlaces(places):
            return not _fits((question.digests,), places)
        case AskFind(), FoundPlaces(places):
            return not _fits([digests for _, digests in question.asked], places)
        case (
            (Mint(), StaleEpoch(newest))
            | (Rotate(), EpochRefused(newest))
            | (AskEpoch(), ActiveEpoch(newest))
        ):
            return not 1 <= newest <= MAX_EPOCH
        case AskSecrets(), FoundSecrets():
            return not _answers(question, reply)
        case AskHistory(), FoundHistory(versions):
            return [mark.version for mark in versions] != list(range(1, len(versions) + 1))
        case (
            (Mint() | Rotate() | WriteSecrets(), Written())
            | (Mint(), TokensExist())
            | (WriteSecrets(), Overtaken())
            | (AskNames(), FoundNames())
            | (AskWaitFor(), Waited())
        ):
            return False
        case _:
            return True


def _answers(question: AskSecrets, found: FoundSecrets) -> bool:
    """Whether there are as many versions as were wanted, each the one that was, and no other request."""
    return (
        len(found.versions) == len(question.wanted)
        and all(
            version is None or wanted.version in {None, version.version}
            for wanted, version in zip(question.wanted, found.versions, strict=True)
        )
        and (found.request is None or found.request.request == question.request)
    )


def _fits(asked: Sequence[bytes], found: Sequence[PackedPlaces]) -> bool:
    """Whether places are as many as were asked for, and each in a block that is there."""
    return len(asked) == len(found) and all(map(_is_sound, asked, found))


def _is_sound(digests: bytes, found: PackedPlaces) -> bool:
    size = len(digests) // DIGEST_BYTES * _NUMBERS.itemsize
    if not len(found.block_of) == len(found.place_of) == size:
        return False
    places = unpacked(found)
    lengths = np.array([len(block) for block in places.blocks] or [0], dtype=np.int64)
    block, place = places.block_of, places.place_of
    there = block >= 0
    is_block = (block < len(places.blocks)).all() and (block >= -1).all()
    return bool(is_block and ((place >= 0) & (place < lengths[block]))[there].all())


def encode_terms(terms: Terms) -> str:
    """The header's text, ASCII."""
    return json.dumps(msgspec.to_builtins(terms), separators=(",", ":"))


def decode_terms(text: str | None) -> Terms:
    """The terms in a header.  Raises `VaultError` `malformed`."""
    try:
        return _terms.decode((text or "").encode("latin-1"))
    except (msgspec.DecodeError, UnicodeError):
        raise VaultError("malformed", "The request carries no terms of a gateway.") from None


def decode_status(body: bytes) -> NodeStatus:
    """What a node says of itself.  Raises `msgspec.DecodeError`, `UnicodeDecodeError`."""
    return _statuses.decode(body)
