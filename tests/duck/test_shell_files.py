"""Which files `tvault duckdb-attach` takes, by which names, and what is wrong with others."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.duck.shell import VALUES, Inside


@pytest.mark.parametrize("stem", ["vault", "memory", "Main", "temp", "system"])
def test_a_file_called_like_something_else_gets_another_name(
    shell: Inside, db: Path, tmp_path: Path, stem: str
) -> None:
    other = tmp_path / f"{stem}.duckdb"
    db.rename(other)
    sql = f'SELECT v.ssn FROM vault.visits v JOIN "{stem}_db".visits USING (id) ORDER BY id LIMIT 1'
    ran = shell(other, "--json", "-c", sql)
    assert json.loads(ran.stdout) == [{"ssn": VALUES[0]}]
    assert f"note: {other} is called {stem}_db here" in ran.stderr


def newer(file: Path) -> None:
    """Make it one of a later DuckDB: its version of the storage, and the checksum of its first page."""
    content = bytearray(file.read_bytes())
    content[12:20] = struct.pack("<Q", 99)
    checksum = 5381
    for (number,) in struct.iter_unpack("<Q", content[8:4096]):
        checksum ^= number * 0xBF58476D1CE4E5B9 & (2**64 - 1)
    content[:8] = struct.pack("<Q", checksum)
    file.write_bytes(content)


def test_a_file_that_cannot_be_read_is_told_with_its_reason(
    shell: Inside, db: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.duckdb").write_text("no database" * 9999)
    (tmp_path / "folder").mkdir()
    later = tmp_path / "later.duckdb"
    later.write_bytes(db.read_bytes())
    newer(later)
    for name, code, told in (
        ("none.duckdb", 2, "No such file or directory"),
        ("folder", 2, "Is a directory"),
        ("text.duckdb", 2, "it is no DuckDB database"),
        ("later.duckdb", 2, f"another DuckDB (storage version 99), and this is {duckdb.__version__}"),
    ):
        ran = shell(name, "-c", "SELECT 1")
        assert (ran.returncode, ran.stdout) == (code, "")
        assert told in ran.stderr
        assert ran.stderr.count("\n") == 1
    writer = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", writer, db], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        ran = shell(db, "-c", "SELECT 1")
        assert ran.stderr == f"tvault: cannot read {db}: process {other.pid} has it open for writing\n"
        assert ran.returncode == 1
        other.communicate()
    assert shell(db, "-c", "SELECT 1").returncode == 0


def test_files_are_tables_with_their_names(
    shell: Inside, db: Path, tmp_path: Path, tokens: list[str]
) -> None:
    table = pa.table({"n": [1, 2], "ssn": tokens[:2]})
    pq.write_table(table, tmp_path / "it's.parquet")
    pyarrow.csv.write_csv(table, tmp_path / "c.csv")
    (tmp_path / "j.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    (tmp_path / "a.json").write_text(json.dumps(table.to_pylist()))
    files = ["it's.parquet", "c.csv", "j.jsonl", "a.json"]
    options = [each for file in files for each in ("--read", file)]
    sql = (
        'SELECT p.ssn FROM vault."it\'s" p JOIN c USING (n) JOIN vault.j USING (n) JOIN a USING (n) '
        "JOIN visits ON a.ssn = visits.ssn ORDER BY n"
    )
    ran = shell(db, *options, "--json", "-c", sql)
    assert json.loads(ran.stdout) == [{"ssn": VALUES[0]}, {"ssn": VALUES[1]}], ran.stderr
    assert "c.ssn: 2 of 2 sampled values are tokens -> vault.c" in ran.stderr
    (tmp_path / "visits.csv").write_text("a\n1\n")
    (tmp_path / "x[1].csv").write_text("a\n1\n")
    (tmp_path / "broken.parquet").write_text("PAR")
    for reads, told in (
        (["visits.csv"], "there is a table visits besides visits.csv"),
        (["c.csv", "c.csv"], "are both called c"),
        (["none.csv"], "cannot read none.csv: No such file or directory"),
        (["x[1].csv"], "takes *, ? and [ for patterns"),
        (["q.txt"], "cannot read q.txt"),
        (["clinic.duckdb"], "its suffix is none of .parquet"),
        (["broken.parquet"], "cannot read broken.parquet: "),
    ):
        ran = shell(db, *[each for file in reads for each in ("--read", file)], "-c", "SELECT 1")
        assert (ran.returncode, ran.stdout) == (2, "")
        assert told in ran.stderr


def test_columns_are_named_where_a_sample_does_not_tell(shell: Inside, db: Path) -> None:
    ran = shell(db, "--columns", "visits.ssn", "--json", "-c", "SELECT ssn FROM vault.visits LIMIT 1")
    assert json.loads(ran.stdout) == [{"ssn": VALUES[0]}]
    assert ran.stderr == "visits.ssn: declared -> vault.visits\n"
    ran = shell(db, "--columns", "visits.none", "-c", "SELECT 1")
    assert ran.returncode == 2
    assert "none" in ran.stderr


def test_the_users_file_is_not_touched(shell: Inside, db: Path) -> None:
    db.chmod(0o400)
    before = db.read_bytes(), db.stat().st_mtime_ns
    assert shell(db, "-c", "FROM vault.visits").returncode == 0
    assert (db.read_bytes(), db.stat().st_mtime_ns) == before
    assert [each.name for each in db.parent.iterdir()] == [db.name]
