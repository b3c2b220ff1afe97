"""What calls about secrets have in common: what their requests may look like, and what is taken out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import parse_qsl

from tvault.errors import VaultError
from tvault.model.secret_looks import LARGEST, Wanted
from tvault.server.calls import Calls, EventSink
from tvault.server.moments import moment_in
from tvault.server.secret_vault import SecretVault
from tvault.server.web import Call
from tvault.wire import IDEMPOTENCY_KEY, Limits, sane_idempotency_key, valid_secret_name

_IGNORED: Final = "owner_id"
_VERSION: Final = "version"
_AT: Final = "at"


class VaultCalls(Calls):
    """The calls of one subject over the owners' secrets."""

    def __init__(
        self,
        vault: SecretVault,
        limits: Limits,
        clock: Callable[[], float],
        record: EventSink,
        request_seconds: float,
    ) -> None:
        super().__init__(clock, record, request_seconds)
        self._vault = vault
        self._limits = limits


def key_of(call: Call) -> str | None:
    """The request's `Idempotency-Key`, None without one.  Raises `VaultError` `malformed`."""
    key = call.headers.get(IDEMPOTENCY_KEY)
    if key is not None and not sane_idempotency_key(key):
        raise VaultError(
            "malformed",
            f"The header {IDEMPOTENCY_KEY} must be 1 to 255 printable characters of ASCII, no blanks.",
        )
    return key


def refuse_name(name: str) -> None:
    """Raise `VaultError` `invalid_value` when no secret can have this name."""
    if not valid_secret_name(name):
        raise VaultError(
            "invalid_value",
            "The name of a secret must have 1 to 128 of A-Z a-z 0-9 _ . - and begin with a letter or _.",
        )


def encoded_value(value: str, limits: Limits) -> bytes:
    """The bytes of a secret's value.  Raises `VaultError` `invalid_value` or `too_large`."""
    refusal: VaultError
    most = limits.secret_bytes
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        refusal = VaultError("invalid_value", "The value of a secret holds half of a surrogate pair.")
    else:
        if len(encoded) <= most:
            return encoded
        members = {"limit": most, "limit_name": "secret_bytes"}
        refusal = VaultError(
            "too_large", f"The value of a secret has at most {most} bytes.", members=members
        )
    raise refusal  # out here, so that it does not carry the codec's error, which holds the value


def wanted_of(call: Call, name: str) -> Wanted:
    """Which version of the secret the query asks for: one of `version` and `at`, or the current one."""
    query = members_of_query(call, (_VERSION, _AT))
    if len(query) > 1:
        raise VaultError("malformed", "The query may have one of version and at, not both.")
    if _VERSION in query:
        return Wanted(name, version=_number(query[_VERSION]))
    if _AT in query:
        return Wanted(name, at=_moment(query[_AT]))
    return Wanted(name)


def members_of_query(call: Call, known: Collection[str] = ()) -> dict[str, str]:
    """The members of the query, `owner_id` left out.  Raises `VaultError` `malformed` for one that is
    not `known` or stands twice."""
    members: dict[str, str] = {}
    if not call.query:
        return members
    for name, text in _pairs(call.query):
        if name == _IGNORED:
            continue
        if name not in known:
            told = ", ".join(known) or "none"
            raise VaultError("malformed", f"The query has an unknown member; known here: {told}.")
        if name in members:
            raise VaultError("malformed", f"The member {name} of the query stands twice.")
        members[name] = text
    return members


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise VaultError("malformed", "The query has too many members.") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise VaultError("malformed", "The member version of the query must be a number.")
    return int(text) if len(text) < len(str(LARGEST)) else LARGEST


def _moment(text: str) -> int:
    moment = moment_in(text)
    if moment is None:
        raise VaultError(
            "malformed",
            "The member at of the query must be a date and time as RFC 3339 has them, such as"
            " 2026-11-26T01:22:02.123456Z; a + in it is written %2B.",
        )
    return min(max(moment, 0), LARGEST)  # nothing began before 1970
