"""Recovered views and functions in plain SQL, against a real cluster."""

from __future__ import annotations

import duckdb

from tests.duck.asking import Asked
from tests.duck.sql import rows, store
from tvault import Vault
from tvault.duck import attach


def test_a_table_of_tokens_is_offered_as_a_view_with_values(
    con: duckdb.DuckDBPyConnection, vault: Vault
) -> None:
    tokens = vault.tokenize(["ann", "bob"]).tokens
    store(con, "visits", id=[1, 2, 3], ssn=[*tokens, None], note=["a", "b", "c"])
    with attach(con, vault) as attached:
        assert rows(con, "FROM vault.visits") == [(1, "ann", "a"), (2, "bob", "b"), (3, None, "c")]
        (found,) = attached.tables
        assert (found.source, found.view) == ("memory.main.visits", "vault.visits")
        assert [(c.name, c.tokens, c.sampled) for c in found.columns] == [("ssn", 2, 2)]


def test_filters_and_limits_come_before_the_vault_is_asked(
    con: duckdb.DuckDBPyConnection, vault: Vault, asked: Asked
) -> None:
    tokens = vault.tokenize([f"v{number}" for number in range(5000)]).tokens
    store(con, "visits", id=range(5000), ssn=tokens)
    with attach(con, vault):
        asked.told()
        rows(con, "SELECT ssn FROM vault.visits WHERE id BETWEEN 10 AND 29")
        assert sum(asked.told()) == 20
        rows(con, "SELECT ssn FROM vault.visits ORDER BY id DESC LIMIT 7")
        assert sum(asked.told()) == 7
        rows(con, "SELECT count(*), max(id) FROM vault.visits")
        assert asked.told() == []
        (row,) = rows(con, "SELECT ssn FROM vault.visits WHERE id = 4999")
        assert row == ("v4999",)
        assert asked.told() == []
