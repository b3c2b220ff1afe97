"""What the calls of a vault give back.

An answer that is shown tells how many values it holds, not which: so none ends up in a log.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from tvault.wire import encode_json

Value = str | int | float | bool


def as_text(value: Value) -> str:
    """The value where everything is text, as in CSV: a text as it is, numbers and booleans as JSON."""
    return value if isinstance(value, str) else encode_json(value).decode("ascii")


class Tokenized(msgspec.Struct, frozen=True):
    """Tokens in the order of the values; None for None."""

    epoch: int
    tokens: list[str | None]


class TokenizedRecords(msgspec.Struct, frozen=True):
    """The records in their order, tokens in the configured fields, the rest as it was."""

    epoch: int
    records: list[dict[str, Any]]

    def __repr__(self) -> str:
        return f"TokenizedRecords(epoch={self.epoch}, records=<{len(self.records)}>)"


class TokenizedJson(msgspec.Struct, frozen=True):
    """As `TokenizedRecords`, each record as the JSON text that the server sent."""

    epoch: int
    records: list[msgspec.Raw]

    def __repr__(self) -> str:
        return f"TokenizedJson(epoch={self.epoch}, records=<{len(self.records)}>)"


class Detokenized(msgspec.Struct, frozen=True):
    """Values in the order of the tokens; None for None, and at the positions in `not_found`."""

    values: list[Any]
    not_found: list[int]

    def __repr__(self) -> str:
        return f"Detokenized(values=<{len(self.values)}>, not_found={self.not_found})"


class MissingField(msgspec.Struct, frozen=True):
    """Where a token was not found: the record's position and the field's path."""

    record: int
    field: str


class DetokenizedRecords(msgspec.Struct, frozen=True):
    """The records in their order, values in the configured fields; a token that was not found stands
    where it stood."""

    records: list[dict[str, Any]]
    not_found: list[MissingField]

    def __repr__(self) -> str:
        return f"DetokenizedRecords(records=<{len(self.records)}>, not_found={self.not_found})"


class DetokenizedJson(msgspec.Struct, frozen=True):
    """As `DetokenizedRecords`, each record as the JSON text that the server sent."""

    records: list[msgspec.Raw]
    not_found: list[MissingField]

    def __repr__(self) -> str:
        return f"DetokenizedJson(records=<{len(self.records)}>, not_found={self.not_found})"


class Retokenized(msgspec.Struct, frozen=True):
    """Tokens of the active epoch in the order of those given; None for None, and at the positions in
    `not_found`."""

    epoch: int
    tokens: list[str | None]
    not_found: list[int]


class Rotated(msgspec.Struct, frozen=True):
    """The active epoch, and whether this call made it so."""

    epoch: int
    rotated: bool


class Journal(msgspec.Struct, frozen=True):
    """How far a node is: its last entry, the last one that it knows to be committed, and the digest of
    all up to there."""

    last: int
    committed: int
    digest: str


class Status(msgspec.Struct, frozen=True):
    """What a node says of itself: its name, its role (`head`, `middle`, `tail`, `single` or `outside`),
    the number of its view, the nodes of the chain from head to tail, all nodes, and its journal."""

    node: str
    role: str
    view: int
    chain: list[str]
    ensemble: list[str]
    journal: Journal


class SecretPut(msgspec.Struct, frozen=True):
    """The version of a secret that holds the value that was put, since when it does, and whether this
    put made it: not when the value was the same already."""

    name: str
    version: int
    valid_from: datetime
    created: bool


class Secret(msgspec.Struct, frozen=True):
    """A version of a secret: its value, and from when until when it was valid; `valid_to` is the first
    moment when it was not any more, None while it is."""

    name: str
    value: str
    version: int
    valid_from: datetime
    valid_to: datetime | None

    def __repr__(self) -> str:
        return f"Secret(name={self.name!r}, value=…, version={self.version})"


class SecretVersion(msgspec.Struct, frozen=True):
    """A version without its value, and the id of the master key that wraps its data key."""

    version: int
    valid_from: datetime
    valid_to: datetime | None
    key_id: str


class SecretDeleted(msgspec.Struct, frozen=True):
    """The version that was a secret's last one, and the moment from which it is not valid any more."""

    name: str
    version: int
    valid_to: datetime


class StoredSecret(msgspec.Struct, frozen=True):
    """A secret that a `.env` content refers to, and the version that holds the value given there."""

    name: str
    version: int


class EnvEncrypted(msgspec.Struct, frozen=True):
    """A `.env` content with references in the place of values, and the secrets that it had stored.

    What was not marked is in it as it was: it may still hold what is nobody else's business.
    """

    content: str
    stored: list[StoredSecret]

    def __repr__(self) -> str:
        return f"EnvEncrypted(content=…, stored={self.stored})"
