"""The functions in SQL: what they give, and how little of the vault they need for it."""

from __future__ import annotations

import logging
from typing import Any

import duckdb
import pytest

from tests.cluster.cluster import Cluster
from tests.duck.asking import Asked
from tests.duck.sql import rows, store
from tvault import Vault
from tvault.client.answers import Value
from tvault.duck import attach

UNKNOWN = "tv1_1_" + "0" * 32

VALUES: list[Any] = [
    "",
    "ann",
    "ä\n\0😀'\"",
    "x" * 60_000,
    "1",
    1,
    1.0,
    -0.0,
    0.0,
    0,
    True,
    False,
    2**70,
    1e300,
    0.1,
]
TEXTS = [
    "",
    "ann",
    "ä\n\0😀'\"",
    "x" * 60_000,
    "1",
    "1",
    "1.0",
    "-0.0",
    "0.0",
    "0",
    "true",
    "false",
    str(2**70),
    "1e300",
    "0.1",
]


def test_values_of_all_types_come_back_as_their_texts(
    con: duckdb.DuckDBPyConnection, vault: Vault
) -> None:
    tokens = vault.tokenize(VALUES).tokens
    store(con, "t", n=range(len(tokens)), a=tokens)
    with attach(con, vault) as attached:
        assert rows(con, "SELECT a FROM vault.t ORDER BY n") == [(text,) for text in TEXTS]
        assert attached.reveal("SELECT a FROM t ORDER BY n", "a").column("a").to_pylist() == TEXTS
        found: dict[str | None, str] = dict(rows(con, "FROM vault.revealed('SELECT a FROM t')"))
        assert [found[token] for token in tokens] == TEXTS


def test_what_is_no_token_of_the_owner_is_null_and_counted_once_and_nulls_stay_null(
    con: duckdb.DuckDBPyConnection,
    vault: Vault,
    cluster: Cluster,
    asked: Asked,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (mine,) = vault.tokenize(["ann"]).tokens
    (foreign,) = cluster.tokenize("n1", ["ann"], "B")
    given = [mine, foreign, UNKNOWN, "a value", "", f"{mine}\n", str(mine).upper(), "a value", None]
    store(con, "t", n=range(len(given)), a=given)
    with attach(con, vault) as attached:
        asked.told()
        caplog.set_level(logging.WARNING, "tvault.duck")
        assert rows(con, "SELECT detokenize(a) FROM t ORDER BY n") == [("ann",)] + 8 * [(None,)]
        assert attached.not_found == 6
        assert "a value" not in caplog.text
        assert len(caplog.records) == 1
        # What is no token may be a value, and stays here.
        assert sum(asked.told()) == 3
        assert (
            attached.take_not_found()
            == "6 different texts are no tokens of this vault: NULL in the result"
        )
        assert attached.take_not_found() is None
        assert attached.not_found == 0
        assert rows(con, f"SELECT detokenize('{UNKNOWN}'), detokenize(NULL)") == [(None, None)]
        assert attached.take_not_found() == "1 text is no token of this vault: NULL in the result"


def test_a_token_that_was_not_found_is_asked_for_again(
    con: duckdb.DuckDBPyConnection, vault: Vault
) -> None:
    known = vault.lookup(["late"])
    assert known == [{}]
    with attach(con, vault):
        assert rows(con, "SELECT token_of('late')") == [(None,)]
        (token,) = vault.tokenize(["late"]).tokens
        assert rows(con, "SELECT token_of('late')") == [(token,)]
        assert rows(con, f"SELECT detokenize('{token}')") == [("late",)]


def test_constants_are_folded_and_a_found_token_is_not_asked_for_again(
    con: duckdb.DuckDBPyConnection, vault: Vault, asked: Asked
) -> None:
    tokens = vault.tokenize([f"folded{number}" for number in range(3000)]).tokens
    store(con, "t", n=range(3000), a=tokens)
    with attach(con, vault):
        asked.told()
        assert rows(con, "SELECT n FROM t WHERE a = token_of('folded77')") == [(77,)]
        # DuckDB 1 asks twice for a constant, and neither of them for every row.
        assert asked.told("lookup") in ([1], [1, 1])
        assert rows(con, f"SELECT count(*) FROM t WHERE detokenize('{tokens[5]}') = 'folded5'") == [
            (3000,)
        ]
        assert sum(asked.told()) == 1
        rows(con, "SELECT a FROM vault.t WHERE n < 100")
        assert sum(asked.told()) == 99
        rows(con, "SELECT a FROM vault.t WHERE n < 100")
        assert asked.told() == []


def test_token_of_tells_types_apart_and_makes_no_tokens(
    con: duckdb.DuckDBPyConnection, vault: Vault
) -> None:
    values: dict[str, Value] = {
        "'1'": "1",
        "1": 1,
        "1.0": 1.0,
        "1.5": 1.5,
        "-0.0::DOUBLE": -0.0,
        "0.0": 0.0,
        "true": True,
        "'true'": "true",
        "1::UTINYINT": 1,
        "1::HUGEINT": 1,
        "1.50::DECIMAL(9,2)": 1.5,
        "2::DECIMAL(9,0)": 2,
        "0.5::FLOAT": 0.5,
        "DATE '2026-01-31'": "2026-01-31",
        "'x'::ENUM('x')": "x",
        "1180591620717411303424": 2**70,
    }
    tokens = vault.tokenize(list(values.values())).tokens
    with attach(con, vault):
        found = rows(con, "SELECT " + ", ".join(f"token_of({sql})" for sql in values))
        assert dict(zip(values, found[0], strict=True)) == dict(zip(values, tokens, strict=True))
        assert rows(con, "SELECT token_of('nobody'), token_of(NULL), token_of('nan'::DOUBLE)") == [
            (None,) * 3
        ]
        assert vault.lookup(["nobody"]) == [{}]


def test_token_of_a_column_and_of_parameters_is_right_for_every_row(
    con: duckdb.DuckDBPyConnection, vault: Vault
) -> None:
    given = [-0.0, 0.0, None, 1.0, float("inf"), 1.0]
    tokens = vault.tokenize([0.0, -0.0, 1.0]).tokens
    store(con, "t", n=range(6), a=given)
    with attach(con, vault):
        found = [token for (token,) in rows(con, "SELECT token_of(a) FROM t ORDER BY n")]
        assert found == [tokens[1], tokens[0], None, tokens[2], None, tokens[2]]
        assert rows(con, "SELECT token_of(?), token_of(?)", [1.0, 0.0]) == [(tokens[2], tokens[0])]


def test_tokens_of_gives_those_of_all_epochs_and_token_of_the_newest(
    con: duckdb.DuckDBPyConnection, cluster: Cluster
) -> None:
    # As another owner, whose epoch no other test knows.
    with Vault([*cluster.nodes.values()], cluster.keys["B"]) as vault:
        (old,) = vault.tokenize(["turning"]).tokens
        vault.rotate_epoch()
        (new,) = vault.tokenize(["turning"]).tokens
        store(con, "t", a=[old, new])
        with attach(con, vault):
            assert rows(con, "SELECT token_of('turning'), tokens_of('turning')") == [(new, [old, new])]
            assert rows(con, "SELECT tokens_of('nobody'), tokens_of(NULL)") == [([], None)]
            assert rows(con, "SELECT count(*) FROM t WHERE a IN tokens_of('turning')") == [(2,)]
            assert rows(con, "SELECT DISTINCT a FROM vault.t") == [("turning",)]


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("token_of([1])", "a value is a text, a number or a boolean, and no list"),
        ("token_of({'a': 1})", "and no struct"),
        ("token_of('a'::BLOB)", "and no binary"),
        ("token_of(INTERVAL 1 DAY)", "and no month_day_nano_interval"),
        ("token_of(1, 2)", "token_of takes one value, not 2"),
        ("tokens_of(1, 2)", "tokens_of takes one value, not 2"),
    ],
)
def test_what_is_no_value_is_refused_in_words(
    con: duckdb.DuckDBPyConnection, vault: Vault, call: str, why: str
) -> None:
    with attach(con, vault), pytest.raises(duckdb.Error, match=why):
        con.execute(f"SELECT {call}").fetchall()


