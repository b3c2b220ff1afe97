"""Many tokens at once: `vault.revealed(…)` in SQL, and `reveal()`."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from tests.duck.asking import Asked
from tests.duck.sql import rows, store
from tvault import Vault, VaultError
from tvault.duck import attach

UNKNOWN = "tv1_1_" + "0" * 32
MANY = 25_000


def test_revealed_asks_for_each_token_once_in_full_requests_and_joins_back(
    con: duckdb.DuckDBPyConnection, vault: Vault, many_tokens: list[str], asked: Asked
) -> None:
    store(con, "t", i=range(3 * MANY), a=[*many_tokens, *reversed(many_tokens), *many_tokens])
    with attach(con, vault):
        asked.told()
        wrong = (
            "SELECT count(*), count(*) FILTER (value <> 'm' || CASE WHEN i // 25000 = 1 THEN 49999 - i "
        )
        wrong += "ELSE i % 25000 END) FROM t JOIN vault.revealed('SELECT a FROM t') ON token = a"
        assert rows(con, wrong) == [(3 * MANY, 0)]
        assert sorted(asked.told()) == [5_000, 10_000, 10_000]


def test_reveal_does_the_same_and_its_table_outlives_everything(
    vault: Vault, many_tokens: list[str], asked: Asked
) -> None:
    con = duckdb.connect()
    store(
        con,
        "t",
        i=range(2 * MANY),
        a=many_tokens * 2,
        b=[many_tokens[0], None] * MANY,
        c=["x", UNKNOWN] * MANY,
    )
    with attach(con, vault) as attached:
        asked.told()
        made = attached.reveal(con.sql("SELECT * FROM t ORDER BY i"), "a", "b", "c")
        assert sorted(asked.told()) == [1, 5_000, 10_000, 10_000]
        assert attached.not_found == 2
    con.close()
    assert made.column_names == ["i", "a", "b", "c"]
    assert made.column("a").to_pylist() == [f"m{number}" for number in range(MANY)] * 2
    assert made.column("b").to_pylist() == ["m0", None] * MANY
    assert made.column("c").null_count == 2 * MANY


def test_reveal_without_columns_takes_those_of_nothing_but_tokens(
    con: duckdb.DuckDBPyConnection, vault: Vault, many_tokens: list[str]
) -> None:
    a, b = many_tokens[:2]
    store(con, "t", a=[a, None, b], mixed=[a, b, "plain"], n=[1, 2, 3], none=pa.nulls(3, pa.string()))
    with attach(con, vault) as attached:
        made = attached.reveal(
            "SELECT a, mixed, n, none, a::ENUM('" + "','".join([a, b]) + "') AS e FROM t"
        )
        assert made.to_pydict() == {
            "a": ["m0", None, "m1"],
            "mixed": [a, b, "plain"],
            "n": [1, 2, 3],
            "none": [None] * 3,
            "e": ["m0", None, "m1"],
        }
        assert attached.reveal("SELECT a FROM t WHERE false").num_rows == 0
        with pytest.raises(VaultError, match="no column of the result holds nothing but tokens"):
            attached.reveal("SELECT mixed FROM t")


@pytest.mark.parametrize(
    ("query", "column", "why"),
    [
        ("SELECT a, n FROM t", "A", "there is no column 'A' in the result; it has a, n"),
        ("SELECT a, a FROM t", "a", "more than one column 'a'"),
        ("SELECT n FROM t", "n", "'n' is of the type int64; tokens are texts"),
        ("CREATE TABLE u (i INTEGER)", "a", "a query that has a result|no column 'a'"),
    ],
)
def test_reveal_refuses_in_words_what_it_cannot_do(
    con: duckdb.DuckDBPyConnection, vault: Vault, query: str, column: str, why: str
) -> None:
    store(con, "t", a=["x"], n=[1])
    with attach(con, vault) as attached, pytest.raises(VaultError, match=why):
        attached.reveal(query, column)


def test_reveal_works_beside_a_result_that_is_not_read_to_its_end(
    con: duckdb.DuckDBPyConnection, vault: Vault, many_tokens: list[str]
) -> None:
    con.execute("FROM range(1_000_000)").fetchone()
    with attach(con, vault) as attached:
        con.execute("FROM range(1_000_000)").fetchone()
        assert attached.reveal(f"SELECT '{many_tokens[3]}' AS a").column("a").to_pylist() == ["m3"]
        con.execute("FROM range(1_000_000)").fetchone()


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT a, n FROM t", "2 columns"),
        ("FROM t", "2 columns"),
        ("SELECT a FROM nix", "nix does not exist"),
        ("SELEC", "syntax error"),
        ("", "SELECT"),
        ("CREATE TABLE u (i INTEGER)", "SELECT"),
        ("SELECT 1; SELECT 2", "SELECT"),
    ],
)
def test_revealed_of_what_is_no_query_of_one_column_is_an_error_of_duckdb(
    con: duckdb.DuckDBPyConnection, vault: Vault, query: str, why: str
) -> None:
    store(con, "t", a=["x"], n=[1])
    with attach(con, vault), pytest.raises(duckdb.Error, match=why):
        rows(con, "FROM vault.revealed(?)", [query])


def test_revealed_takes_quotes_parameters_nulls_numbers_and_unknown_tokens(
    con: duckdb.DuckDBPyConnection, vault: Vault, many_tokens: list[str]
) -> None:
    token = many_tokens[0]
    store(con, "t", who=["it's", None], a=[token, None], n=[1, 2])
    with attach(con, vault) as attached:
        quoted = "FROM vault.revealed('SELECT a FROM t WHERE who = ''it''''s''')"
        assert rows(con, quoted) == [(token, "m0")]
        assert rows(con, "FROM vault.revealed(?)", ["SELECT a FROM t WHERE who = 'it''s'"]) == [
            (token, "m0")
        ]
        assert rows(con, "FROM vault.revealed('SELECT a FROM t WHERE n = 2')") == []
        assert rows(con, "FROM vault.revealed('SELECT a FROM t WHERE false')") == []
        assert rows(con, "FROM vault.revealed('SELECT n FROM t ORDER BY n')") == [
            ("1", None),
            ("2", None),
        ]
        assert rows(con, f"FROM vault.revealed('SELECT ''{UNKNOWN}''')") == [(UNKNOWN, None)]
        assert attached.not_found == 3
