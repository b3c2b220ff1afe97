"""Cuts of links: which shapes there are, and which nodes still have a majority that hear each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

Pair = tuple[str, str]


@dataclass(frozen=True)
class Cut:
    """`pairs` are (sender, receiver) between which nothing passes; `majority` the nodes on the side that
    must go on, each of which hears each other."""

    told: str
    pairs: list[Pair]
    majority: tuple[str, ...]


def draw_cut(dice: Random, names: Sequence[str]) -> Cut:
    """One cut, symmetric or one-way, around some nodes or of a single link."""
    shuffled = dice.sample(list(names), len(names))
    shape = dice.choice(("island", "deaf", "mute", "link", "one way"))
    if shape in {"link", "one way"}:
        one, other = shuffled[:2]
        pairs = [(one, other)] if shape == "one way" else [(one, other), (other, one)]
        return Cut(f"{shape} {one} to {other}", pairs, tuple(n for n in names if n != one))
    few = shuffled[: dice.randint(1, max(1, (len(names) - 1) // 2))]
    rest = [name for name in names if name not in few]
    away = [(few_one, many_one) for few_one in few for many_one in rest]
    back = [(many_one, few_one) for few_one in few for many_one in rest]
    pairs = {"island": away + back, "mute": away, "deaf": back}[shape]
    return Cut(f"{shape} {' '.join(few)}", pairs, tuple(rest))


def matrix(dice: Random, names: Sequence[str]) -> list[Pair]:
    """Each direction of each link is cut or not."""
    chance = dice.choice((0.2, 0.5, 0.8))
    return [(a, b) for a in names for b in names if a != b and dice.random() < chance]
