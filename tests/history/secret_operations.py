"""Calls about secrets as clients make them, and what they are told.

Moments of versions are the vault's own, in microseconds; they tell the order of its writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

NONE_LIVE = 0
"""As a condition: that no version is valid."""

Condition = int | None
"""The version that must be valid, `NONE_LIVE`, or None: no condition."""


@dataclass(frozen=True)
class Absent:
    """These secrets have no value, or there is no such version."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Unmet:
    """The condition does not hold: this version is valid, None when none is."""

    version: int | None


@dataclass(frozen=True)
class Done:
    """The version that has the value now, since when, and whether the call began it."""

    version: int
    valid_from: int
    is_new: bool


@dataclass(frozen=True)
class Ended:
    """The version that the call ended, and when."""

    version: int
    valid_to: int


@dataclass(frozen=True)
class Mark:
    """A version and when it was valid; `valid_to` None: it is still."""

    version: int
    valid_from: int
    valid_to: int | None


@dataclass(frozen=True)
class Put:
    """The secret is to have the value."""

    kind: ClassVar[str] = "put"
    owner: str
    name: str
    value: str
    condition: Condition = None
    result: Done | Unmet | None = None


@dataclass(frozen=True)
class End:
    """The secret is to have no value."""

    kind: ClassVar[str] = "delete"
    owner: str
    name: str
    condition: Condition = None
    result: Ended | Absent | Unmet | None = None


@dataclass(frozen=True)
class PutAll:
    """All these values at one moment, if those `needed` have one then.  `result` is names with their
    versions."""

    kind: ClassVar[str] = "put-all"
    owner: str
    values: tuple[tuple[str, str], ...]
    needed: tuple[str, ...] = ()
    result: tuple[tuple[str, int], ...] | Absent | None = None


@dataclass(frozen=True)
class Get:
    """The version that is valid; or the one of a number; or the one that was valid `at` a moment.
    `result` is the version and its value."""

    kind: ClassVar[str] = "get"
    owner: str
    name: str
    version: int | None = None
    at: int | None = None
    result: tuple[Mark, str] | Absent | None = None


@dataclass(frozen=True)
class GetAll:
    """The values that these have at one moment, in this order."""

    kind: ClassVar[str] = "get-all"
    owner: str
    names: tuple[str, ...]
    result: tuple[str, ...] | Absent | None = None


@dataclass(frozen=True)
class ReadHistory:
    """All versions of a secret, oldest first; empty when it never had one."""

    kind: ClassVar[str] = "history"
    owner: str
    name: str
    result: tuple[Mark, ...] | None = None


@dataclass(frozen=True)
class ReadNames:
    """The names of the secrets that have a value, sorted."""

    kind: ClassVar[str] = "names"
    owner: str
    result: tuple[str, ...] | None = None


SecretAsked = Put | End | PutAll | Get | GetAll | ReadHistory | ReadNames
"""A call about secrets.  A call that was repeated with one idempotency key is one call."""

SECRET_KINDS = tuple(what.kind for what in (Put, End, PutAll, Get, GetAll, ReadHistory, ReadNames))


def names_in(what: SecretAsked) -> Sequence[str]:
    """The secrets that a call names."""
    match what:
        case PutAll(values=values, needed=needed):
            return [*dict(values), *(name for name in needed if name not in dict(values))]
        case GetAll(names=names):
            return names
        case ReadNames():
            return ()
        case _:
            return (what.name,)


def told_of_secrets(what: SecretAsked) -> str:
    """One line for people."""
    members = {
        member: getattr(what, member)
        for member in what.__dataclass_fields__
        if member not in {"owner", "kind", "result"} and getattr(what, member) not in {None, ()}
    }
    asked = ", ".join(f"{member} {value}" for member, value in members.items())
    answer = "?" if what.result is None else what.result
    return f"{what.owner} {what.kind} {asked} -> {answer}"
