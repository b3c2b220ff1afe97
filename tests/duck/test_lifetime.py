"""Attaching and detaching: what is refused, what is left, and what a process says when it ends."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import subprocess
import sys
import weakref
from pathlib import Path

import duckdb
import pytest

from tests.cluster.cluster import Cluster
from tests.duck.sql import Rows, rows, store
from tvault import Vault, VaultError
from tvault.duck import attach

EVERYTHING = (
    "SELECT 'f', database_name, function_name, NULL FROM duckdb_functions() UNION ALL "
    "SELECT 'd', database_name, path, NULL FROM duckdb_databases() UNION ALL "
    "SELECT 't', database_name, schema_name, table_name FROM duckdb_tables() UNION ALL "
    "SELECT 'v', database_name, schema_name, view_name FROM duckdb_views() UNION ALL "
    "SELECT 's', name, value, NULL FROM duckdb_settings() ORDER BY ALL"
)


def state(con: duckdb.DuckDBPyConnection) -> Rows:
    return rows(con, EVERYTHING)


def test_the_major_of_duckdb_that_was_asked_for_is_the_one_that_runs() -> None:
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if "duckdb" in path]
    assert duckdb.__version__.startswith(
        "1.5." if given else "2." if sys.version_info >= (3, 11) else "1."
    )


def test_after_detach_the_connection_is_as_it_was(con: duckdb.DuckDBPyConnection, vault: Vault) -> None:
    store(con, "t", a=vault.tokenize(["ann"]).tokens)
    con.execute("USE memory; SET temp_directory = 'somewhere/else'")
    before = state(con)
    attached = attach(con, vault)
    assert state(con) != before
    assert rows(con, "SELECT current_setting('temp_directory')") == [("",)]
    rows(con, "FROM vault.t")
    attached.detach()
    assert state(con) == before
    attached.detach()
    assert state(con) == before
    with pytest.raises(duckdb.Error):
        con.execute("SELECT detokenize('x')")
    with pytest.raises(VaultError, match="detached"):
        attached.reveal("FROM t", "a")
    with attach(con, vault):
        con.execute("USE vault")
        con.execute("FROM range(1_000_000)").fetchone()
    assert state(con) == before
    assert rows(con, "SELECT current_database()") == [("memory",)]


def test_a_second_vault_takes_the_place_of_the_first_and_its_end_is_not_the_end_of_the_second(
    con: duckdb.DuckDBPyConnection, vault: Vault, cluster: Cluster
) -> None:
    (theirs,) = cluster.tokenize("n1", ["ann"], "B")
    store(con, "t", a=[theirs])
    before = state(con)
    first = attach(con, vault)
    assert rows(con, "FROM vault.t") == [(None,)]
    with Vault([*cluster.nodes.values()], cluster.keys["B"]) as other:
        second = attach(con, other)
        assert rows(con, "FROM vault.t") == [("ann",)]
        first.detach()
        assert rows(con, "FROM vault.t") == [("ann",)]
        second.detach()
    assert state(con) == before


def test_a_second_connection_to_the_same_database_is_told_to_detach_the_first(
    con: duckdb.DuckDBPyConnection, vault: Vault
) -> None:
    with con.cursor() as cursor, attach(con, vault):
        with pytest.raises(VaultError, match="attached to this database already, by another connection"):
            attach(cursor, vault)
        assert rows(con, "SELECT detokenize(NULL)") == [(None,)]


def test_a_database_file_that_can_be_written_to_is_refused_unless_told(
    vault: Vault, tmp_path: Path
) -> None:
    file = tmp_path / "sales.duckdb"
    with duckdb.connect(file) as con:
        store(con, "t", a=vault.tokenize(["ann"]).tokens)
        before = state(con)
        with pytest.raises(
            VaultError, match=r"the file of sales: open it read-only.*allow_writable=True"
        ):
            attach(con, vault)
        assert state(con) == before
        with attach(con, vault, allow_writable=True):
            assert rows(con, "FROM vault.t") == [("ann",)]
        assert state(con) == before
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{file}' AS other")
        with pytest.raises(VaultError, match="the file of other"):
            attach(con, vault)


def test_a_connection_that_is_read_only_as_a_whole_has_functions_and_says_why_it_has_no_views(
    vault: Vault, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "sales.duckdb"
    with duckdb.connect(file) as con:
        store(con, "t", a=vault.tokenize(["ann"]).tokens)
    with duckdb.connect(file, read_only=True) as con:
        before = state(con)
        caplog.set_level(logging.WARNING, "tvault.duck")
        with attach(con, vault) as attached:
            assert [(one.source, one.view) for one in attached.tables] == [("sales.main.t", None)]
            assert rows(con, "SELECT detokenize(a) FROM t") == [("ann",)]
            assert attached.reveal("FROM t").column("a").to_pylist() == ["ann"]
            (warning,) = attached.warnings
            assert "ATTACH 'FILE' (READ_ONLY)" in warning
            assert warning in caplog.text
        assert state(con) == before


@pytest.mark.parametrize("setting", ["lock_configuration = true", "enable_external_access = false"])
def test_it_is_said_when_duckdb_does_not_let_spilling_be_switched_off(
    con: duckdb.DuckDBPyConnection, vault: Vault, setting: str
) -> None:
    con.execute("SET temp_directory = 'spill'")
    con.execute(f"SET {setting}")
    before = state(con)
    with attach(con, vault) as attached:
        (warning,) = attached.warnings
        assert "may be written to spill when memory does not hold a query" in warning
    assert state(con) == before


def test_while_it_is_attached_a_query_without_room_fails_and_writes_nothing(
    con: duckdb.DuckDBPyConnection, vault: Vault, tmp_path: Path
) -> None:
    spill = tmp_path / "spill"
    con.execute(f"SET temp_directory = '{spill}'; SET memory_limit = '40MB'; SET threads = 1")
    large = "CREATE TABLE {} AS SELECT md5(i::VARCHAR) AS a, md5((i * 7)::VARCHAR) AS b "
    large += "FROM range(900_000) r(i)"
    with attach(con, vault), pytest.raises(duckdb.OutOfMemoryException):
        con.execute(large.format("one"))
    assert not spill.exists()
    con.execute(large.format("two"))
    assert list(spill.iterdir())


def test_a_closed_connection_is_refused_and_closing_one_ends_the_attachment(vault: Vault) -> None:
    con = duckdb.connect()
    attached = attach(con, vault)
    con.close()
    attached.interrupt()
    attached.detach()
    attached.detach()
    with pytest.raises(VaultError, match=r"cannot attach the vault: Connection Error.*closed"):
        attach(con, vault)


def test_a_vault_attached_to_a_connection_keeps_neither_alive(cluster: Cluster) -> None:
    con = duckdb.connect()
    vault = Vault([*cluster.nodes.values()], cluster.keys["A"])
    attach(con, vault)
    of_con, of_vault = weakref.ref(con), weakref.ref(vault)
    vault.close()
    del con, vault
    gc.collect()
    assert of_con() is None
    assert of_vault() is None


def test_an_open_transaction_is_no_obstacle_or_is_named(
    con: duckdb.DuckDBPyConnection, vault: Vault
) -> None:
    before = state(con)
    con.execute("BEGIN")
    attached = attach(con, vault)
    rows(con, "SELECT detokenize(NULL)")
    # DuckDB 1 does not remove in it what was made in it.
    with contextlib.suppress(VaultError):
        attached.detach()
    con.execute("COMMIT")
    attached.detach()
    assert state(con) == before


SCRIPT = """
import os, sys, duckdb, tvault, tvault.duck
vault = tvault.Vault(os.environ["TVAULT_URL"].split(","), os.environ["TVAULT_API_KEY"])
con = duckdb.connect()
token = vault.tokenize(["ann"]).tokens[0]
{attach}
assert con.execute("SELECT detokenize(?)", [token]).fetchall() == [("ann",)]
print(duckdb.__version__)
{end}
"""


@pytest.mark.parametrize(
    ("attaching", "end"),
    [
        ("attached = tvault.duck.attach(con, vault)", ""),
        ("tvault.duck.attach(con, vault)", ""),
        ("attached = tvault.duck.attach(con, vault)", "con.close()"),
        ("tvault.duck.attach(con, vault)", "con.execute('FROM range(1_000_000)').fetchone()"),
        ("attached = tvault.duck.attach(con, vault)", "sys.exit(0)"),
    ],
)
def test_a_process_that_never_detaches_ends_without_a_word(
    cluster: Cluster, attaching: str, end: str
) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT.format(attach=attaching, end=end)],
        env=os.environ
        | {"TVAULT_URL": ",".join(cluster.nodes.values()), "TVAULT_API_KEY": cluster.keys["A"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", f"{duckdb.__version__}\n")


@pytest.mark.parametrize("package", ["duckdb", "pyarrow"])
def test_a_package_that_is_not_there_is_named_with_the_way_to_get_it(package: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules['{package}'] = None; import tvault.duck"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert f"tvault.duck needs {package}: pip install 'tvault[duckdb]'" in ran.stderr


def test_schemas_that_were_searched_and_a_directory_that_was_set_meanwhile_are_there_afterwards(
    vault: Vault, tmp_path: Path
) -> None:
    setting = "SELECT current_setting('search_path'), current_setting('temp_directory')"
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA one; CREATE SCHEMA two; SET search_path = 'memory.one,memory.two'")
        with attach(con, vault):
            con.execute(f"SET temp_directory = '{tmp_path}'")
            con.execute("USE vault")
        assert rows(con, setting) == [("memory.one,memory.two", str(tmp_path))]