@pytest.mark.parametrize("threads", [1, 4])
def test_all_rows_are_right_whatever_the_threads_and_each_token_is_asked_for_about_once(
    con: duckdb.DuckDBPyConnection, vault: Vault, asked: Asked, threads: int
) -> None:
    tokens = vault.tokenize([f"v{number}" for number in range(7000)]).tokens
    store(con, "known", n=range(7000), a=tokens)
    con.execute(f"SET threads={threads}")
    # Five groups of rows, which DuckDB's threads share among them.
    con.execute(
        "CREATE TABLE t AS SELECT i, CASE WHEN i % 11 > 0 THEN a END AS a "
        "FROM range(600_000) r(i) JOIN known ON n = (i * 31) % 7000"
    )
    with attach(con, vault):
        asked.told()
        wrong = "SELECT count(*) FROM vault.t WHERE a IS DISTINCT FROM "
        wrong += "(CASE WHEN i % 11 > 0 THEN 'v' || ((i * 31) % 7000) END)"
        assert rows(con, wrong) == [(0,)]
        assert 7000 <= sum(asked.told()) <= 7000 + 2048 * threads * (threads - 1)


def test_a_cursor_of_the_connection_has_views_and_functions_too(
    con: duckdb.DuckDBPyConnection, vault: Vault
) -> None:
    store(con, "t", a=vault.tokenize(["ann"]).tokens)
    with attach(con, vault), con.cursor() as cursor:
        assert rows(cursor, "FROM vault.t") == [("ann",)]
        assert rows(cursor, "SELECT detokenize(token_of('ann'))") == [("ann",)]
        assert rows(cursor, "FROM vault.revealed('FROM t')")[0][1] == "ann"


def test_token_of_is_the_same_when_a_connection_converts_without_loss(
    con: duckdb.DuckDBPyConnection, vault: Vault
) -> None:
    name = "6f1c0e0e-0000-4000-8000-00000000002a"
    values: dict[str, Value] = {
        "1::HUGEINT": 1,
        "(-2)::HUGEINT": -2,
        "(1::UHUGEINT << 100)": 2**100,
        "true": True,
        f"'{name}'::UUID": name,
        "'[1]'::JSON": "[1]",
        "sum(2)": 2,
    }
    tokens = vault.tokenize(list(values.values())).tokens
    con.execute("SET arrow_lossless_conversion = true")
    with attach(con, vault):
        found = rows(con, "SELECT " + ", ".join(f"token_of({sql})" for sql in values))
        assert dict(zip(values, found[0], strict=True)) == dict(zip(values, tokens, strict=True))
