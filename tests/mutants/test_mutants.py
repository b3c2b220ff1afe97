"""The list of mutants does not rot: every patch still fits, and what is named with it exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import ALL
from tests.mutants.mutant import ROOT, Mutant

SCENARIOS = {path.stem for path in (ROOT / "tests" / "scenarios").glob("*.txt")}


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_every_patch_fits_the_code_as_it_is(mutant: Mutant) -> None:
    assert [edit.old for edit in mutant.edits if not edit.is_possible(ROOT)] == []


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_every_scenario_and_test_that_is_named_exists(mutant: Mutant) -> None:
    assert set(mutant.scenarios) <= SCENARIOS
    for test in mutant.tests:
        file, _, name = test.partition("::")
        text = Path(ROOT / file).read_text(encoding="utf-8")
        assert f"def {name.partition('[')[0]}(" in text


def test_no_two_mutants_have_one_name() -> None:
    names = [mutant.name for mutant in ALL]
    assert sorted(set(names)) == sorted(names)
