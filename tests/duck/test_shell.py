"""`tvault duckdb-attach` from -c, -f and stdin: what it runs, what it says, and how it ends."""

from __future__ import annotations

import json
import select
import signal
import socket
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, eventually
from tests.duck.shell import UNKNOWN, VALUES, Inside, Shell, silent
from tests.unit.client.canned import Canned, canned


def test_tables_resolve_by_their_names_and_views_have_values(shell: Inside, db: Path) -> None:
    ran = shell(
        db,
        "--json",
        "-c",
        "SELECT v.id, v.ssn, t.ssn AS token FROM vault.visits v "
        "JOIN visits t USING (id) WHERE id < 2 ORDER BY id",
    )
    rows = json.loads(ran.stdout)
    assert [row["ssn"] for row in rows] == VALUES[:2]
    assert all(row["token"].startswith("tv1_1_") for row in rows)
    assert ran.returncode == 0
    assert ran.stderr == "visits.ssn: 40 of 40 sampled values are tokens -> vault.visits\n"


def test_sql_comes_from_an_option_a_file_or_stdin(process: Shell, db: Path, tmp_path: Path) -> None:
    sql = "\ufeff-- a comment; \nCREATE TEMP TABLE one AS SELECT ';' AS x;;\nFROM one; "
    (tmp_path / "q.sql").write_text(sql)
    for ran in (
        process(db, "--csv", "-c", sql.removeprefix("\ufeff")),
        process(db, "--csv", "-f", "q.sql"),
        process(db, "--csv", "-f", "-", stdin=sql),
        process(db, "--csv", stdin=sql),
    ):
        assert (ran.returncode, ran.stdout) == (0, "x\n;\n"), ran.stderr


def test_without_a_file_there_are_the_functions(process: Shell, tokens: list[str]) -> None:
    ran = process("--json", stdin=f"SELECT detokenize('{tokens[3]}') AS v, token_of('{VALUES[3]}') AS t")
    assert json.loads(ran.stdout) == [{"v": VALUES[3], "t": tokens[3]}]


def test_the_first_error_ends_it_and_is_told_with_its_place(
    shell: Inside, db: Path, tmp_path: Path
) -> None:
    (tmp_path / "q.sql").write_text("SELECT 1 AS one;\n\nSELECT *\nFROM nowhere;\nSELECT 3 AS three;")
    ran = shell(db, "-f", "q.sql")
    assert (ran.returncode, ran.stdout) == (1, "one\n  1\n")
    told = ran.stderr.splitlines()[-1]
    assert told.startswith(
        "tvault: q.sql line 3: Catalog Error: Table with name nowhere does not exist!"
    )


def test_an_error_that_may_hold_a_value_is_told_without_it(
    shell: Inside, process: Shell, db: Path
) -> None:
    variable = "SET VARIABLE x = (SELECT max(ssn) FROM vault.visits); "
    ran = shell(db, "-c", variable + "FROM read_csv(getvariable('x'))")
    assert ran.stderr.endswith(
        "Permission Error: file system operations are disabled by configuration\n"
    )
    for sql in (
        "SELECT p + 1 FROM (PIVOT vault.visits ON ssn USING count(*)) p",
        variable + "FROM query_table(getvariable('x'))",
        variable + "FROM query(getvariable('x'))",
        "SELECT ssn::INTEGER FROM vault.visits",
        "SELECT error(ssn) FROM vault.visits",
    ):
        ran = shell(db, "-c", sql)
        assert ran.returncode == 1
        assert "value " not in ran.stderr.replace("may hold a value ", "").replace("values", "")
        assert "shown on a terminal alone" in ran.stderr
    with process.typed(db, "-c", sql) as typed:
        assert typed.ended() == 1
        assert b"value 0" in typed.seen


def test_what_is_not_found_is_null_counted_and_makes_the_exit_code_3(shell: Inside, db: Path) -> None:
    ran = shell(db, "--csv", "-c", f"SELECT detokenize('{UNKNOWN}') AS a, detokenize('no token') AS b")
    assert (ran.returncode, ran.stdout) == (3, "a,b\n,\n")
    assert "2 different texts are no tokens of this vault: NULL in the result" in ran.stderr
    ran = shell(db, "-c", f"SELECT detokenize('{UNKNOWN}'); SELECT 1; FROM nowhere")
    assert ran.returncode == 1


def test_a_service_that_fails_is_an_error_with_its_reason(
    shell: Inside, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "FROM vault.visits"
    with canned([Canned(200, b"<html>")] * 8) as strange:
        monkeypatch.setenv("TVAULT_URL", strange.url)
        ran = shell(db, "-c", sql)
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "line 1: " in ran.stderr
    assert "Python" not in ran.stderr
    monkeypatch.delenv("TVAULT_URL")
    monkeypatch.setenv("TVAULT_API_KEY", "tvk_" + "x" * 52)
    ran = shell(db, "-c", sql)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "API key" in ran.stderr


def has_begun(listening: socket.socket, folder: Path) -> bool:
    """Whether a query waits for a node, or has written something."""
    is_asked = bool(select.select([listening], [], [], 0)[0])
    return is_asked or any(file.stat().st_size for file in folder.glob(".out.csv.*.part"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_at_once_while_a_request_hangs(
    cluster: Cluster, tmp_path: Path, db: Path, number: signal.Signals, code: int
) -> None:
    (tmp_path / "out.csv").write_text("old")
    for sql in ("FROM vault.visits", f"SELECT detokenize('{UNKNOWN}')", "FROM range(100000000000)"):
        with silent() as (url, listening):
            waiting = Shell(cluster, tmp_path, {"TVAULT_URL": url})
            options = (db, "--out", "out.csv", "--allow-plaintext", "-c", sql)
            with waiting.start(*options) as process:
                assert process.stderr is not None
                eventually(lambda listening=listening: has_begun(listening, tmp_path))  # type: ignore[misc]
                process.send_signal(number)
                assert process.wait(10) == code
                told = process.stderr.read()
                assert told.splitlines()[1:] == [b""], told  # after what was recognised a line ends
        assert (tmp_path / "out.csv").read_text() == "old"
        assert not [*tmp_path.glob(".out.csv.*")]


def test_several_results_are_tables_and_no_json(shell: Inside, db: Path, tmp_path: Path) -> None:
    sql = "SELECT 1 AS a;\nSET VARIABLE x = 1;\nSELECT 2 AS b"
    assert shell(db, "-c", sql).stdout == "a\n1\n\nb\n2\n"
    for options in (["--json"], ["--csv"], ["--out", "o.csv", "--allow-plaintext"]):
        ran = shell(db, *options, "-c", sql)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert "line 3 has a result besides the one before it" in ran.stderr
    assert not (tmp_path / "o.csv").exists()
    ran = shell(db, "--json", "-c", "SET VARIABLE x = 1")
    assert (ran.returncode, ran.stdout) == (2, "")


def test_nobody_who_reads_on_is_no_noise(process: Shell, db: Path) -> None:
    with process.start(db, "--csv", "-c", "FROM range(100000000)") as started:
        assert started.stdout is not None
        assert started.stderr is not None
        assert started.stdout.readline() == b"range\n"
        started.stdout.close()
        assert started.wait(20) == 1
        assert started.stderr.read().count(b"\n") == 1
