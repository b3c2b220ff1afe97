"""SQL cut into its statements, as it is typed, piped or read from a file."""

from __future__ import annotations

import re
from dataclasses import dataclass

TOKENS = re.compile(
    r"""
      (?P<open>--[^\n]*\Z)                  # a comment that the end of the line will end
    | (?P<comment>--[^\n]*\n)
    | (?P<block>/\*)
    | (?P<quoted>(?<![A-Za-z0-9_$])[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<unquoted>(?<![A-Za-z0-9_$])[eE]'|'|")   # it is not ended yet
    | (?P<dollar>(?<![A-Za-z0-9_$])\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$)
    | (?P<end>;)
    | (?P<space>\s+)
    | (?P<word>[A-Za-z0-9_\x80-\U0010ffff]+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
BLOCK = re.compile(r"/\*|\*/")


@dataclass(frozen=True, repr=False)
class Statement:
    """A statement without what ends it, and the line in which it begins, counted from 1."""

    text: str
    line: int


class Statements:
    """Cuts SQL that comes piece by piece.  What is in quotes, dollar quotes or comments ends nothing."""

    def __init__(self) -> None:
        self._rest = ""
        self._line = 1

    def __bool__(self) -> bool:
        """Whether a statement has begun and is not ended."""
        return _begin(self._rest) < len(self._rest)

    def add(self, text: str) -> list[Statement]:
        """The statements that end in this text."""
        self._rest += text
        found = []
        while (end := _end(self._rest)) is not None:
            found += self._taken(end, end + 1)
        if not self:
            self._drop(len(self._rest))
        return found

    def finish(self) -> list[Statement]:
        """The statement that has begun: at the end of the text it needs no semicolon."""
        return self._taken(len(self._rest), len(self._rest))

    def forget(self) -> None:
        """Drop what has begun."""
        self._drop(len(self._rest))

    def _taken(self, end: int, after: int) -> list[Statement]:
        begin = min(_begin(self._rest), end)
        line = self._line + self._rest.count("\n", 0, begin)
        text = self._rest[begin:end].rstrip()
        self._drop(after)
        return [Statement(text, line)] if text else []

    def _drop(self, count: int) -> None:
        self._line += self._rest.count("\n", 0, count)
        self._rest = self._rest[count:]


def statements_of(text: str) -> list[Statement]:
    """All statements of a text."""
    cutter = Statements()
    return cutter.add(text) + cutter.finish()


def _end(text: str) -> int | None:
    """Where the semicolon of the first statement stands, if it has one."""
    position = 0
    while match := TOKENS.match(text, position):
        if match["end"]:
            return position
        after = _after(text, match)
        if after is None:
            return None
        position = after
    return None


def _begin(text: str) -> int:
    """Where the first thing stands that is neither a blank nor a comment; else the end."""
    position = 0
    while match := TOKENS.match(text, position):
        if match.lastgroup not in {"space", "comment", "open", "block"}:
            return position
        after = _after(text, match)
        if after is None:
            return position if match.lastgroup == "block" else len(text)
        position = after
    return position


def _after(text: str, match: re.Match[str]) -> int | None:
    """Where that ends which begins here; None when it goes on behind the text."""
    if match["block"]:
        return _after_block(text, match.end())
    if match["dollar"]:
        closing = text.find(match["dollar"], match.end())
        return None if closing < 0 else closing + len(match["dollar"])
    if match["unquoted"] or match["open"]:
        return None
    return match.end()


def _after_block(text: str, position: int) -> int | None:
    """Behind a comment that may hold others."""
    depth = 1
    while depth:
        match = BLOCK.search(text, position)
        if match is None:
            return None
        depth += 1 if match[0] == "/*" else -1
        position = match.end()
    return position
