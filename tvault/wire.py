"""What client and server say to each other over HTTP: paths, JSON, codes, problem documents.

JSON goes both ways exactly.  Integers stay integers of any length up to `INTEGER_DIGITS`, floats are
IEEE doubles (`-0.0` and `1.0` keep their sign and type), strings are not normalised, and a lone
surrogate that arrives as an escape leaves as one.  Of two members with one name the last one holds.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from tvault.errors import Code, FieldError, VaultError
from tvault.model.secret_names import NAME_PATTERN

TOKENIZE = "/tokenize"
DETOKENIZE = "/detokenize"
LOOKUP = "/lookup"
RETOKENIZE = "/retokenize"
EPOCH = "/epoch"
ROTATE_EPOCH = "/rotate-epoch"
HEALTH = "/health"
STATUS_PATH = "/status"
SECRETS = "/secrets"
ENV_ENCRYPT = "/env/encrypt"
ENV_EXPAND = "/env/expand"

PEER_HELLO = "/peer/hello"
PEER_STREAM = "/peer/stream"
PEER_STATUS = "/peer/status"
PEER_ENGINE = "/peer/engine"
PEER_GATEWAY = "/peer/gateway"
PEER_EVENTS = "/peer/events"
PEER_STATE = "/peer/state"
PEER_VERIFY = "/peer/verify"
PEER_JOURNAL = "/peer/journal"
METRICS = "/metrics"
"""The paths of the peer port, for nodes and for operators with the cluster's secret."""

JSON_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"
REQUEST_ID = "Request-Id"
IDEMPOTENCY_KEY = "Idempotency-Key"
IF_MATCH = "If-Match"
IF_NONE_MATCH = "If-None-Match"
RETRY_AFTER_SECONDS = 1
"""What every 503 says in `Retry-After`."""

INTEGER_DIGITS = 4300
"""Most digits of an integer."""

STATUS: dict[Code, int] = {
    "malformed": 400,
    "unauthorized": 401,
    "not_found": 404,
    "method_not_allowed": 405,
    "epoch_conflict": 409,
    "precondition_failed": 412,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid_value": 422,
    "unresolved": 422,
    "collision": 500,
    "internal": 500,
    "unavailable": 503,
    "overloaded": 503,
    "key_unavailable": 503,
}
"""The HTTP status of each code that crosses HTTP."""

TITLES: dict[Code, str] = {
    "malformed": "The request is malformed",
    "unauthorized": "No valid API key",
    "not_found": "Not found",
    "method_not_allowed": "Method not allowed",
    "epoch_conflict": "The epoch is another one",
    "precondition_failed": "The precondition failed",
    "too_large": "The request is over a limit",
    "unsupported_media_type": "The body is not application/json",
    "invalid_value": "A value cannot be taken",
    "unresolved": "A name is not resolved",
    "collision": "Two values have one token",
    "internal": "Internal error",
    "unavailable": "The cluster cannot answer now",
    "overloaded": "The node is busy",
    "key_unavailable": "A key is not available",
}
"""A line for people about each code, the same whenever the code is."""

