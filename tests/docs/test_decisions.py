"""What the decisions say was measured can be seen again: they name what prints or shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, name_of, read
from tests.mutants import ALL

DECISIONS = sorted((DOCS / "decisions").glob("0*.md"))
MUTANTS = {mutant.name for mutant in ALL}
MEASURED = re.compile(r"^## Measured\n(.*?)^## ", re.MULTILINE | re.DOTALL)
NAMED_LIKE_A_MUTANT = re.compile(r"`([a-z]+(?:-[a-z]+)+)`")
SEEN_BY = re.compile(r"`(?:make \w|\.venv/bin/python -m tests\.|tests/)[^`]+`")


def measured_in(page: Path) -> str:
    found = MEASURED.search(read(page))
    assert found is not None
    return found[1]


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_what_was_measured_names_the_command_or_the_test_that_shows_it(page: Path) -> None:
    assert SEEN_BY.search(measured_in(page))


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_every_mutant_that_a_decision_names_exists(page: Path) -> None:
    assert set(NAMED_LIKE_A_MUTANT.findall(measured_in(page))) <= MUTANTS
