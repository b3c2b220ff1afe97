"""Sequences: who says what to whom, one row after the other, as a picture.

A `Tale` is a description without places; `draw` gives it some.  Each message carries, for those who
check, its name, sender and receiver.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from picture import CLIENT, DOWN, INK, LINE, NODE, PART, SOFT, STOP, UP, Picture

WIDTH = 980
TOP, HEAD, STRIP = 12, 46, 24
MESSAGE, GAP = 34, 10
ANSWERS = frozenset(
    {"Ack", "Confirmed", "Index", "Learned", "Outcome", "PreVoteAnswer", "Promised", "Refused"}
)


@dataclass(frozen=True)
class Who:
    """Somebody with a lifeline at `x`; `role` stands below the name."""

    name: str
    role: str
    x: int


@dataclass(frozen=True)
class Say:
    """A message: its name in the code, or a call of HTTP, or the status of its answer."""

    sender: str
    to: str
    name: str
    detail: str = ""

    @property
    def is_call(self) -> bool:
        """Whether somebody waits for the answer, by HTTP."""
        return re.match("[A-Z]+ /", self.name) is not None

    @property
    def is_status(self) -> bool:
        """Whether it answers such a call."""
        return self.name.isdigit()


@dataclass(frozen=True)
class Do:
    """What one does by itself, in a line or a few."""

    at: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Kill:
    """The process is gone: its lifeline ends."""

    at: str
    words: str


Step = Say | Kill | tuple[Do, ...]
"""One row: a message, an end, or what some do at about the same time."""


@dataclass(frozen=True)
class Part:
    """Steps under one title."""

    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Tale:
    """A whole sequence; `scenarios` of tests/scenarios play it, `below` says what is not in it."""

    title: str
    text: str
    who: tuple[Who, ...]
    parts: tuple[Part, ...]
    scenarios: tuple[str, ...]
    below: tuple[str, ...] = ()
    deed_width: int = 236

    @property
    def steps(self) -> list[Step]:
        """All rows, in order."""
        return [step for part in self.parts for step in part.steps]


def does(at: str, *lines: str) -> tuple[Do, ...]:
    """A row in which one does something."""
    return (Do(at, lines),)


def draw(tale: Tale) -> str:
    """The picture of a tale."""
    places, strips, end = _places(tale)
    below = [
        *tale.below,
        "Played by " + ", ".join(f"tests/scenarios/{each}.txt" for each in tale.scenarios),
    ]
    told = " ".join(filter(None, map(_told, tale.steps)))
    picture = Picture(WIDTH, end + 22 * len(below) + 16, tale.title, f"{tale.text} {told}")
    _lifelines(picture, tale, places, end)
    for part, y in zip(tale.parts, strips, strict=True):
        picture.box((10, y), (WIDTH - 20, STRIP), NODE)
        picture.tell((22, y + 16), part.title, bold=True)
    xs = {each.name: each.x for each in tale.who}
    for step, y in zip(tale.steps, places, strict=True):
        match step:
            case Say():
                _say(picture, xs, step, y)
            case Kill(at, words):
                picture.cross((xs[at], y))
                picture.tell((xs[at] + 18, y + 4), words, size=12, colour=STOP, bold=True)
            case _:
                for do in step:
                    fill = CLIENT if do.at == "client" else PART
                    picture.deed((xs[do.at], y), do.lines, fill, tale.deed_width, do.at)
    for row, line in enumerate(below):
        picture.tell((20, end + 24 + 22 * row), line, size=12, colour=SOFT)
    return picture.svg()


def _places(tale: Tale) -> tuple[list[int], list[int], int]:
    """The middle of each row, the top of each part's strip, and where all of it ends."""
    y = TOP + HEAD + 14
    places, strips = [], []
    for part in tale.parts:
        strips.append(y)
        y += STRIP + 8
        for step in part.steps:
            high = MESSAGE if isinstance(step, Say | Kill) else _height(step) + GAP
            places.append(y + (high - 8 if isinstance(step, Say) else high // 2))
            y += high
        y += 10
    return places, strips, y


def _height(step: tuple[Do, ...]) -> int:
    return max(18 * len(do.lines) + 8 for do in step)


def _lifelines(picture: Picture, tale: Tale, places: list[int], end: int) -> None:
    killed = {step.at: y for step, y in zip(tale.steps, places, strict=True) if isinstance(step, Kill)}
    for each in tale.who:
        is_client = each.name == "client"
        width = 130 if is_client else 190
        picture.box((each.x - width // 2, TOP), (width, HEAD), CLIENT if is_client else NODE)
        picture.say((each.x, TOP + 20), each.name, bold=True)
        picture.say((each.x, TOP + 37), each.role, size=12, colour=SOFT)
        picture.path([(each.x, TOP + HEAD), (each.x, killed.get(each.name, end))], dashes="2 4")
    waiting: dict[str, int] = {}
    for step, y in zip(tale.steps, places, strict=True):
        if isinstance(step, Say) and step.is_call:
            waiting |= {step.sender: y, step.to: y}
        elif isinstance(step, Say) and step.is_status:
            for name in (step.sender, step.to):
                x = next(each.x for each in tale.who if each.name == name)
                picture.bar((x - 4, waiting[name]), (8, y - waiting[name]))


def _say(picture: Picture, xs: dict[str, int], step: Say, y: int) -> None:
    start, end = xs[step.sender], xs[step.to]
    side = 1 if end > start else -1
    nearest = min((x for x in xs.values() if (x - start) * side > 0), key=lambda x: abs(x - start))
    colour = {"Append": DOWN, "Ack": UP}.get(step.name, INK if step.is_call or step.is_status else LINE)
    way = {DOWN: "down", UP: "up", INK: "call", LINE: "plain"}[colour]
    is_answer = step.is_status or step.name in ANSWERS
    picture.path(
        [(start + 5 * side, y), (end - 5 * side, y)],
        colour=colour,
        dashes="6 4" if is_answer else "",
        tip=way,
    )
    data = {"message": step.name, "from": step.sender, "to": step.to}
    picture.call(((start + nearest) // 2, y - 8), step.name, step.detail, data)


def _told(step: Step) -> str:
    match step:
        case Say():
            said = " ".join(filter(None, (step.name, step.detail)))
            return f"{step.sender} to {step.to}: {said}{'' if said.endswith('?') else '.'}"
        case Kill(at, words):
            return f"{at} is gone: {words}."
        case _:
            return " ".join(f"{do.at}: {_in_one(do.lines)}." for do in step)


def _in_one(lines: tuple[str, ...]) -> str:
    """The lines as a sentence."""
    return "; ".join(lines).replace(":; ", ": ").replace(",; ", ", ")
