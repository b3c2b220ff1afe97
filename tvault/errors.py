"""The refusals a user can meet, each with its code.

One exception type carries them all.  `wire.STATUS` maps a code to its HTTP status, `cli.main` maps it
to an exit code; nothing else decides either.  A refusal never carries a value, a token or a key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Code = Literal[
    "malformed",
    "unauthorized",
    "not_found",
    "method_not_allowed",
    "epoch_conflict",
    "precondition_failed",
    "too_large",
    "unsupported_media_type",
    "invalid_value",
    "unresolved",
    "collision",
    "internal",
    "unavailable",
    "overloaded",
    "key_unavailable",
    "configuration",
    "usage",
    "unreachable",
]
"""Every code.  The last three never cross HTTP: a setting that is wrong, a command line that is wrong,
a cluster that did not answer."""


@dataclass(frozen=True)
class FieldError:
    """Where in a request something is wrong: record or value position, field path if any, reason."""

    index: int
    code: str
    field: str | None = None


@dataclass
class VaultError(Exception):
    """A refusal: `code` for machines, `detail` for people, `errors` for positions inside a batch.

    `members` are further members of the problem document, such as the active epoch of an
    `epoch_conflict` or the limit of a `too_large`.  `request_id` is that of the call that failed, as
    the event logs of the nodes have it; None when none was made.
    """

    code: Code
    detail: str
    errors: tuple[FieldError, ...] = ()
    members: dict[str, Any] = field(default_factory=dict)
    request_id: str | None = field(default=None, compare=False)

    def __reduce__(self) -> tuple[type[VaultError], tuple[Any, ...]]:
        """Whole in a pickle, as the errors of worker processes are handed on."""
        return VaultError, (self.code, self.detail, self.errors, self.members, self.request_id)

    def __str__(self) -> str:
        return self.detail
