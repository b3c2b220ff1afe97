r"""The grammar of `.env` files: that of python-dotenv 1.2.4 without interpolation, with the place of
every value, so that one can be changed and every other character stays.

    content   one definition a line; blank lines and lines that begin with `#` are skipped, and so is a
              byte order mark at the very beginning; lines end with LF, CRLF or CR
    line      [`export` blanks] name [blanks `=` blanks [value]] [blanks] [`#` comment]
    name      anything up to a blank, `=` or `#`; or anything but `'` between `'` and `'`
    value     `'…'`: `\` and `\'` stand for the second character
              `"…"`: so do `\`, `\'`, `\"`, and `\a \b \f \n \r \t \v` for controls as in Python
              anything else up to the end of the line, or up to the first `#` that follows a blank,
              without the blanks at its end

Every other backslash stands for itself, but in quotes the character after it never ends them.  Quoted
names and values may go on over several lines.  A name without `=` has no value; `NAME= # comment` has
the empty one.  Blanks are what `str.isspace` says.

What does not fit is *unreadable* up to the end of the line where it stops fitting: python-dotenv warns
of it and skips it.  All work here is linear in the length of the content.
"""

from __future__ import annotations

import re
import sys
from typing import Final, Literal

import msgspec

Quote = Literal["", "'", '"']

BYTE_ORDER_MARK: Final = "\ufeff"

_BLANKS: Final = re.compile(r"\s*")
_BLANKS_IN_LINE: Final = re.compile(r"[^\S\r\n]*")
_EXPORT: Final = re.compile(r"export[^\S\r\n]+")
_NAME: Final = re.compile(r"[^=#\s]+")
_REST_OF_LINE: Final = re.compile(r"[^\r\n]*")
_COMMENT_IN_VALUE: Final = re.compile(r"\s#")
_END_OF_LINE: Final = re.compile(r"[^\S\r\n]*(?:#[^\r\n]*)?(?:\r\n|\r|\n|\Z)")
_UNREADABLE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)?")

_QUOTES: Final[dict[str, Quote]] = {"'": "'", '"': '"'}
_ESCAPES: Final[dict[Quote, re.Pattern[str]]] = {
    "'": re.compile(r"\\([\\'])"),
    '"': re.compile(r"""\\([\\'"abfnrtv])"""),
}
_CONTROLS: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Value(msgspec.Struct, frozen=True):
    """A value as it stands in the content: `content[start:end]`, without the quotes around it.

    An empty value without quotes stands directly after the `=`.  `follows_blank`: there are blanks
    between the `=` and the value.
    """

    text: str
    quote: Quote
    start: int
    end: int
    follows_blank: bool

    def __repr__(self) -> str:
        return f"<Value at {self.start}:{self.end}>"


class Binding(msgspec.Struct, frozen=True):
    """A name and its value, None when there is no `=`.  The line, counted from 1, or the lines are
    `content[start:end]`, with what ends them, without blanks before."""

    name: str
    line: int
    start: int
    end: int
    value: Value | None


class Unreadable(msgspec.Struct, frozen=True):
    """`content[start:end]`, which begins on `line`, defines nothing."""

    line: int
    start: int
    end: int


class EnvFile(msgspec.Struct, frozen=True):
    """All that a content defines, in order, and what in it cannot be read."""

    bindings: tuple[Binding, ...]
    unreadable: tuple[Unreadable, ...]


