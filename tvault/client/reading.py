"""Documents of answers, read strictly: what is not the answer to the call is a `ValueError`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgspec

from tvault import wire
from tvault.client.answers import DetokenizedJson, TokenizedJson

T = TypeVar("T")


@cache
def _decoder(shape: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


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
        quickly: T = _decoder(shape).decode(body)  # type: ignore[arg-type]
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
