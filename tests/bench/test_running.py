"""The suite in its smallest form: every measurement runs, and gives figures that can be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.bench import failing, growth, latency, secrets
from tests.bench.fleet import in_a_process
from tests.bench.scale import SCALES

TINY = SCALES["tiny"]


def test_the_command_prints_a_table_and_writes_it_as_json(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--scale", "tiny", "--only", "bulk", "--json", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(file.read_text())
    assert {"date", "commit", "cores", "python", "sqlite", "load_before"} <= set(document["machine"])
    rows = {row["title"]: row for row in document["rows"]}
    assert all(title in done.stdout for title in rows)
    targets = [row["target"]["bound"] for row in rows.values() if row["target"]]
    assert sorted(targets) == [1, 1, 1, 2, 2, 3, 3]
    for row in rows.values():
        assert row["figure"] > 0
        assert row["target"] is None or row["baseline"] > 0
    spent = rows["tokenize new values, library"]["details"]["cpu_s_per_million"]
    assert spent["all"] > spent["client"] > 0


def test_a_subject_that_there_is_not_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--only", "bulk,nothing"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "nothing; known are bulk, formats, duck, steps" in done.stderr


def test_single_calls_are_measured_on_each_node_and_beside_the_bare_round_trip(tmp_path: Path) -> None:
    rows = latency.measure(tmp_path, TINY)
    calls = [row for row in rows if row.against == "bare HTTP, as many clients"]
    assert len(calls) == 3 * (2 + 1) * len(TINY.clients)
    assert all(row.ratio and row.ratio > 0.5 for row in calls)
    assert all(row.details["calls"] > 0 for row in calls if row.details)


def test_costs_memory_and_starts_are_measured_at_every_size(tmp_path: Path) -> None:
    rows = {row.title: row for row in growth.measure(tmp_path, TINY)}
    for size in TINY.stored:
        assert rows[f"tokenize new values, {size:,} stored"].figure > 0
        assert rows[f"detokenize, shuffled, {size:,} stored"].figure > 0
        assert rows[f"memory of a node, {size:,} stored"].figure > 10
    starts = [row for title, row in rows.items() if title.startswith("start of")]
    assert len(starts) == 4
    assert all(0 < row.figure < 60 for row in starts)


def test_gaps_and_the_return_of_a_node_are_measured(tmp_path: Path) -> None:
    rows = {row.title: row for row in failing.measure(tmp_path, TINY)}
    assert sum(title.startswith("no writes after kill -9") for title in rows) == 6
    assert rows[f"catch-up on {TINY.missed:,} mappings"].figure > 0


def test_secrets_are_measured_on_each_node_and_the_start_of_a_child_by_its_steps(tmp_path: Path) -> None:
    rows = {row.title: row for row in secrets.measure(tmp_path, TINY)}
    for kind in ("put", "get"):
        for place in ("head", "middle", "tail"):
            row = rows[f"{kind} one secret, {place}, 1 client"]
            assert row.target is not None
            assert row.ratio
    whole = rows["tvault env run, until `true` has ended"]
    steps = [rows[f"tvault env run: {name}"].figure for name in secrets.STAGES]
    assert all(step > 0 for step in steps)
    assert sum(steps) < 3 * whole.figure
    assert rows["expand 100 entries of a .env file, 1 client"].figure > 0


def test_a_command_is_told_its_own_memory_and_not_that_of_who_measures() -> None:
    much = bytearray(b"x" * 200 * 2**20)
    told = in_a_process(
        "tests.bench.command", {"command": [sys.executable, "-c", "raise SystemExit(3)"]}
    )
    assert told["code"] == 3
    assert 1 < told["peak_mib"] < 100
    assert told["seconds"] >= 0.9 * told["cpu_seconds"] > 0
    assert len(much) > 0
