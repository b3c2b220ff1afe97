"""Calls about secrets, as simulated clients make them, and what they are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tests.history.operations import Asked
from tests.history.record import kind_of as kind_of_token_call
from tvault.model.secret_looks import VersionMark, Wanted
from tvault.server.preconditions import Condition
from tvault.server.secret_vault import DeleteDone, PutDone, Secret


@dataclass(frozen=True)
class Refusal:
    """The answer is no, for this reason: nothing was or will be done.

    `version` is the one that was valid when a condition failed, `names` those that have no value.
    """

    code: str
    version: int | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class PutSecret:
    """`key` is the idempotency key, None without one."""

    kind: ClassVar[str] = "put"
    owner: str
    name: str
    value: str
    condition: Condition
    key: str | None
    result: PutDone | Refusal | None = None


@dataclass(frozen=True)
class EndSecret:
    """Ends the version that is valid."""

    kind: ClassVar[str] = "delete"
    owner: str
    name: str
    condition: Condition
    key: str | None
    result: DeleteDone | Refusal | None = None


@dataclass(frozen=True)
class PutSecrets:
    """Several at once, if those `needed` have a value; `result` has names with their versions."""

    kind: ClassVar[str] = "put several"
    owner: str
    values: tuple[tuple[str, str], ...]
    needed: tuple[str, ...]
    key: str | None
    result: tuple[tuple[str, int], ...] | Refusal | None = None


@dataclass(frozen=True)
class GetSecret:
    """A version of a secret."""

    kind: ClassVar[str] = "get"
    owner: str
    wanted: Wanted
    result: Secret | Refusal | None = None


@dataclass(frozen=True)
class GetSecrets:
    """The values that several have at one moment, or which of them have none."""

    kind: ClassVar[str] = "get several"
    owner: str
    names: tuple[str, ...]
    result: tuple[tuple[str, str], ...] | Refusal | None = None


@dataclass(frozen=True)
class ReadHistory:
    """All versions of a secret."""

    kind: ClassVar[str] = "history"
    owner: str
    name: str
    result: tuple[VersionMark, ...] | Refusal | None = None


@dataclass(frozen=True)
class ReadNames:
    """The names of the secrets that have a value."""

    kind: ClassVar[str] = "names"
    owner: str
    result: tuple[str, ...] | None = None


SecretWrite = PutSecret | EndSecret | PutSecrets
SecretRead = GetSecret | GetSecrets | ReadHistory | ReadNames
SecretCall = SecretWrite | SecretRead
AnyCall = Asked | SecretCall


def kind_of(what: AnyCall) -> str:
    """The kind under which a call is counted: one about secrets that was refused has a kind of its
    own."""
    if isinstance(what, SecretCall):
        return what.result.code if isinstance(what.result, Refusal) else what.kind
    return kind_of_token_call(what)
