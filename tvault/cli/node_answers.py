"""What running nodes answer of their state and of a check, as far as it is gone by here.

Another program may listen where a node is expected, or a node of another version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from tvault.errors import VaultError

_Told = TypeVar("_Told")


class Found(msgspec.Struct):
    """What a check has found."""

    where: str
    what: str
    seq: int | None = None


class Checking(msgspec.Struct):
    """How far a check has come, and in the end what it came to."""

    run: str
    is_done: bool
    upto: int
    checked: int
    rows: dict[str, int]
    findings: list[Found]
    seconds: float
    failure: str | None = None


class Digest(msgspec.Struct):
    """Of the journal, at an entry."""

    digest: str


class Counting(msgspec.Struct):
    """How far the count of blocks has come."""

    counted: int
    of: int


class _Journal(msgspec.Struct):
    last: int
    committed: int
    digest: str
    tokens: int
    blocks: int


class _Epoch(msgspec.Struct):
    epoch: int
    tokens: int
    blocks: int


class _Secrets(msgspec.Struct):
    names: int
    versions: int
    ended: int


class _Owner(msgspec.Struct):
    owner: str
    active: int
    epochs: list[_Epoch]
    secrets: _Secrets


class _Sizes(msgspec.Struct):
    journal: int
    wal: int
    index: int
    events: int
    set_aside: int


class Holdings(msgspec.Struct):
    """What a node holds, once all is counted."""

    journal: _Journal
    owners: list[_Owner]
    unconfigured: list[str]
    sizes: _Sizes
    free: int


def understood(answer: Mapping[str, Any], kind: type[_Told]) -> _Told:
    """The answer as what it has to be.  Raises `VaultError` (`internal`) when it is no such thing."""
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError:
        raise VaultError("internal", "what answers is no node of this version") from None
