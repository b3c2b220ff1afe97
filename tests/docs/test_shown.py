"""What a table of claims names to show that they are right can be run or read."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.docs.commands import simple_commands, what_is_wrong
from tests.docs.pages import ROOT, name_of, pages, read, tables

PAGES = pages()
BIN = Path(sys.executable).parent
SHOWN_BY = "shown by"
FEWEST = 150

CODE = re.compile(r"`([^`\n]+)`")
TEST = re.compile(r"tests/[\w/]+\.py::\w+")
FILE = re.compile(r"(?:tests|tvault|docs|examples)/[\w./-]+\w")


def what_shows(cell: str) -> list[str]:
    """What a cell names that can be run or read; `test_pages` holds that tests and files exist."""
    named = CODE.findall(cell)
    return [each for each in named if TEST.fullmatch(each) or is_file(each) or is_command(each)]


def is_file(text: str) -> bool:
    return FILE.fullmatch(text) is not None and (ROOT / text).is_file()


def is_command(text: str) -> bool:
    program = text.partition(" ")[0]
    if re.fullmatch(r"\.venv/bin/[a-z-]+", program) and (BIN / Path(program).name).exists():
        return True
    commands = list(simple_commands(text))
    return bool(commands) and all(what_is_wrong(each, whole=False) is None for each in commands)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_row_of_a_table_of_claims_names_what_shows_it(page: Path) -> None:
    rows = [row for head, *rows in tables(read(page)) if head[-1] == SHOWN_BY for row in rows]
    assert [row for row in rows if not what_shows(row[-1])] == []


def test_the_tables_of_claims_are_found_and_those_of_two_columns_say_that_they_hold_claims() -> None:
    held = [table for page in PAGES for table in tables(read(page)) if table[0][-1] == SHOWN_BY]
    assert sum(len(table) - 1 for table in held) >= FEWEST
    assert [head for head, *_ in held if len(head) == 2 and head[0] != "claim"] == []
    told = [cell.lower() for page in PAGES for head, *_ in tables(read(page)) for cell in head]
    assert told.count(SHOWN_BY) == len(held), "a table of claims that is not held"


@pytest.mark.parametrize(
    ("cell", "is_shown"),
    [
        ("a test that is named there", False),
        ("`tvault inspect`, by eye", True),
        ("`tvault nspect`", False),
        ("`make sim SEEDS=9`", True),
        ("`make smi`", False),
        ("`.venv/bin/lint-imports`", True),
        ("`tests/scenarios/founding_in_one_round.txt`", True),
        ("`tests/scenarios/founding_in_two_rounds.txt`", False),
        ("`tvault/store/runs.py`", True),
    ],
)
def test_a_row_that_names_nothing_that_can_be_run_or_read_is_found(cell: str, *, is_shown: bool) -> None:
    assert bool(what_shows(cell)) == is_shown