class _Misfit(Exception):
    """The content does not fit the grammar from `at` on."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at


class TooMany(Exception):
    """There is, or would be, more in a content than may be there."""


def parse(content: str, most: int = sys.maxsize) -> EnvFile:
    """What the content says.  Raises `TooMany` for more than `most` lines that are not blank."""
    bindings: list[Binding] = []
    unreadable: list[Unreadable] = []
    at = len(BYTE_ORDER_MARK) if content.startswith(BYTE_ORDER_MARK) else 0
    counted, line = at, 1
    while (start := _end(_BLANKS, content, at)) < len(content):
        line += _newlines(content, counted, start)
        counted = start
        most -= 1
        if most < 0:
            raise TooMany
        try:
            binding, at = _line_at(content, start, line)
        except _Misfit as misfit:
            at = _end(_UNREADABLE, content, misfit.at)
            unreadable.append(Unreadable(line, start, at))
        else:
            if binding is not None:
                bindings.append(binding)
    return EnvFile(tuple(bindings), tuple(unreadable))


def decoded(written: str, quote: Quote) -> str:
    """What stands for itself or is escaped in `written`, a part of a value in these quotes."""
    if not quote or "\\" not in written:
        return written
    return _ESCAPES[quote].sub(lambda found: _CONTROLS.get(found[1], found[1]), written)


def value_at(content: str, after_equals: int) -> tuple[Value, int]:
    """The value that follows an `=`, and where its closing quote or last character has passed.

    Raises `ValueError` when a quote is not closed.
    """
    start = _end(_BLANKS_IN_LINE, content, after_equals)
    follows_blank = start > after_equals
    first = content[start : start + 1]
    quote = _QUOTES.get(first)
    if quote is not None:
        closing = _closing_quote(content, start + 1, quote)
        text = decoded(content[start + 1 : closing], quote)
        return Value(text, quote, start + 1, closing, follows_blank), closing + 1
    if first in {"", "\r", "\n"} or (follows_blank and first == "#"):
        return Value("", "", after_equals, after_equals, follows_blank=False), after_equals
    end = _end(_REST_OF_LINE, content, start)
    comment = _COMMENT_IN_VALUE.search(content, start, end)
    text = content[start : comment.start() if comment else end].rstrip()
    return Value(text, "", start, start + len(text), follows_blank), start + len(text)


def _line_at(content: str, start: int, line: int) -> tuple[Binding | None, int]:
    """The binding at `start`, None for a comment, and where the next line begins."""
    if content[start] == "#":
        return None, _end_of_line(content, start)
    exported = _EXPORT.match(content, start)
    at = exported.end() if exported else start
    if content[at : at + 1] == "#":
        return None, _end_of_line(content, at)
    name, at = _name_at(content, at)
    at = _end(_BLANKS_IN_LINE, content, at)
    value = None
    if content[at : at + 1] == "=":
        try:
            value, at = value_at(content, at + 1)
        except ValueError:
            raise _Misfit(at) from None
    end = _end_of_line(content, at)
    return Binding(name, line, start, end, value), end


def _name_at(content: str, at: int) -> tuple[str, int]:
    """The name at `at`, and where it has passed with its quotes."""
    if content[at : at + 1] == "'":
        closing = content.find("'", at + 1)
        if closing <= at + 1:
            raise _Misfit(at)
        return content[at + 1 : closing], closing + 1
    found = _NAME.match(content, at)
    if found is None:
        raise _Misfit(at)
    return found[0], found.end()


def _closing_quote(content: str, start: int, quote: Quote) -> int:
    """Where the quote is that closes a value which begins at `start`.  Raises `ValueError`."""
    closing = content.index(quote, start)
    while _is_escaped(content, closing):
        closing = content.index(quote, closing + 1)
    return closing


def _is_escaped(content: str, at: int) -> bool:
    """Whether the backslashes before `at` are odd in number; before them is at least a quote."""
    first = at
    while content[first - 1] == "\\":
        first -= 1
    return (at - first) % 2 == 1


def _end_of_line(content: str, at: int) -> int:
    """Where the next line begins, when nothing but a comment follows."""
    found = _END_OF_LINE.match(content, at)
    if found is None:
        raise _Misfit(at)
    return found.end()


def _end(pattern: re.Pattern[str], content: str, at: int) -> int:
    """Where what the pattern, which always fits, takes from `at` on ends."""
    found = pattern.match(content, at)
    assert found is not None, "the pattern fits nothing at all, too"
    return found.end()


def _newlines(content: str, start: int, end: int) -> int:
    return (
        content.count("\n", start, end)
        + content.count("\r", start, end)
        - content.count("\r\n", start, end)
    )
