"""The pages on performance and capacity tell the recorded run, whole and as it is."""

from __future__ import annotations

import re

import pytest

from tests.bench.__main__ import SUBJECTS
from tests.bench.costs import Costs, expected, merges
from tests.bench.page import MEASURED, PAGES, TABLES, filled
from tests.bench.recorded import Recorded
from tests.docs.pages import DOCS, read, rows, section
from tests.docs.test_pages import SHOWN
from tvault.store.building import FAN_IN
from tvault.store.index import RUN_TOKENS

PART = re.compile(r"<!-- (\w+): made from measured\.json by python -m tests\.bench\.page -->")
FIGURE = re.compile(r"\d[\d.,]*(?: ?[µm]s\b|[kM]? (?:values|rows)/s| MiB/s)")
RECORDED = Recorded(MEASURED)


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_are_those_of_the_recorded_run(page: str) -> None:
    text = read(DOCS / page)
    assert filled(text, RECORDED) == text, "run: python -m tests.bench.page"


def test_every_table_stands_on_one_page() -> None:
    shown = [name for page in PAGES for name in PART.findall(read(DOCS / page))]
    assert sorted(shown) == sorted(TABLES)


def test_every_subject_of_the_recorded_run_is_told() -> None:
    told = {row[0] for row in rows(section(read(DOCS / "performance.md"), "How to repeat it"))}
    assert told == {f"`{name}`" for name in SUBJECTS}
    assert {row.subject for row in RECORDED.rows} >= {"bulk", "growth", "shape", "files", "failures"}


@pytest.mark.parametrize("page", PAGES)
def test_the_text_has_no_figure_that_changes_with_the_run(page: str) -> None:
    text = re.sub(r"<!-- \w+: .*?<!-- end -->", "", read(DOCS / page), flags=re.DOTALL)
    assert set(FIGURE.findall(text)) <= {"20 ms"}, "such figures belong into a table that is made"


@pytest.mark.parametrize("page", PAGES)
def test_every_claim_names_a_test(page: str) -> None:
    claims = list(rows(section(read(DOCS / page), "What this rests on")))
    assert len(claims) >= 5
    assert [claim for claim, shown in claims if not SHOWN.search(shown)] == []


def test_what_is_expected_is_in_proportion_to_the_values() -> None:
    costs = Costs(RECORDED)
    small, large = expected(costs, 10**8), expected(costs, 10**9)
    for name in ("journal_gb", "index_gb", "cache_gb", "start_s", "copy_s", "check_s"):
        assert getattr(large, name) == pytest.approx(10 * getattr(small, name)), name
    assert small.memory_gib < large.memory_gib < 10 * small.memory_gib


def test_the_merges_are_played_as_they_are_done() -> None:
    """Four generations become a run, four such runs the next one; what is left over stays."""
    played = merges((FAN_IN**2 + 1) * RUN_TOKENS)
    assert played.runs == 2
    assert played.largest == FAN_IN**2 * RUN_TOKENS
    assert played.written == pytest.approx((17 + 12 + 16) / 17)
