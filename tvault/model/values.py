"""Values and their canonical bytes, from which tokens are made and which are what gets sealed.

A value is a JSON string, integer, float or boolean.  Its canonical form is one tag byte and a payload:

    s  the string in UTF-8, not normalised
    i  the integer in decimal, no leading zeros, no "-0"
    f  the float as 8 bytes, IEEE 754 big endian, so that -0.0 and 0.0 differ
    b  "1" for true, "0" for false

No two values share a form, so `"1"`, `1`, `1.0` and `true` are four values.  `null` is not a value.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from typing import Final, Literal, cast

Value = str | int | float | bool

Reason = Literal[
    "object", "array", "lone_surrogate", "integer_too_long", "float_out_of_range", "too_large"
]

MAX_INTEGER_DIGITS: Final = 4300

_INTEGER_END: Final = 10**MAX_INTEGER_DIGITS
# Python may refuse to convert integers of more digits than `sys.get_int_max_str_digits()`, which can be
# set as low as 640.  Longer ones are converted piece by piece, each piece below that floor.
_PIECE_DIGITS: Final = 600
_PIECE_END: Final = 10**_PIECE_DIGITS
_INTEGER: Final = re.compile(rb"0|-?[1-9][0-9]*")
_SHORT_ESCAPES: Final = b'\b\t\n\f\r"\\'
_CONTROLS: Final = bytes(set(range(32)) - set(_SHORT_ESCAPES))
_FLOAT: Final = struct.Struct(">d")


class InvalidValue(ValueError):
    """A JSON value that cannot be tokenized: `reason` for machines, `position` in its batch (0 when it
    stood alone).  It never carries the value.
    """

    def __init__(self, reason: Reason, position: int = 0) -> None:
        super().__init__(f"value {position} cannot be tokenized: {reason}")
        self.reason: Reason = reason
        self.position = position


def encode_value(value: object, limit_bytes: int, position: int = 0) -> bytes:
    """The canonical bytes of `value`, whose payload may have up to `limit_bytes` bytes (the tag does not
    count).  Raises `InvalidValue` with `position`; `TypeError` for None and for what JSON does not have.
    """
    if isinstance(value, str):
        payload = _encode_text(value)
        tagged = None if payload is None else b"s" + payload
        if tagged is None:
            raise InvalidValue("lone_surrogate", position)
    elif isinstance(value, bool):
        tagged = b"b1" if value else b"b0"
    elif isinstance(value, int):
        if not -_INTEGER_END < value < _INTEGER_END:
            raise InvalidValue("integer_too_long", position)
        tagged = b"i" + _encode_integer(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidValue("float_out_of_range", position)
        tagged = b"f" + _FLOAT.pack(value)
    else:
        raise _refusal(value, position)
    if len(tagged) - 1 > limit_bytes:
        raise InvalidValue("too_large", position)
    return tagged


def encode_values(values: Sequence[object], limit_bytes: int) -> list[bytes]:
    """`encode_value` of each, in order.  Raises as it does, with the position of the first bad value."""
    canonicals = _encode_texts(values)
    if canonicals is not None and max(map(len, canonicals)) <= limit_bytes + 1:
        return canonicals
    return [encode_value(value, limit_bytes, position) for position, value in enumerate(values)]


def decode_value(canonical: bytes) -> Value:
    """The value, type included, of which `canonical` is the canonical form.

    Raises `ValueError` for bytes that `encode_value` never writes; the error does not carry them.
    """
    tag, payload = canonical[:1], canonical[1:]
    value: Value | None = None
    if tag == b"s":
        value = _decode_text(payload)
    elif tag == b"i":
        value = _decode_integer(payload)
    elif tag == b"f":
        value = _decode_float(payload)
    elif canonical in {b"b0", b"b1"}:
        value = canonical == b"b1"
    if value is None:
        raise ValueError("not the canonical form of a value")
    return value


def decode_values(canonicals: Sequence[bytes]) -> Sequence[Value]:
    """`decode_value` of each, in order."""
    texts = _decode_texts(canonicals)
    return [decode_value(canonical) for canonical in canonicals] if texts is None else texts


def escapes_of(canonicals: Sequence[bytes]) -> int:
    """How many bytes JSON adds to these values by escapes, at most: a control character takes six."""
    text = b"".join(canonicals)
    controls = len(text) - len(text.translate(None, _CONTROLS))
    short = len(text) - len(text.translate(None, _SHORT_ESCAPES))
    return 5 * controls + short


def _refusal(value: object, position: int) -> Exception:
    if isinstance(value, dict):
        return InvalidValue("object", position)
    if isinstance(value, (list, tuple)):
        return InvalidValue("array", position)
    return TypeError(f"not a value: {type(value).__name__}")


# A Unicode error holds the text it failed on.  Ours are raised after its handler has ended, so that they
# do not carry it along as their context.


def _encode_text(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


def _decode_text(payload: bytes) -> str | None:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


# Nearly all batches are strings without NUL.  Those are converted in one piece with NUL between them: in
# UTF-8 no other character has that byte.


def _encode_texts(values: Sequence[object]) -> list[bytes] | None:
    """The canonical bytes of a batch of strings; None for any other batch."""
    if set(map(type, values)) != {str}:
        return None
    joined = _encode_text("s" + "\0s".join(cast("Sequence[str]", values)))
    canonicals = [] if joined is None else joined.split(b"\0")
    return canonicals if len(canonicals) == len(values) else None


def _decode_texts(canonicals: Sequence[bytes]) -> list[str] | None:
    """The strings of a batch of them; None for any other batch."""
    joined = b"\0" + b"\0".join(canonicals)
    if not joined.count(b"\0") == joined.count(b"\0s") == len(canonicals):
        return None
    text = _decode_text(joined)
    return None if text is None else text.split("\0s")[1:]


def _encode_integer(value: int) -> bytes:
    if -_PIECE_END < value < _PIECE_END:
        return b"%d" % value
    pieces: list[bytes] = []
    rest = abs(value)
    while rest >= _PIECE_END:
        rest, piece = divmod(rest, _PIECE_END)
        pieces.append(b"%0*d" % (_PIECE_DIGITS, piece))
    pieces.append(b"-%d" % rest if value < 0 else b"%d" % rest)
    return b"".join(reversed(pieces))


def _decode_integer(payload: bytes) -> int | None:
    if not _INTEGER.fullmatch(payload):
        return None
    digits = payload.removeprefix(b"-")
    if len(digits) > MAX_INTEGER_DIGITS:
        return None
    if len(digits) <= _PIECE_DIGITS:
        return int(payload)
    value = 0
    for start in range(0, len(digits), _PIECE_DIGITS):
        piece = digits[start : start + _PIECE_DIGITS]
        value = value * 10 ** len(piece) + int(piece)
    return -value if payload.startswith(b"-") else value


def _decode_float(payload: bytes) -> float | None:
    if len(payload) != _FLOAT.size:
        return None
    value: float = _FLOAT.unpack(payload)[0]
    return value if math.isfinite(value) else None
