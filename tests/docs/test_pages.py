"""The pages hold together: links lead somewhere, what is named exists, pictures are up to date."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.commands import functions_of
from tests.docs.pages import DOCS, ROOT, anchors, links, name_of, page_called, pages, prose, read

NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
SHOWN = re.compile(rf"{NAMED_TEST.pattern}|`tests/scenarios/\w+\.txt`")
NAMED_PATH = re.compile(r"`((?:tests|tvault|docs|examples)/[\w./-]*)`")
BARE_URL = re.compile(r"(?<!\]\()\bhttps?://[^\s)]+")
LONGEST_DECISION = 48
DECISION_PARTS = ["Context", "Decision", "What it costs", "Measured", "What would change our mind"]
PAGES = pages()
DECISIONS = sorted((DOCS / "decisions").glob("0*.md"))


def leads_somewhere(page: Path, target: str) -> bool:
    if re.match(r"[a-z]+:", target):
        return target.startswith("https://")
    path, _, anchor = target.partition("#")
    there = (page.parent / path).resolve() if path else page
    if not there.is_relative_to(ROOT) or not there.exists():
        return False
    return not anchor or anchor in anchors(read(there))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [target for target in links(read(page)) if not leads_somewhere(page, target)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_to_another_place_says_in_words_where_it_leads(page: Path) -> None:
    """And goes there by TLS: `leads_somewhere`."""
    assert BARE_URL.findall(re.sub(r"`[^`\n]+`", "", prose(read(page)))) == []


def test_no_two_pages_of_the_documentation_share_a_name() -> None:
    names = sorted(path.stem for path in DOCS.rglob("*.md") if path.name != "README.md")
    assert names == sorted(set(names))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    missing = [
        f"{file}::{test}"
        for file, test in NAMED_TEST.findall(read(page))
        if not (ROOT / file).is_file() or test not in functions_of(ROOT / file)
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    assert [path for path in NAMED_PATH.findall(read(page)) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(("page", "fewest"), [("guarantees", 70), ("retries", 10)])
def test_every_claim_names_a_test_or_a_scenario(page: str, fewest: int) -> None:
    text = read(page_called(page))
    claims = re.findall(r"^\| claim \| shown by \|\n\|---\|---\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    lines = [line for table in claims for line in table.splitlines()]
    assert len(lines) >= fewest, "the tables of claims are no longer found"
    assert [line for line in lines if not SHOWN.search(line)] == []


def test_every_page_of_the_documentation_can_be_reached_from_the_readme() -> None:
    reached = {ROOT / "README.md"}
    waiting = list(reached)
    while waiting:
        page = waiting.pop()
        targets = {(page.parent / target.partition("#")[0]).resolve() for target in links(read(page))}
        found = {path for path in targets if path.suffix == ".md" and path.is_file()} - reached
        reached |= found
        waiting += found
    assert [name_of(page) for page in PAGES if page not in reached] == []


def test_every_picture_is_what_its_source_draws_and_says_what_it_shows(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(DOCS / "diagrams" / "draw.py"), str(tmp_path)], check=True)
    drawn = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    stored = {path.name: path.read_bytes() for path in (DOCS / "diagrams").glob("*.svg")}
    assert drawn == stored, "run: python docs/diagrams/draw.py"
    assert all(b"<title>" in svg and b"<desc>" in svg for svg in stored.values())
    shown = [text for page in PAGES for text in re.findall(r"!\[([^\]]*)\]", read(page))]
    assert len(shown) >= len(stored)
    assert all(len(text) > 20 for text in shown), "a picture without a text for those who cannot see it"


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_every_decision_is_short_and_says_why_at_what_cost_and_until_when(page: Path) -> None:
    text = read(page)
    assert len(text.splitlines()) <= LONGEST_DECISION
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == DECISION_PARTS
    assert re.match(rf"# {int(page.name[:4])}\. ", text)


def test_the_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(page.name[:4]) for page in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))
    listed = re.findall(
        r"^(\d+)\. \[.*?\]\(0*(\d+)-", read(DOCS / "decisions" / "README.md"), re.M | re.S
    )
    assert [(int(place), int(number)) for place, number in listed] == [(n, n) for n in numbers]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_place_of_one_machine(page: Path) -> None:
    assert re.findall(r"(?<![\w.…])/(?:home|root|work|tmp|Users)/\S*", read(page)) == []
