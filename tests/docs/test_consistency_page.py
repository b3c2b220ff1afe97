"""The page of the consistency model: what its lemmas stand on is there, and shown by what it says."""

from __future__ import annotations

import re

from tests.docs.pages import page_called, read, rules_of, tables
from tests.mutants import ALL
from tests.mutants.mutant import Mutant

PAGE = read(page_called("consistency"))
RULES = read(page_called("protocol"))
MUTANTS = {mutant.name: mutant for mutant in ALL}
(LEMMAS,) = (rows for head, *rows in tables(PAGE) if head[0] == "lemma")


def shows(mutant: Mutant, cell: str) -> bool:
    """Whether a cell names something that notices the mutant."""
    scenarios = [f"`tests/scenarios/{name}.txt`" for name in mutant.scenarios]
    return any(named in cell for named in (*scenarios, *(f"`{test}`" for test in mutant.tests)))


def test_every_rule_that_a_lemma_or_the_text_names_exists() -> None:
    known = rules_of(RULES)
    named = {rule for _, rules, *_ in LEMMAS for rule in rules.split(", ")}
    for inside in re.findall(r"\(((?:\d(?:\.\d+)?(?:, )?)+)\)", PAGE):
        named |= set(inside.split(", "))
    assert named - known == set()
    assert len(named) > 20


def test_every_mutant_of_a_lemma_exists_and_is_noticed_by_what_the_row_shows() -> None:
    wrong = [
        name
        for _, _, names, shown in LEMMAS
        for name in names.split(", ")
        if name not in MUTANTS or not shows(MUTANTS[name], shown)
    ]
    assert wrong == []


def test_every_rule_whose_loss_costs_what_was_acknowledged_stands_under_a_lemma() -> None:
    bites = {
        rule for mutant in ALL if "[bites]" in mutant.rule for rule in mutant.rule.split("[")[0].split()
    }
    assert bites - {rule for _, rules, *_ in LEMMAS for rule in rules.split(", ")} == set()
