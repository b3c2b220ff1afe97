"""`tvault duckdb-attach` where it needs no DuckDB: what it refuses before, and what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.cli.terminal import terminal

pytestmark = pytest.mark.usefixtures("node")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-c", "SELECT 1", "-f", "q.sql"], "-c and -f both give SQL"),
        (["-c", "SELECT 1", "--json", "--csv"], "--json and --csv"),
        (["-c", "SELECT 1", "--out", "o.csv"], "o.csv would hold recovered values in the clear"),
        (["-c", "SELECT 1", "--allow-plaintext"], "--allow-plaintext is for --out FILE"),
        (
            ["-c", "SELECT 1", "--out", "o.csv", "--allow-plaintext", "--json"],
            "leave --json and --csv out",
        ),
        (["-c", "SELECT 1", "--out", "x.db", "--allow-plaintext", "x.db"], "would write over x.db"),
        (
            ["-c", "1", "--out", "l.csv", "--allow-plaintext", "--read", "r.csv"],
            "would write over l.csv",
        ),
        (["-f", "none.sql"], "cannot read none.sql: No such file or directory"),
        (["-f", "."], "cannot read .: Is a directory"),
    ],
)
def test_contradictions_are_refused(tvault: CommandLine, options: list[str], told: str) -> None:
    Path("r.csv").write_text("a\n1\n")
    Path("l.csv").symlink_to("r.csv")
    ran = tvault("duckdb-attach", *options)
    assert (ran.code, ran.out) == (2, b"")
    assert told in ran.err
    assert Path("r.csv").read_text() == "a\n1\n"


def test_sql_that_is_no_text_is_told_with_its_place(tvault: CommandLine) -> None:
    Path("q.sql").write_bytes(b"SELECT '\xff'")
    ran = tvault("duckdb-attach", "-f", "q.sql")
    assert (ran.code, ran.err) == (1, "tvault: q.sql is not UTF-8 (byte 9)\n")


def without(package: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command where a package is not installed."""
    Path("hidden").mkdir()
    Path("hidden/sitecustomize.py").write_text(f"import sys; sys.modules[{package!r}] = None")
    return subprocess.run(
        [sys.executable, "-m", "tvault", "duckdb-attach", *args],
        env=os.environ | {"PYTHONPATH": "hidden"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("package", ["duckdb", "pyarrow"])
def test_a_missing_package_is_told_with_what_brings_it(package: str) -> None:
    ran = without(package, "-c", "SELECT 1")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"needs {package}: pip install 'tvault[duckdb]'" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_its_help_needs_no_package() -> None:
    ran = without("duckdb", "--help")
    assert ran.returncode == 0
    assert "vault.TABLE" in ran.stdout


def test_a_prompt_writes_no_file() -> None:
    with terminal(["duckdb-attach", "--out", "o.csv", "--allow-plaintext"], 80) as shown:
        assert shown.read_to_end() == 2
        assert b"-c, -f or stdin" in shown.seen
