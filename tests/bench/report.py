"""What was measured: rows of a table, each beside its baseline and its target, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Details = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """What is wanted: the ratio to the baseline (`of="ratio"`) or the figure itself (`of="figure"`) is
    at least, or at most, `bound`."""

    of: Literal["ratio", "figure"]
    sign: Literal[">=", "<="]
    bound: float

    def is_met(self, row: Row) -> bool:
        """Whether `row` has what is wanted."""
        got = row.ratio if self.of == "ratio" else row.figure
        assert got is not None, f"{row.title} has a target for a ratio, but no baseline"
        return got >= self.bound if self.sign == ">=" else got <= self.bound

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:g}{' x' if self.of == 'ratio' else ''}"


def ratio_at_least(bound: float) -> Target:
    """The figure is at least so many times the baseline."""
    return Target("ratio", ">=", bound)


def ratio_at_most(bound: float) -> Target:
    """The figure is at most so many times the baseline."""
    return Target("ratio", "<=", bound)


def at_most(bound: float) -> Target:
    """The figure is at most so much."""
    return Target("figure", "<=", bound)


@dataclass(frozen=True)
class Row:
    """One figure in its unit; `baseline` is in the same unit and `against` says what it is.  `details`
    are further figures of the same measurement, whose names end in their units."""

    subject: str
    title: str
    figure: float
    unit: str
    baseline: float | None = None
    against: str = ""
    target: Target | None = None
    details: Details = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """How many times the baseline the figure is."""
        return self.figure / self.baseline if self.baseline else None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return None if self.target is None else self.target.is_met(self)


def rounded(number: float) -> str:
    """A number with three digits that matter, or all before the point."""
    if abs(number) >= 100 or number == int(number):
        return f"{number:,.0f}"
    return f"{number:.3g}"


HEADINGS = ("", "measured", "", "baseline", "ratio", "target", "met", "against")


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The lines of the table, with the details of a row below it."""
    cells = [_cells(row) for row in rows]
    widths = [max(len(line[at]) for line in (HEADINGS, *cells)) for at in range(len(HEADINGS))]
    yield _line(HEADINGS, widths)
    subject = ""
    for row, line in zip(rows, cells, strict=True):
        if row.subject != subject:
            subject = row.subject
            yield f"-- {subject} " + "-" * (sum(widths) + 2 * len(widths) - len(subject) - 6)
        yield _line(line, widths)
        if row.details:
            yield "      " + ", ".join(f"{name} {_told(value)}" for name, value in row.details.items())


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.title,
        rounded(row.figure),
        row.unit,
        "" if row.baseline is None else rounded(row.baseline),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        "" if row.target is None else str(row.target),
        "" if row.is_met is None else "yes" if row.is_met else "NO",
        row.against,
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    numbers = {1, 3, 4}
    return "  ".join(
        cell.rjust(width) if at in numbers else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ).rstrip()


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_told(part)}" for name, part in value.items()) + ")"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(_told(part) for part in value) + "]"
    return rounded(value) if isinstance(value, (int, float)) else str(value)


def write_json(file: Path, facts: Details, rows: Sequence[Row], notes: Sequence[str]) -> None:
    """The same as one JSON document: `machine`, `notes` and `rows`."""
    document = {
        "machine": facts,
        "notes": list(notes),
        "rows": [asdict(row) | {"ratio": row.ratio, "met": row.is_met} for row in rows],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1) + "\n")
