"""SQL is cut where DuckDB cuts it, however it comes."""

from __future__ import annotations

import random

import pytest

from tvault.cli.sql_statements import Statements, statements_of

CUT = [
    ("SELECT 1", ["SELECT 1"]),
    ("SELECT 1;", ["SELECT 1"]),
    ("", []),
    (" ;; ; ", []),
    ("-- nothing; at all", []),
    ("/* nothing; */", []),
    ("SELECT 1; SELECT 2;;SELECT 3", ["SELECT 1", "SELECT 2", "SELECT 3"]),
    ("SELECT ';'; SELECT \";\" FROM t", ["SELECT ';'", 'SELECT ";" FROM t']),
    ("SELECT 'it''s;'; SELECT \"a\"\"b;\"", ["SELECT 'it''s;'", 'SELECT "a""b;"']),
    (r"SELECT 'a\'; SELECT 2", [r"SELECT 'a\'", "SELECT 2"]),
    (r"SELECT E'a\';b'; SELECT e'\\'; SELECT 3", [r"SELECT E'a\';b'", r"SELECT e'\\'", "SELECT 3"]),
    (r"SELECT name'a\'; SELECT 2", [r"SELECT name'a\'", "SELECT 2"]),
    ("SELECT $$;$$; SELECT $a$;$$;$a$", ["SELECT $$;$$", "SELECT $a$;$$;$a$"]),
    ("SELECT $ä$;$ä$; SELECT $1; SELECT 3", ["SELECT $ä$;$ä$", "SELECT $1", "SELECT 3"]),
    ("SELECT 1 -- ;\n+ 1; SELECT 2 -- ;", ["SELECT 1 -- ;\n+ 1", "SELECT 2 -- ;"]),
    ("SELECT /* a /* ; */ ; */ 1; SELECT 2", ["SELECT /* a /* ; */ ; */ 1", "SELECT 2"]),
    ("-- before\nSELECT 1; /* x; */ SELECT 2", ["SELECT 1", "SELECT 2"]),
    ("SELECT 'never ended; SELECT 2", ["SELECT 'never ended; SELECT 2"]),
    ("SELECT 1 /* never ended; SELECT 2", ["SELECT 1 /* never ended; SELECT 2"]),
]


@pytest.mark.parametrize(("text", "expected"), CUT)
def test_a_semicolon_ends_a_statement_but_not_in_quotes_and_comments(
    text: str, expected: list[str]
) -> None:
    assert [each.text for each in statements_of(text)] == expected


@pytest.mark.parametrize(("text", "expected"), CUT)
def test_lines_give_what_the_whole_text_gives(text: str, expected: list[str]) -> None:
    cutter = Statements()
    found = [each for line in text.splitlines(keepends=True) for each in cutter.add(line)]
    assert [each.text for each in found + cutter.finish()] == expected


def test_each_statement_knows_the_line_in_which_it_begins() -> None:
    text = "-- one\n\nSELECT 1;\nSELECT\n2; SELECT 3;\n/*\n*/ SELECT '\n\n';\nSELECT 5"
    assert [each.line for each in statements_of(text)] == [3, 4, 5, 7, 10]
    cutter = Statements()
    lines = [each.line for line in text.splitlines(keepends=True) for each in cutter.add(line)]
    assert lines + [each.line for each in cutter.finish()] == [3, 4, 5, 7, 10]


def test_what_has_begun_is_known_and_can_be_dropped() -> None:
    cutter = Statements()
    for text, has_begun in (
        ("  -- a comment\n", False),
        ("SELECT 1; ", False),
        ("SELECT\n", True),
        ("';'\n", True),
        (";\n", False),
        ("/* a comment\n", True),
        ("*/\n", False),
    ):
        cutter.add(text)
        assert bool(cutter) == has_begun, text
    cutter.add("SELECT 'x")
    cutter.forget()
    assert not cutter
    assert [each.text for each in cutter.add("SELECT 2;")] == ["SELECT 2"]


def test_any_text_is_cut_without_losing_a_statement() -> None:
    dice = random.Random(7)
    pieces = ["SELECT", " ", ";", "'", '"', "$$", "$a$", "--", "\n", "/*", "*/", "E'", "\\", "x", "1"]
    for _ in range(2000):
        text = "".join(dice.choices(pieces, k=dice.randrange(1, 20)))
        kept = "".join(each.text for each in statements_of(text))
        left = iter(text)
        assert all(sign in left for sign in kept), text
