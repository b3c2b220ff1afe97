"""Every fenced block of every page is of a kind that is checked, and every command names what there is.

`console` and `python` blocks are executed: by `tests/e2e/test_pages.py`, or by a test of their own that
EXECUTED names. Blocks of the other kinds are read as what they are: `tests/docs/kinds.py`. One without a
kind is output or a form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.commands import functions_of
from tests.docs.kinds import READ, of_another_library, wrong_commands
from tests.docs.pages import ROOT, blocks, name_of, page_called, pages, read
from tests.e2e.page import steps_of
from tests.e2e.test_pages import PAGES, path_of

EXECUTED = {
    ("analytics", "console"): "tests/e2e/test_analytics.py::test_the_example_prints_what_the_page_shows",
    ("analytics", "python"): "tests/e2e/test_analytics.py::test_the_queries_of_the_page_are_the_files",
    ("analytics", "sql"): "tests/e2e/test_analytics.py::test_the_queries_of_the_page_are_the_files",
    ("arrow", "python"): "tests/e2e/test_arrow_page.py::test_the_snippets_of_the_page_run_as_shown",
    ("duckdb", "python"): "tests/duck/test_page.py::test_the_snippets_of_the_page_run_as_shown",
    ("notebook", "python"): "tests/duck/test_page.py::test_the_snippets_of_the_page_run_as_shown",
    (
        "env-files",
        "dotenv",
    ): "tests/docs/test_env_page.py::test_the_example_is_encrypted_and_expanded_as_shown",
}
"""Blocks of a page that a test of their own runs, or compares with what is run."""

RUN = ("console", "python")
CODE = re.compile(r"`((?:[^`\n]|\n(?!\s*\n))+)`")
EXTRAS = re.compile(r"pip install [^`\n]*?\[(\w+)\]")
KNOWN_EXTRAS = set(re.findall(r"^(\w+) = \[$", read(ROOT / "pyproject.toml"), re.MULTILINE))


def wrong_blocks(page: Path) -> Iterator[str]:
    """What is wrong with the blocks of a page, each with the line where it stands."""
    walked = {path_of(each) for each in PAGES}
    for block in blocks(read(page)):
        kind, *more = block.kind.split(" ")
        if kind == "python" and more:
            wrong = of_another_library(block.text)
        elif (page.stem, kind) in EXECUTED or (kind in RUN and page in walked):
            wrong = iter(())
        elif kind in READ:
            wrong = READ[kind](block.text)
        elif kind in RUN:
            wrong = iter(
                [f"no test runs the {kind} blocks: add the page to PAGES of tests/e2e/test_pages.py"]
            )
        else:
            wrong = iter([f"no test checks blocks of the kind {block.kind!r}"])
        yield from (f"{name_of(page)}:{block.line}: {each}" for each in wrong)


def wrong_steps(page: Path) -> Iterator[str]:
    """What is wrong with the commands of blocks that are run, but for those whose failure is shown."""
    for block in blocks(read(page)):
        if block.kind == "console":
            steps = steps_of(block.text, block.line)
            for step, after in zip(steps, [*steps[1:], None], strict=True):
                if after is None or "$?" not in after.command:
                    wrong = wrong_commands(step.command.partition("<<")[0], whole=True)
                    yield from (f"{name_of(page)}:{step.line}: {each}" for each in wrong)


def wrong_in_sentences(page: Path) -> Iterator[str]:
    """What is wrong with the commands that sentences and tables name."""
    text = without_blocks(read(page))
    for found in CODE.finditer(text):
        command = " ".join(found[1].replace("\\|", "|").split())
        line = text.count("\n", 0, found.start()) + 1
        wrong = wrong_commands(command, whole=False)
        yield from (f"{name_of(page)}:{line}: {each}" for each in wrong)


def without_blocks(text: str) -> str:
    """The text with its fenced blocks left blank, each line in its place."""
    return re.sub(
        r"^ *```.*?^ *```$", lambda block: "\n" * block[0].count("\n"), text, flags=re.M | re.S
    )


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_block_is_run_or_read_as_what_it_is(page: Path) -> None:
    assert list(wrong_blocks(page)) == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_command_and_option_that_a_page_names_exists(page: Path) -> None:
    assert [*wrong_steps(page), *wrong_in_sentences(page)] == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_extra_that_a_page_installs_exists(page: Path) -> None:
    assert set(EXTRAS.findall(read(page))) - KNOWN_EXTRAS == set()


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_fence_begins_or_ends_a_block(page: Path) -> None:
    fences = re.findall(r"^\s*```", read(page), re.MULTILINE)
    assert len(fences) == 2 * len(blocks(read(page)))


def test_what_runs_the_blocks_of_a_page_by_itself_is_there_and_reads_that_page() -> None:
    for (page, kind), test in EXECUTED.items():
        file, _, name = test.partition("::")
        assert name in functions_of(ROOT / file), test
        told = read(ROOT / file)
        assert "page_called(" in told, f"{file} does not read {page}"
        assert f'"{page}"' in told, f"{file} does not read {page}"
        kinds = [block.kind.split(" ")[0] for block in blocks(read(page_called(page)))]
        assert kind in kinds, f"{page} has no {kind} blocks any more"
    walked = [page.name for page in PAGES]
    assert len(walked) == len(set(walked))
    assert [page.name for page in PAGES if not runs_something(path_of(page))] == []


def runs_something(page: Path) -> bool:
    return any(block.kind in RUN for block in blocks(read(page)))


def test_the_rules_of_this_module_find_what_they_are_to_find() -> None:
    """On every page: or a form of it that changed would end the checks in silence."""
    named = [found[1] for page in pages() for found in CODE.finditer(without_blocks(read(page)))]
    assert sum(command.startswith("tvault ") for command in named) > 100
    assert sum(command.startswith("make ") for command in named) > 10
    shown = [block.kind for page in pages() for block in blocks(read(page))]
    assert shown.count("console") > 20
    assert {"toml", "json", "yaml", "sh"} <= set(shown)


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("tvault inspect nodes", "no such command 'nodes'"),
        ("tvault tokenize FILE --jbos 3", "no such option '--jbos'"),
        ("cat x | tvault secret put NAME --last 1", "no such option '--last'"),
        ("TVAULT_URL=x .venv/bin/tvault lookup - --tpyed", "no such option '--tpyed'"),
        ("make tset", "the Makefile has no target tset"),
        ("make soak MINUTE=1", "the Makefile has no variable MINUTE"),
        ("python -m tests.simulator", "there is no module tests.simulator"),
        ("python -m tests.sim --seed 3", "tests.sim has no option --seed"),
        ("pytest tests/docs/test_snippets.py::test_no", "has no test test_no"),
        ("pytest tests/nowhere", "there is no tests/nowhere"),
        ("pytest tests/docs -k nothing_of_it", "no test there has nothing_of_it in its name"),
    ],
)
def test_a_command_that_is_not_there_is_found(command: str, wrong: str) -> None:
    (told,) = wrong_commands(command, whole=False)
    assert wrong in told
