"""Where in the text of a JSON object the ends of field paths stand, so that they can be replaced and
every other byte stays."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from tvault.client.records import STRING
from tvault.model.fields import EACH, FieldPath

Kind = Literal["value", "object", "array", "not_an_object", "not_an_array"]

_BLANKS = rb"[ \t\r\n]*"
# A value, with the blanks after it, unless it is an object or an array.  The text is known to be JSON:
# what is no string ends before one of these bytes.
_VALUE = rb"(?:(%b|[^\]\[{}\", \t\r\n][^\]\[{}, \t\r\n]*)%b)?" % (STRING, _BLANKS)
_MEMBER = re.compile(rb"[{,]%b(%b)%b:%b%b" % (_BLANKS, STRING, _BLANKS, _BLANKS, _VALUE), re.DOTALL)
_ELEMENT = re.compile(rb"[\[,]%b()%b" % (_BLANKS, _VALUE), re.DOTALL)
_NO_ELEMENTS = re.compile(rb"\[%b\]" % _BLANKS)
_AFTER = re.compile(_BLANKS)
_MARK = re.compile(rb"%b|[\]\[{}]" % STRING, re.DOTALL)


@dataclass(frozen=True)
class Span:
    """What stands from `begin` to `end` of the text: at the end of a path when it is a `value` (never
    null), an `object` or an `array`; on the way, where another thing is needed, when it is `not_an_…`.
    `indices` are those of the arrays passed before it."""

    begin: int
    end: int
    kind: Kind
    path: FieldPath
    indices: tuple[int, ...]

    @property
    def where(self) -> str:
        """The place in its record, as in `contacts[2].phone`."""
        return self.path.text(self.indices)


@dataclass
class _Node:
    """A step of some paths: what follows it, by the key in UTF-8, or the path that ends here."""

    steps: dict[bytes | None, _Node] = field(default_factory=dict)
    path: FieldPath | None = None
    is_seen: bool = False

    def ends(self) -> Iterator[_Node]:
        """The ends of the paths that lead through here."""
        if self.path is not None:
            yield self
        for node in self.steps.values():
            yield from node.ends()


class Spans:
    """Finds spans by paths of which none leads through another.  Safe for many threads."""

    def __init__(self, paths: Iterable[FieldPath]) -> None:
        self._root = _Node()
        for path in paths:
            node = self._root
            for step in path.steps:
                node = node.steps.setdefault(step if step is EACH else step.encode(), _Node())
            node.path = path

    def never_seen(self) -> list[FieldPath]:
        """The paths that no record had so far: neither an end of it, be it null, nor a way to one that
        breaks off at a null, an empty array or something that does not fit."""
        return [node.path for node in self._root.ends() if not node.is_seen and node.path is not None]

    def find(self, text: bytes) -> list[Span]:
        """The spans of a record, the JSON text of one object, in their order.  Of two members with one
        name both are found."""
        found: list[Span] = []
        _object(text, text.index(b"{"), self._root, (), found)
        return found


Indices = tuple[int, ...]


def _object(text: bytes, at: int, node: _Node, indices: Indices, found: list[Span]) -> int:
    """Look through the object that begins at `at`; returns where it ends."""
    while member := _MEMBER.match(text, at):
        inner = node.steps.get(_key(member[1]))
        if inner is not None:
            at = _value(text, member, inner, indices, found)
        else:
            at = member.end() if member[2] is not None else _after(text, _end(text, member.end()))
    return text.index(b"}", at) + 1


def _array(text: bytes, at: int, node: _Node, indices: Indices, found: list[Span]) -> int:
    """Look through the array that begins at `at`; returns where it ends."""
    if nothing := _NO_ELEMENTS.match(text, at):
        _see(node)
        return nothing.end()
    index = 0
    while element := _ELEMENT.match(text, at):
        at = _value(text, element, node, (*indices, index), found)
        index += 1
    return at + 1


def _value(text: bytes, match: re.Match[bytes], node: _Node, indices: Indices, found: list[Span]) -> int:
    """Look at the value of a member or an element; returns where the blanks after it end."""
    begin, end = match.span(2)
    kind: Kind = "value"
    if begin >= 0:
        after = match.end()
        if match[2] == b"null":
            _see(node)
            return after
    else:
        begin = match.end()
        is_array = text[begin : begin + 1] == b"["
        if node.path is None and is_array == (EACH in node.steps):
            inside, look = (node.steps[EACH], _array) if is_array else (node, _object)
            return _after(text, look(text, begin, inside, indices, found))
        kind = "array" if is_array else "object"
        end = _end(text, begin)
        after = _after(text, end)
    _see(node)
    if node.path is None:
        kind = "not_an_array" if EACH in node.steps else "not_an_object"
    paths = (each.path for each in node.ends())
    found += [Span(begin, end, kind, path, indices) for path in paths if path is not None]
    return after


def _see(node: _Node) -> None:
    if node.path is not None:
        node.is_seen = True
        return
    for end in node.ends():
        end.is_seen = True


def _key(text: bytes) -> bytes:
    """The key that a JSON string writes, in UTF-8."""
    if b"\\" not in text:
        return text[1:-1]
    key: str = json.loads(text)
    return key.encode("utf-8", "surrogatepass")


def _end(text: bytes, begin: int) -> int:
    """Where the object or array ends that begins there."""
    depth = 0
    for mark in _MARK.finditer(text, begin):
        if mark[0] in {b"{", b"["}:
            depth += 1
        elif mark[0] in {b"}", b"]"}:
            depth -= 1
            if depth == 0:
                return mark.end()
    raise ValueError("no JSON")


def _after(text: bytes, at: int) -> int:
    match = _AFTER.match(text, at)
    return match.end() if match else at
