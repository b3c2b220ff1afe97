"""What the audience sees: steps, plain words, commands with what they print, and checked claims."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import click

from tvault.cli.output import visible
from tvault.errors import VaultError

NARROWEST, USUAL, WIDEST = 40, 80, 110
SHOWN_LINES = 9
"""How many lines of what a command prints are shown."""

INDENT = "  "


@dataclass
class Step:
    """A part of the demo, and what was claimed in it."""

    title: str
    begin: float
    end: float | None = None
    claims: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return (time.monotonic() if self.end is None else self.end) - self.begin


class Stage:
    """Everything that the demo prints goes by here, and every claim that it makes."""

    def __init__(self, *, pauses: bool = False) -> None:
        self.steps: list[Step] = []
        self._pauses = pauses
        self._width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size((USUAL, 24)).columns)) - 1
        self._tick, self._cross, self._more = _signs(sys.stdout.encoding)

    def step(self, title: str) -> None:
        """Begin the next step; with pauses, when Enter is pressed."""
        if self.steps:
            self.steps[-1].end = time.monotonic()
            if self._pauses:
                click.echo()
                click.prompt("Enter to go on", default="", show_default=False, prompt_suffix=" ")
        self.steps.append(Step(title, time.monotonic()))
        click.echo()
        click.secho(f"{len(self.steps)}. {title}", bold=True)

    def tell(self, text: str) -> None:
        """Plain words."""
        click.echo(textwrap.fill(text, self._width, break_on_hyphens=False))

    def command(self, text: str) -> None:
        """A command as it is typed; its lines stay as they are."""
        for line in text.splitlines():
            click.secho(f"{INDENT}{line}", fg="cyan")

    def output(self, text: str, lines: int = SHOWN_LINES, *, is_whole: bool = False) -> None:
        """What a command has printed, as much as there is room for, or the whole of it."""
        printed = text.rstrip("\n").splitlines()
        if is_whole:
            room = self._width - len(INDENT)
            printed = [part for line in printed for part in textwrap.wrap(line, room)]
        for line in printed[:lines]:
            click.echo((INDENT + self._cut(visible(line))).rstrip())
        if len(printed) > lines:
            click.echo(f"{INDENT}({len(printed) - lines:,} more lines)")

    def claim(self, text: str, holds: bool) -> None:
        """Say that something is so.  Raises `VaultError` (`internal`) when it is not: nothing follows a
        claim that is false."""
        sign, colour = (self._tick, "green") if holds else (self._cross, "red")
        hanging = " " * (len(INDENT) + len(sign) + 1)
        lines = textwrap.wrap(text, self._width - len(hanging), break_on_hyphens=False)
        click.echo(f"{INDENT}{click.style(sign, fg=colour)} {lines[0]}")
        for line in lines[1:]:
            click.echo(hanging + line)
        if not holds:
            raise VaultError("internal", f"this claim is false: {text}")
        self.steps[-1].claims.append(text)

    def summary(self) -> None:
        """All steps with their times and claims."""
        self.steps[-1].end = time.monotonic()
        click.echo()
        click.secho("What was claimed, and held", bold=True)
        for number, step in enumerate(self.steps, 1):
            title = f"{number}. {step.title}"
            seconds = f"{step.seconds:.1f} s"
            click.echo(
                f"{self._cut(title, len(seconds) + 2).ljust(self._width - len(seconds))}{seconds}"
            )
            self._list(step.claims)
        claims = sum(len(step.claims) for step in self.steps)
        whole = sum(step.seconds for step in self.steps)
        click.echo()
        click.echo(f"All {claims} claims held, in {whole:.0f} seconds.")

    def _list(self, texts: Iterable[str]) -> None:
        for text in texts:
            begin = f"   {self._tick} "
            click.echo(
                textwrap.fill(
                    text,
                    self._width,
                    initial_indent=begin,
                    subsequent_indent=" " * len(begin),
                    break_on_hyphens=False,
                )
            )

    def _cut(self, line: str, less: int = len(INDENT)) -> str:
        room = self._width - less
        return line if len(line) <= room else line[: room - len(self._more)] + self._more


def _signs(encoding: str | None) -> tuple[str, str, str]:
    """For true, false and more, as far as stdout can show them."""
    try:
        "✓✗…".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "ok", "FALSE", "..."
    return "✓", "✗", "…"
