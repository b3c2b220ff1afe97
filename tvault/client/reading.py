"""Documents of answers, read strictly: what is not the answer to the call is a `ValueError`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from tvault import wire
from tvault.client.answers import (
    Detokenized,
    DetokenizedJson,
    DetokenizedRecords,
    EnvEncrypted,
    Retokenized,
    Rotated,
    Secret,
    SecretDeleted,
    SecretPut,
    SecretVersion,
    Status,
    Tokenized,
    TokenizedJson,
    TokenizedRecords,
)

T = TypeVar("T")


class One(msgspec.Struct):
    """The value of one token."""

    value: Any


class Known(msgspec.Struct):
    """The tokens that values have, by epoch."""

    tokens: list[dict[int, str]]


class Epoch(msgspec.Struct):
    """The active epoch."""

    epoch: int


class Health(msgspec.Struct):
    """Whether a node can take writes."""

    status: str


class History(msgspec.Struct):
    """All versions of a secret."""

    versions: list[SecretVersion]


class Names(msgspec.Struct):
    """The names of secrets."""

    names: list[str]


class Expanded(msgspec.Struct):
    """A `.env` content with values in it."""

    content: str


_SHAPES: Final[tuple[type[Any], ...]] = (
    *(Tokenized, TokenizedRecords, TokenizedJson, Detokenized, DetokenizedRecords, DetokenizedJson),
    *(Retokenized, Rotated, Status, One, Known, Epoch, Health),
    *(Secret, SecretPut, SecretDeleted, History, Names, EnvEncrypted, Expanded),
)

# Made here, not when a thread needs one: two at once that are msgspec's first to decode a type crash
# the process.
_DECODERS: Final = {shape: msgspec.json.Decoder(shape) for shape in _SHAPES}


def reader(shape: type[T], listed: str | None = None, count: int = 0) -> Callable[[bytes], T]:
    """Reads an answer of `shape` whose member `listed` holds as many entries as were asked about.

    It raises `ValueError`, or `VaultError` for what is no JSON.
    """

    def read(body: bytes) -> T:
        document = _decoded(body, shape)
        if listed is not None and len(getattr(document, listed)) != count:
            raise ValueError("another number of entries")
        return document

    return read


def _decoded(body: bytes, shape: type[T]) -> T:
    try:
        quickly: T = _DECODERS[shape].decode(body)
    except (ValueError, RecursionError):
        # A lone surrogate, which only the slow decoder takes, or no answer of ours.
        return _decoded_slowly(body, shape)
    return quickly


def _decoded_slowly(body: bytes, shape: type[T]) -> T:
    document: Any = wire.decode_json(body)
    has_texts = shape is TokenizedJson or shape is DetokenizedJson
    if has_texts and isinstance(document, dict) and isinstance(document.get("records"), list):
        texts = [msgspec.Raw(wire.encode_json(record)) for record in document["records"]]
        document = {**document, "records": texts}
    return msgspec.convert(document, shape)
