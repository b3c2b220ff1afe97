"""The overview of a cluster, drawn again and again."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

import click

from tvault.cli.invocation import turns
from tvault.cli.moments import now, text_of
from tvault.cli.nodes import Nodes
from tvault.cli.output import is_coloured, print_json
from tvault.cli.overview import Overview

EVERY_SECONDS = 1.0
"""How often nodes are asked, and how long one may take to answer: the picture is never much older."""

CLEAR_ALL = "\x1b[2J\x1b[H"
CLEAR_LINE = "\x1b[K"
CLEAR_BELOW = "\x1b[J"


class Screen:
    """Draws lines over those that it has drawn before: each in its place, in one write, so that nothing
    flickers.  What does not fit on the terminal is left out."""

    def __init__(
        self, target: TextIO, size: Callable[[], os.terminal_size], *, is_coloured: bool
    ) -> None:
        self._target = target
        self._size = size
        self._is_coloured = is_coloured
        self._drawn = 0
        self._drawn_on: os.terminal_size | None = None

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines in the place of the last ones."""
        size = self._size()
        shown = lines[: max(size.lines - 1, 1)]
        start = f"\x1b[{self._drawn}F" if self._drawn else ""
        if self._drawn_on not in (None, size):  # the terminal has broken and moved what stood there
            start = CLEAR_ALL
        # A sign in the last column would make some terminals clear it, or begin a new line.
        text = "".join(f"{self._fitting(line, size.columns - 1)}{CLEAR_LINE}\n" for line in shown)
        self._target.write(start + text + CLEAR_BELOW)
        self._target.flush()
        self._drawn, self._drawn_on = len(shown), size

    def _fitting(self, line: str, columns: int) -> str:
        plain = click.unstyle(line)
        if len(plain) > columns:
            return plain[:columns]
        return line if self._is_coloured else plain


def watch(nodes: Nodes, *, as_json: bool) -> None:
    """Show the cluster until somebody ends it: drawn anew every second on a terminal; else, and as JSON,
    a line at the start and for each change."""
    if as_json or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        _tell_changes(nodes, as_json=as_json)
        return
    screen = Screen(sys.stdout, shutil.get_terminal_size, is_coloured=is_coloured())
    for _ in turns(EVERY_SECONDS):
        seen = Overview.of(nodes, EVERY_SECONDS)
        heading = f"cluster {seen.cluster}, {now():%Y-%m-%dT%H:%M:%SZ}; Ctrl-C ends"
        screen.draw([heading, "", *seen.lines(shutil.get_terminal_size().columns - 1)])


def _tell_changes(nodes: Nodes, *, as_json: bool) -> None:
    told: list[str] = []
    for _ in turns(EVERY_SECONDS):
        seen = Overview.of(nodes, EVERY_SECONDS)
        words = [seen.sentence(), *seen.remarks()]
        if words != told:
            told = words
            if as_json:
                print_json(seen.document())
            else:
                click.echo(f"{text_of(now())}  {'; '.join(words)}")
            sys.stdout.flush()
