"""How results, messages and progress look: data on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import BinaryIO

import click

PROGRESS_SECONDS = 0.2


def print_json(document: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(document, ensure_ascii=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they need to be, without blanks at a line's end."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def say(text: str) -> None:
    """A message for people."""
    click.echo(text, err=True)


class Progress:
    """How far a file has come, on one line of a terminal; silent when stderr is none."""

    def __init__(self, source: BinaryIO) -> None:
        self._size = _size(source)
        self._is_shown = sys.stderr.isatty()
        self._begin = time.monotonic()
        self._shown = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)

    def __call__(self, done_bytes: int, records: int) -> None:
        """Note that the output holds so many records, from so many bytes of the input."""
        now = time.monotonic()
        if not self._is_shown or now - self._shown < PROGRESS_SECONDS:
            return
        self._shown = now
        part = f"{min(100, 100 * done_bytes // self._size)} %, " if self._size else ""
        rate = records / max(now - self._begin, 0.001)
        click.echo(f"\r\x1b[K{part}{records:,} records, {rate:,.0f}/s", nl=False, err=True)


def _size(source: BinaryIO) -> int:
    """The size of a file, 0 for a pipe."""
    try:
        return os.fstat(source.fileno()).st_size
    except OSError:
        return 0
