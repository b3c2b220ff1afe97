r"""How a value is written into a `.env` file so that it is read back exactly.

Double quotes carry every text, so nothing is ever refused.  A carriage return is written as `\r`, in
double quotes only: programs that read the file in Python's text mode get every other one as a newline.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from tvault.model.envfile import Quote, Value, decoded, value_at

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
"""What needs no quotes, neither here nor in a shell."""


class Piece(msgspec.Struct, frozen=True):
    """A part of a value: as it is written in the content, or as `text` that is put in."""

    text: str
    is_put_in: bool

    def __repr__(self) -> str:
        return "<Piece>"


def rewritten(value: Value, pieces: Sequence[Piece]) -> tuple[int, int, str]:
    """The span of the content to change, and what to write there, so that the value becomes these
    pieces together.

    Only the place of what is put in changes if the value's own quotes carry it; else the whole value
    is written anew.  One that is put in whole gets quotes as it needs them.
    """
    outer = len(value.quote)
    start, end = value.start - outer, value.end + outer
    wanted = "".join(
        piece.text if piece.is_put_in else decoded(piece.text, value.quote) for piece in pieces
    )
    for write in _ways(value, pieces):
        written = write(value, pieces)
        if reads_back(written, wanted, follows_blank=value.follows_blank):
            return start, end, written
    raise AssertionError("double quotes carry everything")


def reads_back(written: str, wanted: str, *, follows_blank: bool) -> bool:
    """Whether `written`, after an `=` and perhaps a blank, is read as `wanted`."""
    try:
        value, _ = value_at(("= " if follows_blank else "=") + written, 1)
    except ValueError:
        return False
    return value.text == wanted


_Way = Callable[[Value, Sequence[Piece]], str]


def _ways(value: Value, pieces: Sequence[Piece]) -> list[_Way]:
    """The ways to write the pieces, in the order of trying."""
    put_in = [piece.text for piece in pieces if piece.is_put_in]
    has_return = any("\r" in text for text in put_in)
    if value.quote == '"':
        return [_in_place, _double]
    if value.quote == "'":
        return [_double] if has_return else [_in_place, _single, _double]
    if has_return:
        return [_double]
    if len(pieces) > 1 or _PLAIN.fullmatch(put_in[0]) or put_in[0].endswith("\\"):
        # Before 1.2.3 python-dotenv took a backslash before the closing quote for one that escapes it.
        return [_in_place, _single, _double]
    return [_single, _double]


def _in_place(value: Value, pieces: Sequence[Piece]) -> str:
    inner = "".join(
        _escaped(piece.text, value.quote) if piece.is_put_in else piece.text for piece in pieces
    )
    return value.quote + inner + value.quote


def _single(value: Value, pieces: Sequence[Piece]) -> str:
    return "'" + "".join(_anew(piece, value.quote, "'") for piece in pieces) + "'"


def _double(value: Value, pieces: Sequence[Piece]) -> str:
    return '"' + "".join(_anew(piece, value.quote, '"') for piece in pieces) + '"'


def _anew(piece: Piece, old: Quote, new: Quote) -> str:
    """A piece in other quotes; what was written stays so, its line ends included."""
    if piece.is_put_in:
        return _escaped(piece.text, new)
    return _without_ends(decoded(piece.text, old), new)


def _escaped(text: str, quote: Quote) -> str:
    escaped = _without_ends(text, quote)
    return escaped.replace("\r", "\\r") if quote == '"' else escaped


def _without_ends(text: str, quote: Quote) -> str:
    """`text` with those characters escaped that would end the quotes, or the text before them."""
    return text.replace("\\", "\\\\").replace(quote, "\\" + quote) if quote else text
