"""A run of `make bench` that was kept as JSON, as `report.write_json` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.report import Row, Target


class Incomplete(Exception):
    """The run lacks something that is to be told of it."""


class Recorded:
    """What was measured, where, and when."""

    def __init__(self, file: Path) -> None:
        document = json.loads(file.read_text(encoding="utf-8"))
        self.machine: dict[str, Any] = document["machine"]
        self.notes: list[str] = document["notes"]
        self.rows = [_row(told) for told in document["rows"]]

    def of(self, subject: str) -> list[Row]:
        """The rows of one subject, in their order."""
        return [row for row in self.rows if row.subject == subject]

    def named(self, subject: str, start: str, end: str = "") -> Iterator[Row]:
        """The rows of a subject whose titles begin and end so."""
        for row in self.of(subject):
            if row.title.startswith(start) and row.title.endswith(end):
                yield row

    def one(self, subject: str, start: str, end: str = "") -> Row:
        """The last of these.  Raises `Incomplete` when there is none."""
        found = list(self.named(subject, start, end))
        if not found:
            raise Incomplete(f"no row of {subject!r} is named {start!r} … {end!r}")
        return found[-1]


def _row(told: dict[str, Any]) -> Row:
    fields = {name: value for name, value in told.items() if name not in {"ratio", "met", "target"}}
    return Row(**fields, target=Target(**told["target"]) if told["target"] else None)
