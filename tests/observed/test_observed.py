"""The page of observed behaviour shows what a cluster shows now."""

from __future__ import annotations

import re

import pytest

from tests.observed import calls, failing
from tests.observed.page import PAGE, PARTS, excerpts_of, filled, observed, without_chance

VALUES = (
    *calls.VALUES,
    calls.TWIN,
    *calls.SECRETS,
    calls.SECRET_NAME,
    *failing.LOST,
    *failing.MISSED,
    *failing.LATE,
)


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def assert_nothing_is_given_away(text: str) -> None:
    assert [value for value in VALUES if value in text] == []
    assert re.findall(r"tv1_\d|tvk_", text) == []


@pytest.mark.timeout(300)
def test_a_cluster_shows_what_the_page_shows(page: str) -> None:
    shown, seen = excerpts_of(page), observed()
    assert list(shown) == list(PARTS), "the page shows each part, in the order in which it happens"
    for name, excerpt in shown.items():
        assert without_chance(excerpt) == without_chance(seen[name]), f"{name}: run make observed"
        assert_nothing_is_given_away(seen[name])


def test_the_page_holds_no_value_no_token_no_key_and_no_name_of_a_secret(page: str) -> None:
    assert_nothing_is_given_away(page)


def test_an_excerpt_that_tells_another_story_is_another_one(page: str) -> None:
    issuance = excerpts_of(page)["issuance"]
    for before, after in (
        ('"new":3', '"new":2'),
        ('"event":"ordered"', '"event":"stored"'),
        ("200", "503"),
    ):
        assert before in issuance
        assert without_chance(issuance) != without_chance(issuance.replace(before, after))


def test_excerpts_are_put_where_the_page_wants_them(page: str) -> None:
    shown = excerpts_of(page)
    assert filled(page, shown) == page
    assert excerpts_of(filled(page, {**shown, "again": "- nothing"}))["again"] == "- nothing"
