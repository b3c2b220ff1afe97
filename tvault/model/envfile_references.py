"""References to secrets in `.env` files: `enc(NAME)` asks for the value of NAME to become a secret, and
`secret(NAME)` stands for its current value.

They stand anywhere in values, in any quotes or none; in comments they are text.  All is done in one
pass: what a reference is replaced by is not looked at again.  Refusals name lines and names, never a
value.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Final, Literal

import msgspec

from tvault.errors import FieldError, VaultError
from tvault.model.envfile import Binding, EnvFile, TooMany, Value, parse
from tvault.model.envfile_quoting import Piece, rewritten
from tvault.model.secret_names import NAME_PATTERN

MOST_ERRORS: Final = 100
"""Most lines that one refusal lists."""

_BEGINNING: Final = re.compile(r"(?:enc|secret)\(")
_REFERENCE: Final = re.compile(rf"(enc|secret)\((?:({NAME_PATTERN})\))?")
_WORD: Final = re.compile(NAME_PATTERN)

Kind = Literal["enc", "secret"]

Edit = tuple[int, int, str]
"""A span of the content, and what to write there."""


class Reference(msgspec.Struct, frozen=True):
    """`content[start:end]` is a reference, on a line counted from 1."""

    kind: Kind
    name: str
    line: int
    start: int
    end: int


class Place(msgspec.Struct, frozen=True):
    """A value that holds references, and whose it is."""

    binding: Binding
    value: Value
    references: tuple[Reference, ...]


class Encryption(msgspec.Struct, frozen=True):
    """What `enc(NAME)` asks for: the content afterwards, and the `secrets` to store for it.  It holds
    only if all of `needed` are secrets already and nothing is `unresolved`: one reference to each name.
    """

    content: str
    secrets: dict[str, str]
    needed: tuple[Reference, ...]
    unresolved: tuple[Reference, ...]

    def __repr__(self) -> str:
        return f"<Encryption of {', '.join(self.secrets)}>"


class GoodReferences:
    """The references of a content in all but its `bad_lines`, counted from 1: there one is malformed, or
    stands where nothing can be done with it, in a name or in a line that cannot be read.

    Raises `TooMany` for more than `most` references, or lines that are not blank.
    """

    def __init__(self, content: str, most: int = sys.maxsize) -> None:
        self.content = content
        self.file: EnvFile = parse(content, most)
        self._left = most
        self.bad_lines = {
            there.line
            for there in self.file.unreadable
            if _BEGINNING.search(content, there.start, there.end)
        }
        places = [self._place(binding) for binding in self.file.bindings]
        self.places = tuple(
            place for place in places if place is not None and place.binding.line not in self.bad_lines
        )

    def __iter__(self) -> Iterator[Reference]:
        for place in self.places:
            yield from place.references

    def first(self, kind: Kind) -> dict[str, Reference]:
        """The first reference of this kind to each name, in order."""
        found: dict[str, Reference] = {}
        for reference in self:
            if reference.kind == kind:
                found.setdefault(reference.name, reference)
        return found

    def _place(self, binding: Binding) -> Place | None:
        value = binding.value
        if _BEGINNING.search(binding.name):
            self.bad_lines.add(binding.line)
        if value is None:
            return None
        found = []
        for match in _REFERENCE.finditer(self.content, value.start, value.end):
            self._left -= 1
            if self._left < 0:
                raise TooMany
            if match[2] is None:
                self.bad_lines.add(binding.line)
            else:
                kind: Kind = "enc" if match[1] == "enc" else "secret"
                found.append(Reference(kind, match[2], binding.line, match.start(), match.end()))
        return Place(binding, value, tuple(found)) if found else None


class References(GoodReferences):
    """All references of a content.

    Raises `VaultError` `invalid_value` with the lines that are bad, and `TooMany` as `GoodReferences`.
    """

    def __init__(self, content: str, most: int = sys.maxsize) -> None:
        super().__init__(content, most)
        if self.bad_lines:
            raise bad_lines(
                self.bad_lines,
                "bad_reference",
                "what begins with enc( or secret( must be enc(NAME) or secret(NAME), and in a value;"
                " such text itself can be kept as a secret",
            )


def encrypt(references: References, values: Mapping[str, str]) -> Encryption:
    """What becomes of a content when every `enc(NAME)` is carried out.

    NAME's value is that in `values`, else that of the last line that defines it.  A definition that
    holds references itself gives none, but `secret(NAME)` for NAME itself says that it is a secret
    already.  Every definition of NAME becomes `secret(NAME)`, and keeps its quotes.

    Raises `VaultError` `invalid_value` where a line that cannot be read may hold the value of a NAME.
    """
    asked = references.first("enc")
    _refuse_hidden(references, asked)
    needed = references.first("secret")
    definitions = _definitions(references.file, asked)
    referring = {place.value.start for place in references.places}
    secrets: dict[str, str] = {}
    unresolved: list[Reference] = []
    for name, reference in asked.items():
        value = definitions.get(name)
        if name in values:
            secrets[name] = values[name]
        elif value is not None and value.text == f"secret({name})":
            needed.setdefault(name, reference)
        elif value is None or value.start in referring:
            unresolved.append(reference)
        else:
            secrets[name] = value.text
    return Encryption(
        _edited(references.content, _encrypting(references, asked)),
        secrets,
        tuple(reference for name, reference in needed.items() if name not in secrets),
        tuple(unresolved),
    )


def expand(references: References, values: Mapping[str, str], most: int) -> str:
    """A content with every `secret(NAME)` replaced by its value.

    Raises `VaultError` `unresolved` with all names that are not in `values`, and those of every
    `enc(NAME)`.  Raises `TooMany` when the content would have more than `most` characters.
    """
    content = references.content
    missing = [reference for name, reference in references.first("secret").items() if name not in values]
    missing += references.first("enc").values()
    if missing:
        raise unresolved(missing)
    size = len(content) + sum(len(values[reference.name]) for reference in references)
    if size > most:
        raise TooMany
    return _edited(content, (_expanded(content, place, values) for place in references.places))


def unresolved(references: Iterable[Reference]) -> VaultError:
    """The refusal that names all that is referred to and has no value."""
    found = {reference.name: reference for reference in references}
    ordered = sorted(found.values(), key=lambda reference: (reference.line, reference.start))
    return VaultError(
        "unresolved",
        f"No value for {', '.join(each.name for each in ordered)}: secret(NAME) needs a secret of that"
        " name; enc(NAME) is for encrypting only, and needs a definition without references, or a member"
        " of values.",
        tuple(FieldError(each.line - 1, "unresolved", each.name) for each in ordered),
    )


def bad_lines(lines: Iterable[int], code: str, expected: str) -> VaultError:
    """The refusal `invalid_value` of these lines, counted from 1."""
    listed = sorted(set(lines))
    shown = ", ".join(map(str, listed[:MOST_ERRORS])) + (", …" if len(listed) > MOST_ERRORS else "")
    noun = "Line" if len(listed) == 1 else "Lines"
    return VaultError(
        "invalid_value",
        f"{noun} {shown} of the content: {expected}.",
        tuple(FieldError(line - 1, code) for line in listed[:MOST_ERRORS]),
    )


def _definitions(file: EnvFile, names: Container[str]) -> dict[str, Value]:
    """The value that each of these names has in the file: the last one."""
    return {
        binding.name: binding.value
        for binding in file.bindings
        if binding.value is not None and binding.name in names
    }


def _refuse_hidden(references: References, asked: Mapping[str, Reference]) -> None:
    """Raise when a line that nobody can read names what is to be a secret: its value may stand there."""
    hidden = [
        line.line
        for line in references.file.unreadable
        if any(word[0] in asked for word in _WORD.finditer(references.content, line.start, line.end))
    ]
    if hidden:
        raise bad_lines(
            hidden, "unreadable", "what names a secret of this request must be readable, NAME=value"
        )


def _encrypting(references: References, asked: Mapping[str, Reference]) -> Iterator[Edit]:
    """Definitions of what is asked for become references whole, and elsewhere `enc` becomes `secret`."""
    places = {place.value.start: place for place in references.places}
    for binding in references.file.bindings:
        value = binding.value
        if value is None:
            continue
        if binding.name in asked:
            yield value.start, value.end, f"secret({binding.name})"
        elif value.start in places:
            for reference in places[value.start].references:
                yield reference.start, reference.end, f"secret({reference.name})"


def _expanded(content: str, place: Place, values: Mapping[str, str]) -> Edit:
    pieces: list[Piece] = []
    at = place.value.start
    for reference in place.references:
        pieces.append(Piece(content[at : reference.start], is_put_in=False))
        pieces.append(Piece(values[reference.name], is_put_in=True))
        at = reference.end
    pieces.append(Piece(content[at : place.value.end], is_put_in=False))
    return rewritten(place.value, [piece for piece in pieces if piece.text or piece.is_put_in])


def _edited(content: str, edits: Iterable[Edit]) -> str:
    """The content with these spans replaced, which come in order."""
    parts: list[str] = []
    at = 0
    for start, end, text in edits:
        parts += (content[at:start], text)
        at = end
    return "".join((*parts, content[at:]))
