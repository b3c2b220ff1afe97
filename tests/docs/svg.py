"""What lies where in a picture of `docs/diagrams`: texts with their extents, boxes, discs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"

_REGULAR = """
278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556
278 278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667
611 722 667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833
556 556 556 556 333 500 278 556 500 722 500 500 500 334 260 334 584
"""
_BOLD = """
278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556
333 333 584 584 584 611 975 722 722 722 722 667 611 778 722 278 556 722 611 833 722 778 667 778 722 667
611 722 667 944 667 667 611 333 278 333 584 556 333 556 611 556 611 556 333 611 611 278 278 556 278 889
611 611 611 611 389 556 333 611 556 778 556 556 500 389 280 389 584
"""
WIDTHS = {
    is_bold: {chr(32 + place): int(width) for place, width in enumerate(table.split())} | {"…": 1000}
    for is_bold, table in ((False, _REGULAR), (True, _BOLD))
}
"""Helvetica's widths of the printable characters of ASCII, in thousandths of its size."""

ROOM = 1.05
"""How much wider another font may set a text."""


@dataclass(frozen=True)
class Area:
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    def holds(self, other: Area, margin: float = 0.0) -> bool:
        return (
            self.left + margin <= other.left
            and self.top + margin <= other.top
            and other.right + margin <= self.right
            and other.bottom + margin <= self.bottom
        )

    def meets(self, other: Area) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    @property
    def size(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True)
class Words:
    """A line of text: what it says, where, and in which colour."""

    said: str
    area: Area
    colour: str


@dataclass(frozen=True)
class Box:
    """A box, and what fills it."""

    area: Area
    fill: str


@dataclass(frozen=True)
class Shapes:
    """All of a picture that words may get in the way of."""

    frame: Area
    words: list[Words]
    boxes: list[Box]
    discs: list[Area]


def shapes(path: Path) -> Shapes:
    """What the picture shows, in its order; its background is the first of its boxes."""
    root = ET.fromstring(path.read_text(encoding="utf-8"))  # noqa: S314 - a file of this repository
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    drawn = [each for each in root.iter() if isinstance(each.tag, str)]
    return Shapes(
        Area(left, top, left + width, top + height),
        [_words(each) for each in drawn if each.tag == f"{SVG}text"],
        [Box(_box(each), each.attrib["fill"]) for each in drawn if each.tag == f"{SVG}rect"],
        [_disc(each) for each in drawn if each.tag == f"{SVG}circle"],
    )


def width_of(text: str, size: float, *, is_bold: bool) -> float:
    """How wide Helvetica, or a font like it, sets a text."""
    return sum(WIDTHS[is_bold][letter] for letter in text) * ROOM * size / 1000


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG 2 has it."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(part, 16) / 255 for part in re.findall("[0-9a-f]{2}", colour)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _words(each: ET.Element) -> Words:
    x, y, size = (float(each.attrib[name]) for name in ("x", "y", "font-size"))
    wide = sum(width_of(text, size, is_bold=bold) for text, bold in _pieces(each))
    left = x - wide / 2 if each.attrib["text-anchor"] == "middle" else x
    area = Area(left, y - 0.72 * size, left + wide, y + 0.21 * size)
    return Words("".join(each.itertext()), area, each.attrib["fill"])


def _pieces(each: ET.Element) -> Iterator[tuple[str, bool]]:
    yield each.text or "", each.get("font-weight") == "bold"
    for piece in each:
        yield piece.text or "", piece.get("font-weight") == "bold"
        yield piece.tail or "", each.get("font-weight") == "bold"


def _box(each: ET.Element) -> Area:
    x, y, width, height = (float(each.get(name, "0")) for name in ("x", "y", "width", "height"))
    return Area(x, y, x + width, y + height)


def _disc(each: ET.Element) -> Area:
    x, y, radius = (float(each.attrib[name]) for name in ("cx", "cy", "r"))
    return Area(x - radius, y - radius, x + radius, y + radius)
