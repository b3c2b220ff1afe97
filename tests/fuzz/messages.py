"""Messages between nodes, made from their types: extreme, absurd, and such as only just pass for one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from msgspec import inspect

from tvault.replication.messages import Envelope

_ENVELOPE: Final = inspect.type_info(Envelope)

WILD: Final[list[Any]] = [
    None,
    True,
    0,
    -1,
    1.5,
    2**63,
    2**64 - 1,
    -(2**63),
    "",
    "n1",
    b"",
    b"x" * 32,
    [],
    [[]],
    {},
    {"a": 1},
    [0] * 40,
    "x" * 300,
]
"""What may stand in the place of anything."""


@dataclass
class Shapes:
    """Draws plain values that have the form of a type.

    `numbers`, `texts`, `digests` and `known` (whole structs) are those in use: what is drawn is often
    one of them.  With `wild` any part may be out of its bounds or of another type; else what is drawn
    decodes, but for a text or two.
    """

    dice: random.Random
    numbers: Sequence[int]
    texts: Sequence[str]
    digests: Sequence[bytes]
    wild: bool = False
    known: dict[type, list[Any]] = field(default_factory=dict)
    bodies: Sequence[bytes] = field(default_factory=lambda: [b"", b"x", bytes(40)])

    def envelope(self) -> list[Any]:
        """An envelope with any message in it."""
        assert isinstance(_ENVELOPE, inspect.StructType)
        return self._struct(_ENVELOPE)

    def _draw(self, info: inspect.Type) -> Any:
        """A value of the type, as msgpack carries it."""
        if self.wild and self.dice.random() < 0.03:
            return self.dice.choice(WILD)
        if isinstance(info, inspect.UnionType):
            return self._draw(self.dice.choice(info.types))
        if isinstance(info, inspect.EnumType):
            return self.dice.choice(list(info.cls)).value
        if isinstance(info, inspect.StructType):
            return self._struct(info)
        return self._plain(info)

    def _plain(self, info: inspect.Type) -> Any:
        match info:
            case inspect.IntType():
                return self._number(info.ge or 0, info.le if info.le is not None else 2**63 - 1)
            case inspect.StrType():
                return self._text(info)
            case inspect.BytesType():
                return self._bytes(info)
            case inspect.BoolType():
                return self.dice.random() < 0.5
            case inspect.VarTupleType():
                return self._several(info)
            case _:
                return None

    def _struct(self, info: inspect.StructType) -> list[Any]:
        known = self.known.get(info.cls)
        if known and self.dice.random() < 0.6:
            return list(self.dice.choice(known))
        tag = [] if info.tag is None else [info.tag]
        return tag + [self._draw(each.type) for each in info.fields]

    def _several(self, info: inspect.VarTupleType) -> list[Any]:
        least, most = info.min_length or 0, min(info.max_length or 4, 4)
        return [self._draw(info.item_type) for _ in range(self.dice.randint(least, most))]

    def _number(self, least: int, most: int) -> int:
        if self.dice.random() < 0.75:
            return self.dice.choice(self.numbers)
        return self.dice.choice([least, least + 1, most // 2, most // 2 + 1, most // 3, 255, 65536])

    def _text(self, info: inspect.StrType) -> str:
        if self.dice.random() < 0.85:
            return self.dice.choice(self.texts)
        return self.dice.choice(["x", "\u2028", "\0", "n1 ", "x" * (info.max_length or 100)])

    def _bytes(self, info: inspect.BytesType) -> bytes:
        if info.min_length == 32:
            return self.dice.choice([*self.digests, bytes(32), b"\xff" * 32])
        return self.dice.choice(self.bodies)


def in_name_of(envelope: list[Any], of: Envelope) -> Any:
    """The drawn envelope in the name of the life that said `of`."""
    return [of.sender, of.incarnation, of.boot, of.life, *envelope[4:]]


def unpacked(value: msgspec.Struct) -> Any:
    """The plain value that a struct is on its way."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


def packed(value: Any) -> bytes:
    """The bytes of a plain value."""
    return msgspec.msgpack.encode(value)
