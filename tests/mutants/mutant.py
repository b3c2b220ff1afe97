"""A deliberate fault: one rule of the design taken out of the code by a small patch, and who notices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Edit:
    """One exact text of a file, which stands there once, and what replaces it."""

    file: str
    old: str
    new: str

    def is_possible(self, root: Path) -> bool:
        """Whether the text is still there, once."""
        return (root / self.file).read_text(encoding="utf-8").count(self.old) == 1

    def apply(self, root: Path) -> None:
        """Change the file below `root`."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self.file} does not hold the text once: {self.old!r}"
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True)
class Mutant:
    """A rule that is broken, and what notices: `scenarios` by their names, `tests` by their node ids.
    Where neither does, the simulator has to."""

    name: str
    rule: str
    edits: tuple[Edit, ...]
    scenarios: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()


def mutant(
    name: str,
    rule: str,
    file: str,
    old: str,
    new: str,
    *,
    scenarios: str = "",
    tests: tuple[str, ...] = (),
    more: tuple[Edit, ...] = (),
) -> Mutant:
    """A mutant of one edit, and `more`; the names of scenarios stand side by side."""
    return Mutant(name, rule, (Edit(file, old, new), *more), tuple(scenarios.split()), tests)
