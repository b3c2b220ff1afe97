"""Which tables and columns are recovered, whatever they are called and wherever they stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.duck.sql import rows, store
from tvault import Vault, VaultError
from tvault.duck import Attached, attach
from tvault.duck.recognition import SAMPLED

FOREIGN = "tv1_1_" + "0" * 32


@pytest.fixture
def tokens(vault: Vault) -> list[str]:
    return [str(token) for token in vault.tokenize(["ann", "bob"]).tokens]


def told(attached: Attached) -> list[tuple[str, str | None, list[str]]]:
    return [(one.source, one.view, [column.name for column in one.columns]) for one in attached.tables]


def test_only_a_column_of_nothing_but_tokens_is_recovered_and_a_mixed_one_is_told_of(
    con: duckdb.DuckDBPyConnection, vault: Vault, tokens: list[str]
) -> None:
    store(
        con, "t", a=tokens, b=[tokens[0], "plain"], c=["x", "y"], d=[f" {tokens[0]}", tokens[0].upper()]
    )
    store(con, "plain", a=["x"])
    with attach(con, vault) as attached:
        assert told(attached) == [("memory.main.t", "vault.t", ["a"])]
        ((mixed,),) = [one.columns for one in attached.mixed]
        assert (mixed.name, mixed.tokens, mixed.sampled) == ("b", 1, 2)
        assert rows(con, "SELECT b FROM vault.t") == [(tokens[0],), ("plain",)]


def test_values_at_the_end_of_a_table_count_and_nulls_at_its_beginning_do_not(
    con: duckdb.DuckDBPyConnection, vault: Vault, tokens: list[str]
) -> None:
    many = 5 * SAMPLED
    late = [None] * many + [tokens[0]]
    store(
        con,
        "t",
        late=late,
        rare=[*late[: many // 3], tokens[0], *late[many // 3 + 1 :]][: many + 1],
        spoiled=[tokens[0]] * many + ["plain"],
        none=[None] * (many + 1),
    )
    con.execute("ALTER TABLE t ALTER none TYPE VARCHAR")
    with attach(con, vault) as attached:
        assert told(attached) == [("memory.main.t", "vault.t", ["late", "rare"])]
        assert [column.name for one in attached.mixed for column in one.columns] == ["spoiled"]


def test_declared_columns_are_recovered_without_a_look_and_no_others(
    con: duckdb.DuckDBPyConnection, vault: Vault, tokens: list[str]
) -> None:
    store(con, "visits", ssn=["plain", tokens[0]], other=tokens)
    store(con, 'main."odd.t"', **{'a"b': tokens})
    with attach(con, vault, columns=["VISITS.SSN", '"odd.t"."a""b"']) as attached:
        assert told(attached) == [
            ('memory.main."odd.t"', 'vault."odd.t"', ['a"b']),
            ("memory.main.visits", "vault.visits", ["ssn"]),
        ]
        assert all(column.is_declared for one in attached.tables for column in one.columns)
        assert rows(con, "FROM vault.visits") == [(None, tokens[0]), ("ann", tokens[1])]
        assert rows(con, 'FROM vault."odd.t"') == [("ann",), ("bob",)]


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("visits.nix", "no column 'visits.nix'; memory.main.visits has id, ssn"),
        ("nix.ssn", "no table nix"),
        ("ssn", "does not say of which table"),
        ("visits.id", "of the type INTEGER"),
        ("visits..ssn", "no name of a column"),
        ('visits."ssn', "no name of a column"),
        ("", "no name of a column"),
    ],
)
def test_a_declared_column_that_is_not_there_is_refused_by_name_and_leaves_nothing_behind(
    con: duckdb.DuckDBPyConnection, vault: Vault, named: str, why: str
) -> None:
    con.execute("CREATE TABLE visits (id INTEGER, ssn VARCHAR)")
    before = rows(con, "FROM duckdb_settings()")
    with pytest.raises(VaultError, match=why.replace(".", r"\.")) as refused:
        attach(con, vault, columns=[named])
    assert refused.value.code == "usage"
    assert rows(con, "FROM duckdb_settings()") == before
    assert rows(con, "SELECT 1 FROM duckdb_functions() WHERE function_name = 'detokenize'") == []


def test_one_name_in_several_schemas_and_databases_gives_a_view_each(
    con: duckdb.DuckDBPyConnection, vault: Vault, tokens: list[str]
) -> None:
    con.execute("CREATE SCHEMA s; ATTACH ':memory:' AS other; CREATE SCHEMA other.s")
    for number, place in enumerate(("main", "s", "other.main", "other.s")):
        store(con, f"{place}.t", n=[number], a=[tokens[number % 2]])
    with attach(con, vault) as attached:
        assert told(attached) == [
            ("memory.main.t", "vault.t", ["a"]),
            ("memory.s.t", "vault.s.t", ["a"]),
            ("other.main.t", 'vault."other.main".t', ["a"]),
            ("other.s.t", 'vault."other.s".t', ["a"]),
        ]
        for number, found in enumerate(attached.tables):
            assert rows(con, f"FROM {found.view}") == [(number, ["ann", "bob"][number % 2])]
    con.execute("USE other.s")
    with attach(con, vault, columns=["t.a", "s.t.a", "other.t.a", "memory.main.t.a"]) as attached:
        assert told(attached)[0] == ("other.s.t", "vault.s.t", ["a"])
        assert len(attached.tables) == 3


@pytest.mark.parametrize("name", ["vault", "select", "a b", 'q"q', "ä;--", "x.y", "Revealed", "'"])
def test_odd_names_of_tables_and_columns_are_nothing_special(
    con: duckdb.DuckDBPyConnection, vault: Vault, tokens: list[str], name: str
) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    columns: dict[str, Sequence[object]] = {name: tokens, "n": [1, 2]}
    store(con, quoted, **columns)
    with attach(con, vault) as attached:
        assert rows(con, f"SELECT {quoted}, n FROM vault.{quoted}") == [("ann", 1), ("bob", 2)]
        assert rows(con, f"SELECT {quoted} FROM {attached.tables[0].view}") == [("ann",), ("bob",)]


def test_views_of_the_users_file_are_offered_and_broken_ones_told_of(
    con: duckdb.DuckDBPyConnection, vault: Vault, tokens: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "sales.duckdb"
    with duckdb.connect(file) as made:
        store(made, "t", n=[1, 2], a=tokens)
        made.execute("CREATE VIEW one AS SELECT a AS b FROM t WHERE n = 1")
        made.execute("CREATE TABLE gone (i VARCHAR); CREATE VIEW broken AS FROM gone; DROP TABLE gone")
        made.execute("CREATE VIEW failing AS SELECT CAST('x' || n AS INTEGER)::VARCHAR AS c FROM t")
    before = file.read_bytes()
    con.execute(f"ATTACH '{file}' AS sales (READ_ONLY); USE sales")
    with attach(con, vault) as attached:
        assert [one.view for one in attached.tables] == ["vault.one", "vault.t"]
        assert rows(con, "FROM vault.one") == [("ann",)]
        assert sorted(warning.split()[0] for warning in attached.warnings) == [
            "sales.main.broken",
            "sales.main.failing",
        ]
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("taken", "what"),
    [
        ("ATTACH ':memory:' AS Vault", 'database "Vault"'),
        ("CREATE SCHEMA vault", "schema vault"),
        ("ATTACH ':memory:' AS other; CREATE SCHEMA other.vault", "schema vault"),
    ],
)
def test_a_database_or_schema_called_vault_needs_another_name_for_the_catalog(
    con: duckdb.DuckDBPyConnection, vault: Vault, tokens: list[str], taken: str, what: str
) -> None:
    store(con, "t", a=tokens)
    con.execute(taken)
    with pytest.raises(VaultError, match=f"there is a {what} already.*catalog="):
        attach(con, vault)
    with attach(con, vault, catalog="my vault"):
        assert rows(con, 'FROM "my vault".t') == [("ann",), ("bob",)]
        assert rows(con, "FROM \"my vault\".revealed('SELECT a FROM t')") == [
            (tokens[0], "ann"),
            (tokens[1], "bob"),
        ]


def test_a_function_of_the_users_by_one_of_the_names_is_refused_and_stays(
    con: duckdb.DuckDBPyConnection, vault: Vault
) -> None:
    con.execute("CREATE MACRO token_of(x) AS 'mine'")
    with pytest.raises(VaultError, match="the database memory has a function token_of of its own"):
        attach(con, vault)
    assert rows(con, "SELECT token_of(1)") == [("mine",)]


def test_temporary_tables_and_registered_frames_are_offered_too(
    con: duckdb.DuckDBPyConnection, vault: Vault, tokens: list[str]
) -> None:
    con.register("frame", pa.table({"a": tokens}))
    con.execute("CREATE TEMP TABLE t AS FROM frame")
    with attach(con, vault):
        assert rows(con, "FROM vault.t") == [("ann",), ("bob",)] == rows(con, "FROM vault.frame")
