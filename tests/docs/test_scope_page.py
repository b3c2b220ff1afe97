"""The page of the scope leaves out nothing that was asked for."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import page_called, read, rows, section

ASKED = {
    "T1": 9,
    "T2": 9,
    "T3": 9,
    "T4": 4,
    "S1": 11,
    "S2": 9,
    "S3": 10,
    "S4": 6,
    "S5": 7,
    "W1": 5,
    "W2": 4,
    "W3": 6,
}
"""How many items the founding documents have under each of their numbered parts."""

ASKED_PLAINLY = {"B": 11, "H": 11, "R": 5, "C": 7, "G": 3, "D": 4, "O": 9, "M": 13}
ITEMS = {f"{part}.{number}" for part, count in ASKED.items() for number in range(1, count + 1)}
PLAIN = {f"{part}{number}" for part, count in ASKED_PLAINLY.items() for number in range(1, count + 1)}
ALL = ITEMS | PLAIN | {"W4", "W5", "W6"}
ITEM = re.compile(r"\b[TSBHRWCGDOM]\d+(?:\.\d+)?\b")


@pytest.fixture(scope="module")
def page() -> str:
    return read(page_called("scope"))


def test_every_item_of_the_founding_documents_stands_on_the_page(page: str) -> None:
    named = {item for first, *_ in rows(page) for item in ITEM.findall(first)}
    assert ALL - named == set()
    assert {item for item in named - ALL if "." in item or item[0] not in "TSW"} == set()


def test_the_milestones_are_all_there_in_their_order(page: str) -> None:
    weeks = [row[0] for row in rows(section(page, "Milestones"))]
    assert weeks == [f"M{week}" for week in range(1, 14)]


def test_all_that_is_out_of_scope_is_told_in_its_order(page: str) -> None:
    left_out = [row[0].split()[0] for row in rows(section(page, "Out of scope"))]
    assert left_out == [f"O{number}" for number in range(1, 10)]


def test_every_part_says_where_it_lives_by_a_file_or_a_page(page: str) -> None:
    for title in ("Tokens and epochs", "Replication, failure, observation", "Secrets", "Milestones"):
        for row in rows(section(page, title)):
            where = row[-2]
            assert re.search(
                r"`tvault/[\w/]+(?:\.py)?`|\]\([\w./#-]+\)|the same chain|this page", where
            ), row


def test_every_guarantee_has_its_limit_beside_it(page: str) -> None:
    told = list(rows(section(page, "Guarantees and limitations")))
    assert len(told) >= 15
    assert [row for row in told if len(row) != 3 or not all(row)] == []
