"""How results and messages look: data on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Sequence

import click

NOT_FOUND = 3
"""The exit code of a command that has done what it could, but did not find everything."""


def print_json(document: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(document, ensure_ascii=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they need to be, without blanks at a line's end."""
    for line in table_lines(header, rows):
        click.echo(line)


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of such a table.  Cells may be coloured."""
    lines = [header, *rows]
    sizes = [[width(click.unstyle(cell)) for cell in line] for line in lines]
    widths = [max(column) for column in zip(*sizes, strict=True)]
    return [
        "  ".join(
            cell + " " * (room - size) for cell, size, room in zip(line, taken, widths, strict=True)
        ).rstrip()
        for line, taken in zip(lines, sizes, strict=True)
    ]


def is_coloured() -> bool:
    """Whether data goes to a terminal that is to show colours."""
    return sys.stdout.isatty() and click.get_current_context().color is not False


def say(text: str) -> None:
    """A message for people."""
    click.echo(text, err=True)


def visible(text: str) -> str:
    """The text without anything that a terminal would obey: such signs stand as escapes."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def width(text: str) -> int:
    """How many places of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )
