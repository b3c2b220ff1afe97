"""Every scenario comes out as it is written, and what it expects holds.

`python -m tests.scenarios --rewrite` writes the outcomes anew, to be reviewed as a diff.  That cannot
bless a broken rule: an expectation that fails still fails.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.script import parse, play

SCENARIOS = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_comes_out_as_it_is_written(path: Path) -> None:
    assert play(path).splitlines() == path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_tells_its_story_and_expects_something(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    commands = [command for block in parse(text) for _, command in block.commands]
    assert any(command.startswith("expect ") for command in commands)
