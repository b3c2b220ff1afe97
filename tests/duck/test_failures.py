"""A vault that fails, is slow or says nothing, and people who do not want to wait for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.cluster.cluster import Cluster
from tests.duck.sql import rows, store
from tvault import Vault, VaultError
from tvault.duck import attach

TOKEN = "tv1_1_" + "0" * 32
AT_ONCE = 5.0
"""What counts as at once on a machine with much else to do: no node that says nothing is given up sooner
than after eight seconds."""


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A node that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        yield listening


def url(node: socket.socket) -> str:
    return f"http://127.0.0.1:{node.getsockname()[1]}"


def test_a_killed_cluster_makes_queries_fail_with_the_reason_and_no_value_or_token(
    tmp_path: Path,
) -> None:
    with Cluster(tmp_path / "vault", nodes=1) as cluster, duckdb.connect() as con:
        cluster.start()
        cluster.wait_until_whole()
        with Vault([*cluster.nodes.values()], cluster.keys["A"], deadline_s=1) as vault:
            tokens = vault.tokenize(["ann", "bob"]).tokens
            store(con, "t", n=[1, 2], a=tokens)
            with attach(con, vault) as attached:
                assert rows(con, "SELECT a FROM vault.t WHERE n = 1") == [("ann",)]
                cluster.kill("n1")
                for sql in (
                    "SELECT a FROM vault.t",
                    f"SELECT detokenize('{tokens[1]}')",
                    "FROM vault.revealed('SELECT a FROM t')",
                    "SELECT n FROM t WHERE a = token_of('secret value')",
                ):
                    with pytest.raises(
                        duckdb.Error, match="no node answered within 1 s: http://127"
                    ) as failed:
                        rows(con, sql)
                    assert not any(
                        str(told) in str(failed.value) for told in (*tokens, "secret value", "bob")
                    )
                    # DuckDB 1 adds where it was raised, below the reason.
                    assert "no node answered" in str(failed.value).splitlines()[0]
                    failure = attached.take_failure()
                    assert failure is not None
                    assert failure.code == "unreachable"
                    assert attached.take_failure() is None
                with pytest.raises(VaultError, match="no node answered"):
                    attached.reveal("FROM t", "a")
                # What was found before is still known, and what asks for nothing goes on.
                assert rows(con, "SELECT a FROM vault.t WHERE n = 1") == [("ann",)]
                assert rows(con, "SELECT count(*) FROM vault.t") == [(2,)]
                assert attached.not_found == 0


def test_a_constant_is_waited_for_once_although_duckdb_asks_for_it_again(
    con: duckdb.DuckDBPyConnection, silent: socket.socket
) -> None:
    with Vault([url(silent)], "k", deadline_s=1.5) as vault, attach(con, vault):
        began = time.monotonic()
        with pytest.raises(duckdb.Error, match=r"no node answered within 1\.5 s"):
            rows(con, f"SELECT detokenize('{TOKEN}')")
        assert time.monotonic() - began < 2.9


def test_a_refusal_does_not_stand_in_the_way_of_the_next_query(
    con: duckdb.DuckDBPyConnection, vault: Vault
) -> None:
    (token,) = vault.tokenize(["ann"]).tokens
    with attach(con, vault):
        with pytest.raises(duckdb.Error, match=r"too large|too long|bytes"):
            rows(con, "SELECT token_of(repeat('x', 100_000))")
        assert rows(con, f"SELECT detokenize('{token}')") == [("ann",)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT max(detokenize(a)) FROM t",
        "FROM vault.revealed('SELECT a FROM t')",
        "SELECT token_of('x')",
    ],
)
def test_interrupt_ends_a_query_at_once_while_nodes_say_nothing(
    con: duckdb.DuckDBPyConnection, silent: socket.socket, sql: str
) -> None:
    store(con, "t", a=[f"tv1_1_{number:032x}" for number in range(300_000)])
    con.execute("SET threads = 2")
    with Vault([url(silent)], "k") as vault, attach(con, vault) as attached:
        ended: list[float] = []

        def interrupt() -> None:
            with silent.accept()[0]:
                ended.append(time.monotonic())
                attached.interrupt()

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(duckdb.Error, match=r"(?i)interrupt"):
            rows(con, sql)
        assert time.monotonic() - ended[0] < AT_ONCE
        thread.join()
        assert rows(con, "SELECT 42") == [(42,)]


def test_a_query_after_an_interrupted_one_asks_anew(
    con: duckdb.DuckDBPyConnection, cluster: Cluster
) -> None:
    with Vault([*cluster.nodes.values()], cluster.keys["A"]) as vault, attach(con, vault) as attached:
        (token,) = vault.tokenize(["ann"]).tokens
        attached.interrupt()
        assert rows(con, f"SELECT detokenize('{token}')") == [("ann",)]


CTRL_C = """
import sys, time, duckdb, tvault, tvault.duck
con = duckdb.connect()
con.execute("SET threads = 1")
con.execute("CREATE TABLE t AS SELECT printf('tv1_1_%032x', i) AS a FROM range(5000) r(i)")
tvault.duck.attach(con, tvault.Vault([sys.argv[1]], "k"), columns=["t.a"])
try:
    con.execute(sys.argv[2]).fetchall()
except BaseException as error:
    print(type(error).__name__, str(error))
"""


@pytest.mark.parametrize("sql", ["FROM vault.t", f"SELECT detokenize('{TOKEN}')"])
def test_ctrl_c_ends_a_query_at_once_while_nodes_say_nothing(silent: socket.socket, sql: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CTRL_C, url(silent), sql],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    ) as process:
        with silent.accept()[0]:
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            said, complained = process.communicate(timeout=60)
        assert time.monotonic() - began < AT_ONCE
    assert "interrupt" in said.lower()
    assert complained == ""
