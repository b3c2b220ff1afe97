"""The plot of what a value costs by how many are stored, of the run in `docs/measured.json`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from picture import DOWN, SOFT, UP, Picture

MEASURED = Path(__file__).parents[1] / "measured.json"

CURVES = (
    ("tokenize new values", "figure", "tvault: tokenize", DOWN, False),
    ("tokenize new values", "baseline", "raw SQLite: insert", DOWN, True),
    ("detokenize, shuffled", "figure", "tvault: detokenize", UP, False),
    ("detokenize, shuffled", "baseline", "raw SQLite: look up", UP, True),
)
"""The rows of a curve by the beginning of their titles, which figure of them, its words, its looks."""

LEFT, RIGHT, TOP, BOTTOM = 70, 560, 50, 330
LEAST_GAP = 16
"""Between the words of two curves, in pixels."""


def growth() -> str:
    """The cost of a value by the number of values stored, on a logarithmic axis."""
    rows = json.loads(MEASURED.read_text(encoding="utf-8"))["rows"]
    curves = [_costs(rows, start, which) for start, which, *_ in CURVES]
    sizes = sorted({stored for curve in curves for stored, _ in curve})
    most = max(cost for curve in curves for _, cost in curve)
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500) if most / step <= 6)
    top = step * math.ceil(most / step)
    first, last = math.log10(sizes[0]), math.log10(sizes[-1])

    def across(stored: int) -> int:
        return round(LEFT + 20 + (RIGHT - LEFT - 40) * (math.log10(stored) - first) / (last - first))

    def up(cost: float) -> int:
        return round(BOTTOM - (BOTTOM - TOP) * cost / top)

    told = ", ".join(f"{stored:,}" for stored in sizes)
    picture = Picture(
        760,
        400,
        "Cost of a value by the number of values stored",
        f"Microseconds by the clock for a value, with {told} values stored. "
        + " ".join(
            f"{words}: {', '.join(f'{cost:.1f}' for _, cost in curve)}."
            for (_, _, words, *_), curve in zip(CURVES, curves, strict=True)
        ),
    )
    picture.tell(
        (LEFT, 28),
        "microseconds by the clock for a value; tokens shuffled; dashed: raw SQLite",
        colour=SOFT,
    )
    for tick in range(0, top + 1, step):
        picture.rule((LEFT, up(tick)), (RIGHT, up(tick)))
        picture.say((LEFT - 22, up(tick) + 4), str(tick), size=12, colour=SOFT)
    for stored in sizes:
        picture.rule((across(stored), TOP), (across(stored), BOTTOM))
        picture.say((across(stored), BOTTOM + 22), f"{stored:,}", size=12, colour=SOFT)
    picture.say(((LEFT + RIGHT) // 2, BOTTOM + 48), "values stored (logarithmic)", colour=SOFT)
    ends = _apart([up(curve[-1][1]) for curve in curves])
    for (_, _, words, colour, dashed), curve, y in zip(CURVES, curves, ends, strict=True):
        picture.curve([(across(stored), up(cost)) for stored, cost in curve], colour, dashed=dashed)
        picture.tell((RIGHT + 8, y + 4), words, colour=colour)
    return picture.svg()


def _costs(rows: Sequence[dict[str, Any]], start: str, which: str) -> list[tuple[int, float]]:
    """The points of a curve: values stored, and the cost of one."""
    found = []
    for row in rows:
        size = re.fullmatch(rf"{start}, ([\d,]+) stored", row["title"])
        if row["subject"] == "growth" and size:
            found.append((int(size[1].replace(",", "")), float(row[which])))
    return sorted(found)


def _apart(heights: Sequence[int]) -> list[int]:
    """The same heights, moved down where the words there would cover others."""
    moved = list(heights)
    above = -LEAST_GAP
    for at in sorted(range(len(moved)), key=lambda at: moved[at]):
        moved[at] = above = max(moved[at], above + LEAST_GAP)
    return moved
