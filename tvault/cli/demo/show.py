"""What every step of the demo has: the stage, the cluster, and what is told of."""

from __future__ import annotations

from dataclasses import dataclass

from tvault.cli.demo.patients import Patient, Visit
from tvault.cli.demo.stage import SHOWN_LINES, Stage
from tvault.cli.demo.temporary import TemporaryCluster


@dataclass
class Show:
    """`killed` is the node that is down, if one is."""

    stage: Stage
    cluster: TemporaryCluster
    people: list[Patient]
    visits: list[Visit]
    killed: str = ""

    def run(self, command: str, expected: int = 0, lines: int = SHOWN_LINES) -> str:
        """Show a command, run it, and show what it prints."""
        self.stage.command(f"$ {command}")
        text = self.cluster.run(command, expected)
        self.stage.output(text, lines)
        return text

    def check(self, command: str, text: str) -> None:
        """Run a command whose exit code tells whether a claim holds."""
        self.stage.command(f"$ {command}")
        code, printed = self.cluster.ended(command)
        self.stage.output(printed)
        self.stage.claim(text, holds=code == 0)

    def content(self, name: str) -> bytes:
        """What is in a file of the folder."""
        return (self.cluster.place / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Make a file in the folder."""
        (self.cluster.place / name).write_bytes(content)
