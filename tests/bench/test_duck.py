"""Joins in DuckDB and files of all formats are measured, and their answers are compared."""

from __future__ import annotations

from pathlib import Path

import duckdb

from tests.bench import duck, formats
from tests.bench.scale import SCALES

TINY = SCALES["tiny"]


def test_every_way_is_measured_beside_the_join_with_the_values(tmp_path: Path) -> None:
    rows = {row.title: row for row in duck.measure(tmp_path, TINY)}
    what = ("200 tokens", "2,400 tokens", "2,400 as they were made")
    wanted = {f"{way}, 4,000 rows, {tokens}" for way in duck.TITLES.values() for tokens in what}
    assert set(rows) == wanted - {"a view, 4,000 rows, 2,400 as they were made"}
    for title, row in rows.items():
        assert row.ratio
        assert row.ratio > 0
        assert row.target is None, f"{title}: the targets are for {duck.TARGET_ROWS:,} rows"
        assert row.details["client_cpu_s"] > 0


def test_the_targets_are_for_many_rows_and_for_what_asks_for_all_at_once() -> None:
    one = {"seconds": 11.0, "client_cpu_s": 1.0, "nodes_cpu_s": 2.0}
    runs = [{"way": way, **one} for way in duck.WAYS]
    rows = duck._rows(runs, duck.TARGET_ROWS, "600,000 tokens", duck.MANY_TARGET_S)
    assert [row.is_met for row in rows] == [True, True, None]
    rows = duck._rows(runs, duck.TARGET_ROWS, "50,000 tokens", duck.FEW_TARGET_S)
    assert [row.is_met for row in rows] == [False, False, None]


def test_the_tables_hold_every_token_in_so_many_rows_and_the_order_that_is_told(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("".join(f"{number} token{number}\n" for number in range(60)))
    database = tmp_path / "tables.duckdb"
    duck.write_tables(database, tokens, 200, {"few": 10, "many": 60})
    with duckdb.connect(str(database), read_only=True) as connection:
        found = {
            name: [token for (token,) in connection.table(name).project("token").fetchall()]
            for name in ("few", "many", "in_order")
        }
        values = dict(connection.execute("SELECT number, value FROM plain").fetchall())
    made = [f"token{number}" for number in range(60)]
    assert {name: len(texts) for name, texts in found.items()} == dict.fromkeys(found, 200)
    assert set(found["few"]) == set(made[:10])
    assert set(found["many"]) == set(made)
    assert list(dict.fromkeys(found["in_order"])) == made
    assert list(dict.fromkeys(found["many"])) != made
    assert values[7] == "duck-000000000000000000000000007"


def test_every_format_is_measured_beside_jsonl(tmp_path: Path) -> None:
    rows = formats.measure(tmp_path, TINY)
    assert [row.title for row in rows] == [
        f"{step}, {name}" for step in formats.STEPS for name in formats.NAMES.values()
    ]
    assert all(row.figure > 0 and row.baseline for row in rows)
