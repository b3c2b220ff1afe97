"""A scenario as a text: a story in comments, blocks of commands, and below `----` what came of them.

    # The head dies.
    crash n1
    run 500
    ----
    n2 is head of view 4: n2 n3

Commands are those of `director`.  A block in which nothing happens says `ok`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.scenarios.director import Director

RULE = "----"
NOTHING = "ok"
LINES_TOLD = 60


@dataclass
class Block:
    """Commands, with the comments between them, and what came of them when last written."""

    first: int
    source: list[str] = field(default_factory=list)
    outcome: list[str] = field(default_factory=list)

    @property
    def commands(self) -> list[tuple[int, str]]:
        """The commands with their lines' numbers."""
        return [
            (number, line.strip())
            for number, line in enumerate(self.source, start=self.first)
            if line.strip() and not line.startswith("#")
        ]


def parse(text: str) -> list[Block]:
    """The blocks of a scenario, each with all that stands before its rule."""
    blocks: list[Block] = []
    block = Block(1)
    is_outcome = False
    for number, line in enumerate(text.splitlines(), start=1):
        if is_outcome and line:
            block.outcome.append(line)
        elif is_outcome:
            is_outcome = False
            blocks.append(block)
            block = Block(number, [line])
        elif line == RULE:
            is_outcome = True
        else:
            block.source.append(line)
    assert is_outcome or not block.commands, "the last commands have no outcome"
    return [*blocks, block] if is_outcome else blocks


def render(blocks: list[Block]) -> str:
    """The text of a scenario."""
    return "\n".join("\n".join([*block.source, RULE, *block.outcome]) for block in blocks) + "\n"


def play(path: Path) -> str:
    """Carry out a scenario; its text with what came of it now.

    Raises `AssertionError`, naming the line, when an expectation is not met.
    """
    blocks = parse(path.read_text(encoding="utf-8"))
    director = Director()
    try:
        for block in blocks:
            block.outcome = _play(block, director, path) or [NOTHING]
    finally:
        director.close()
    return render(blocks)


def _play(block: Block, director: Director, path: Path) -> list[str]:
    outcome: list[str] = []
    number = 0
    try:
        for number, command in block.commands:  # noqa: B007  the failure names it
            outcome += director.do(command)
    except AssertionError as failure:
        so_far = "".join(f"\n    {line}" for line in [*outcome, *director.stage.log][-LINES_TOLD:])
        raise AssertionError(f"{path.name}:{number}: {failure}, after{so_far}") from failure
    return outcome
