"""How `tvault duckdb-attach` writes results: to stdout, and to a file."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tests.duck.shell import VALUES, Inside, Shell
from tests.duck.sql import Json


def test_a_table_for_people_is_aligned_and_harmless(shell: Inside, db: Path) -> None:
    ran = shell(
        db,
        "-c",
        "SELECT * FROM (VALUES (1, NULL, 'a', 1.5), (22, 'NULL', chr(27) || '[31m' || "
        "chr(10) || chr(8238), 22.25), (333, '日本', '', NULL)) t(\"n\tn\", s, c, d)",
    )
    assert ran.stdout.splitlines() == [
        r"n\tn  s       c                     d",
        r"   1  NULL    a                  1.50",
        r'  22  "NULL"  \x1b[31m\n\u202e  22.25',
        r" 333  日本                       NULL",
    ]


def test_csv_tells_null_from_an_empty_text_and_is_read_back(shell: Inside, db: Path) -> None:
    ran = shell(
        db, "--csv", "-c", "SELECT NULL AS a, '' AS b, 'x,\"y\"\n' AS c, ' ' AS d, 1.50 AS \"e,\""
    )
    assert ran.stdout == 'a,b,c,d,"e,"\n,"","x,""y""\n", ,1.50\n'
    assert [*csv.reader(io.StringIO(ran.stdout))][1] == ["", "", 'x,"y"\n', " ", "1.50"]


def test_json_holds_every_type_exactly(shell: Inside, db: Path) -> None:
    """Numbers are those that DuckDB has, with all digits; what is text goes back by a cast."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    query = "SELECT * FROM test_all_types()"
    kinds = {row[0]: row[1] for row in con.execute(f"DESCRIBE {query}").fetchall()}
    as_text = con.execute("SELECT COLUMNS(*)::VARCHAR FROM test_all_types()").fetchall()
    names = list(kinds)
    rows = json.loads(shell(db, "--json", "-c", query).stdout, parse_float=str, parse_int=str)
    assert len(rows) == len(as_text) == 3
    for row, texts in zip(rows, as_text, strict=True):
        assert list(row) == names
        for name, text in zip(names, texts, strict=True):
            value = row[name]
            if isinstance(value, bool):
                assert str(value).lower() == text
            elif isinstance(value, str) or value is None:
                # DuckDB 1.5 does not take back the last timestamps there are, as it writes them itself.
                both = f"TRY_CAST($1 AS {kinds[name]})::VARCHAR, TRY_CAST($2 AS {kinds[name]})::VARCHAR"
                ((ours, own),) = con.execute(f"SELECT {both}", [value, text]).fetchall()
                assert ours == own, name
                assert (value is None) == (text is None), name
    assert rows[0]["hugeint"] == "-170141183460469231731687303715884105728"
    assert rows[1]["dec38_10"] == "9999999999999999999999999999.9999999999"
    assert rows[1]["struct"] == {"a": "42", "b": "🦆🦆🦆🦆🦆🦆"}
    assert rows[1]["map"] == {"key1": "🦆🦆🦆🦆🦆🦆", "key2": "goose"}
    assert rows[1]["double_array"] == ["42.0", "nan", "inf", "-inf", None, "-42.0"]
    assert rows[0]["union"] == {"name": "Frank"}
    last = as_text[1][names.index("timestamp_tz")]
    assert rows[1]["timestamp_tz"] == last.replace(" ", "T").replace("+00", "Z")


def test_what_test_all_types_does_not_have_is_json_too(shell: Inside, db: Path) -> None:
    ran = shell(
        db,
        "--json",
        "-c",
        """
        SELECT 0.5::DECIMAL(1, 1) AS d, -0.25::DECIMAL(2, 2) AS e, 'nan'::FLOAT AS n, sum(1) AS s,
            '{"a":\n[1.10, null]}'::JSON AS j, MAP {DATE '2020-01-01': [1]} AS m, 1 AS s, 2 AS s_1,
            'a"\\\\\u2028' || chr(27) AS t, TIMESTAMPTZ '2020-01-01 02:03:04.5+02' AS z, NULL AS o
    """,
    )
    assert ran.stdout.count("\n") == 1
    assert json.loads(ran.stdout, parse_float=str) == [
        {
            "d": "0.5",
            "e": "-0.25",
            "n": "nan",
            "s": 1,
            "j": {"a": ["1.10", None]},
            "m": {"2020-01-01": [1]},
            "s_2": 1,
            "s_1": 2,
            "t": 'a"\\\\\u2028\x1b',
            "z": "2020-01-01T00:03:04.5Z",
            "o": None,
        }
    ]