_CODE_OF_STATUS: dict[int, Code] = {status: code for code, status in reversed(STATUS.items())} | {
    500: "internal"
}
_PROBLEM_MEMBERS = frozenset({"type", "title", "status", "detail", "code", "errors"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
_SECRET_NAME = re.compile(NAME_PATTERN)


@dataclass(frozen=True)
class Limits:
    """The limits that a refusal `too_large` names: its member `limit_name` is one of these fields,
    its member `limit` the number.
    """

    values_per_request: int = 10_000
    """Values of one request; for records, the values that are there in configured fields."""

    body_bytes: int = 16 * 1024 * 1024
    """Bytes of a request's body."""

    value_bytes: int = 64 * 1024
    """Bytes of one value: of a string in UTF-8, of an integer in decimal."""

    secret_bytes: int = 1024 * 1024
    """Bytes of one secret's value in UTF-8."""

    lookups_per_request: int = 100_000
    """Values of one lookup times the epochs of the owner."""

    requests_at_once: int = 16
    """Requests that a node works on at once; one more is answered 503 `overloaded`."""


@dataclass(frozen=True)
class Unrepresentable:
    """Stands in decoded JSON for a number that cannot be handed back exactly.

    `reason` is `integer_too_long` or `float_out_of_range`, as in `model.values`.
    """

    reason: str


def decode_json(body: bytes) -> object:
    """The JSON document in `body`.

    Raises `VaultError` `malformed` when it is not JSON in UTF-8 (a byte order mark, NaN, Infinity and
    very deep nesting are not), `invalid_value` when it holds a number that cannot be handed back.
    """
    document, marked = decode_marked(body)
    if marked:
        raise VaultError("invalid_value", "The JSON document holds a number that is out of range.")
    return document


def decode_marked(body: bytes) -> tuple[object, bool]:
    """The JSON document in `body`, with `Unrepresentable` in the place of each number that cannot be
    handed back, and whether there is such a mark.

    Raises `VaultError` `malformed` as `decode_json` does.
    """
    try:
        return msgspec.json.decode(body), False
    except (ValueError, RecursionError):
        pass  # the slow way says whether it is JSON all the same
    reason: str
    try:
        return _decode_slowly(body)
    except UnicodeDecodeError as error:
        reason = f"The body is not UTF-8 (byte {error.start})."
    except json.JSONDecodeError as error:
        reason = f"The body is not JSON (line {error.lineno}, column {error.colno})."
    except RecursionError:
        reason = "The JSON document is nested too deeply."
    except ValueError:
        reason = "The body is not JSON: NaN and Infinity are no JSON numbers."
    # Raised out here so that the refusal does not carry the decoder's error, which holds the text.
    raise VaultError("malformed", reason)


def _decode_slowly(body: bytes) -> tuple[object, bool]:
    """What msgspec refuses and JSON does not: lone surrogates and numbers out of range."""
    marks: list[Unrepresentable] = []

    def mark(reason: str) -> Unrepresentable:
        marks.append(Unrepresentable(reason))
        return marks[-1]

    def parse_int(text: str) -> int | Unrepresentable:
        if len(text.lstrip("-")) > INTEGER_DIGITS:
            return mark("integer_too_long")
        try:
            return int(text)
        except ValueError:  # an interpreter set to a lower limit
            return mark("integer_too_long")

    def parse_float(text: str) -> float | Unrepresentable:
        number = float(text)
        return number if math.isfinite(number) else mark("float_out_of_range")

    def refuse(name: str) -> NoReturn:
        raise ValueError(name)

    # `str` first: given bytes, the decoder would guess an encoding and take a byte order mark.
    text = body.decode("utf-8")
    document = json.loads(text, parse_int=parse_int, parse_float=parse_float, parse_constant=refuse)
    return document, bool(marks)


def encode_json(document: object) -> bytes:
    """Compact JSON in UTF-8.

    Raises `VaultError` `malformed` when the document is nested too deeply, `invalid_value` when it
    holds a number that JSON cannot carry.
    """
    refusal: VaultError
    try:
        return msgspec.json.encode(document)
    except RecursionError:
        refusal = VaultError("malformed", "The JSON document is nested too deeply.")
    except (UnicodeEncodeError, ValueError, OverflowError):
        return _encode_slowly(document)  # a lone surrogate: it must go out as the escape it came in
    raise refusal


def _encode_slowly(document: object) -> bytes:
    refusal: VaultError
    try:
        text = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        return text.encode("ascii")
    except RecursionError:
        refusal = VaultError("malformed", "The JSON document is nested too deeply.")
    except ValueError:
        refusal = VaultError("invalid_value", "The JSON document holds a number that is out of range.")
    raise refusal


def sane_request_id(text: str | None) -> bool:
    """Whether a client's `Request-Id` is taken over: 1 to 64 of `A-Z a-z 0-9 . _ -`."""
    return text is not None and _REQUEST_ID.fullmatch(text) is not None


def sane_idempotency_key(text: str) -> bool:
    """Whether an `Idempotency-Key` is taken: 1 to 255 printable characters of ASCII, no blanks."""
    return _IDEMPOTENCY_KEY.fullmatch(text) is not None


def valid_secret_name(text: str) -> bool:
    """Whether a secret can have this name: 1 to 128 of `A-Z a-z 0-9 _ . -`, first a letter or `_`."""
    return _SECRET_NAME.fullmatch(text) is not None


def problem(error: VaultError) -> dict[str, Any]:
    """The problem document (RFC 9457) that tells a client of `error`.

    A code that does not cross HTTP becomes `internal`, without its detail.
    """
    if error.code not in STATUS:
        return problem(VaultError("internal", "The request failed inside the server."))
    document: dict[str, Any] = {
        "type": f"urn:tvault:problem:{error.code}",
        "title": TITLES[error.code],
        "status": STATUS[error.code],
        "detail": error.detail,
        "code": error.code,
    }
    if error.errors:
        document["errors"] = [_error_entry(entry) for entry in error.errors]
    document.update((name, value) for name, value in error.members.items() if name not in document)
    return document


def _error_entry(entry: FieldError) -> dict[str, Any]:
    field = {} if entry.field is None else {"field": entry.field}
    return {"index": entry.index, **field, "code": entry.code}


def error_from_problem(status: int, body: bytes) -> VaultError:
    """The refusal that an answer of `status` with `body` tells of.  Never raises.

    What is not a problem document of a tvault node (a proxy's page, an empty body) gets the code that
    fits its status: `unavailable` for 502, 503 and 504, `malformed` for an unknown 4xx, else
    `internal`.
    """
    try:
        document = decode_json(body)
    except VaultError:
        document = None
    known = document if isinstance(document, dict) else {}
    code = known.get("code")
    if not isinstance(code, str) or code not in STATUS:
        return VaultError(_code_of(status), f"The server answered with HTTP status {status}.")
    detail = known.get("detail")
    entries = known.get("errors")
    return VaultError(
        code=code,
        detail=detail if isinstance(detail, str) else TITLES[code],
        errors=tuple(_error_entries(entries if isinstance(entries, list) else [])),
        members={name: value for name, value in known.items() if name not in _PROBLEM_MEMBERS},
    )


def _error_entries(entries: list[Any]) -> list[FieldError]:
    found = []
    for entry in entries:
        match entry:
            case {"index": int(index), "code": str(code), "field": str(field)}:
                found.append(FieldError(index, code, field))
            case {"index": int(index), "code": str(code)}:
                found.append(FieldError(index, code))
    return found


def _code_of(status: int) -> Code:
    if status in {502, 504}:
        return "unavailable"
    if status in _CODE_OF_STATUS:
        return _CODE_OF_STATUS[status]
    return "malformed" if 400 <= status < 500 else "internal"
