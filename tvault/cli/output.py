"""How results and messages look: data on stdout, everything else on stderr."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

NOT_FOUND = 3
"""The exit code of a command that has done what it could, but did not find everything."""


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