def test_an_empty_result_is_an_empty_array_or_a_header(shell: Inside, db: Path) -> None:
    sql = "SELECT id, ssn FROM vault.visits WHERE false"
    assert shell(db, "--json", "-c", sql).stdout == "[]\n"
    assert shell(db, "--csv", "-c", sql).stdout == "id,ssn\n"
    assert shell(db, "-c", sql).stdout == "id  ssn\n"


def rows_of(query: str) -> list[Json]:
    found = duckdb.sql(query)
    assert found is not None
    rows: list[Json] = found.to_arrow_table().to_pylist()
    return rows


def read_back(file: Path) -> list[Json]:
    if file.suffix == ".json":
        document: list[Json] = json.loads(file.read_text())
        return document
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text().splitlines()]
    return rows_of(f"FROM '{file}'")


def test_out_writes_what_its_suffix_says_for_the_owner_alone(
    shell: Inside, db: Path, tmp_path: Path
) -> None:
    sql = "SELECT id, ssn, sum(id) OVER () AS s FROM vault.visits ORDER BY id LIMIT 2"
    expected = [{"id": at, "ssn": VALUES[at], "s": 780} for at in (0, 1)]
    for suffix in ("csv", "json", "jsonl", "parquet"):
        file = tmp_path / f"out.{suffix}"
        file.write_text("old and longer than what is to come, " * 99)
        file.chmod(0o644)
        ran = shell(db, "--out", file, "--allow-plaintext", "-c", sql)
        assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
        assert file.stat().st_mode & 0o777 == 0o600
        assert read_back(file) == expected
    types = pq.read_schema(tmp_path / "out.parquet").types
    assert types == [pa.int64(), pa.string(), pa.decimal128(38, 0)]
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "clinic.duckdb",
        "out.csv",
        "out.json",
        "out.jsonl",
        "out.parquet",
    ]


def test_out_leaves_an_old_file_as_it_was_when_it_fails(shell: Inside, db: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.write_text("old")
    failing = "SELECT CASE WHEN i < 200000 THEN 'x' ELSE error('no') END FROM range(300000) r(i)"
    for sql in ("FROM nowhere", failing, "SELECT 1; SELECT 2", "SET VARIABLE x = 1"):
        assert shell(db, "--out", file, "--allow-plaintext", "-c", sql).returncode in {1, 2}
        assert file.read_text() == "old"
    assert len([*tmp_path.iterdir()]) == 2


def test_parquet_holds_every_type(shell: Inside, db: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.parquet"
    # A decimal of Parquet has 38 digits, and the largest HUGEINT 39.
    sql = "SELECT * EXCLUDE (hugeint, uhugeint) FROM test_all_types()"
    ran = shell(db, "--out", file, "--allow-plaintext", "-c", sql)
    assert ran.returncode == 0, ran.stderr
    table = pq.read_table(file)
    assert table.num_rows == 3
    assert table.column("interval").type == pa.string()
    assert table.column("uuid")[1].as_py() == "ffffffff-ffff-ffff-ffff-ffffffffffff"
    assert table.schema.field("double_array").type.value_type == pa.float64()


def test_a_large_result_takes_no_more_memory_than_a_small_one(process: Shell, db: Path) -> None:
    measure = (
        "import resource, subprocess, sys; "
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    )
    peaks = []
    for rows in (100_000, 1_000_000):
        sql = f"SELECT i, 'some text ' || i AS t, [i, i] AS l FROM range({rows}) r(i)"
        ran = subprocess.run(
            [sys.executable, "-c", measure, *process.command(db, "--json", "-c", sql)],
            env=process.environment,
            cwd=process.folder,
            capture_output=True,
            check=True,
            timeout=60,
        )
        peaks.append(int(ran.stdout))
    assert peaks[1] - peaks[0] < 40, peaks
