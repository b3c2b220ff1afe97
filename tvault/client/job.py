"""How a file is to be worked on, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from tvault.client.records import Cut
from tvault.client.sending import MOST_NAMED

Operation = Literal["tokenize", "detokenize", "retokenize"]

Format = Literal["jsonl", "json", "csv", "parquet"]

DEFAULT_JOBS = 6
"""Requests at a time: two for each of three nodes, so that none waits for the next one to arrive."""


@dataclass(frozen=True)
class Job:
    """How a file is worked on.

    `name` is what messages call it; `columns` are those to convert, none for the configured fields;
    `delimiter` is one byte that stands between the cells of a CSV file, None when its header tells;
    `progress(bytes, records)` is told how far the output has come.
    """

    name: str
    format: Format = "jsonl"
    cut: Cut = field(default_factory=Cut)
    jobs: int = DEFAULT_JOBS
    progress: Callable[[int, int], None] = lambda _bytes, _records: None
    columns: tuple[str, ...] = ()
    delimiter: bytes | None = None


@dataclass
class Summary:
    """What became of a file: its records, the epochs of the tokens that were made, the places where a
    token was not found (all counted, the first few named, and whether there are more).

    Tokens that are not found stay where they are, unless `have_place` says that some could not, in a
    column of numbers: they are null then.  `is_untouched`: records of JSON were to be tokenized, and not
    one of them has a value in a configured field.
    """

    records: int = 0
    epochs: set[int] = field(default_factory=set)
    not_found: int = 0
    missing: list[str] = field(default_factory=list)
    has_more: bool = False
    have_place: bool = True
    is_untouched: bool = False

    def add(self, records: int, epochs: Iterable[int], not_found: int, places: Iterable[str]) -> None:
        """Count the next piece of the file.  `places` names where its missing tokens stand, in order; it
        is asked for no more names than are wanted."""
        self.records += records
        self.epochs.update(epochs)
        self.not_found += not_found
        if self.has_more:
            return
        for place in places:
            if place in self.missing:
                continue
            if len(self.missing) == MOST_NAMED:
                self.has_more = True
                return
            self.missing.append(place)
