"""What the cost of a value depends on, what files cost, where the time goes: each at its smallest."""

from __future__ import annotations

from pathlib import Path

from tests.bench import files, shape, steps
from tests.bench.costs import FULL
from tests.bench.scale import SCALES

TINY = SCALES["tiny"]


def test_costs_are_measured_by_batch_owners_epochs_and_nodes(tmp_path: Path) -> None:
    rows = {row.title: row for row in shape.measure(tmp_path, TINY)}
    for nodes in ("1 node", "3 nodes"):
        assert len(rows[f"tokenize new values, {nodes}"].details["nodes_us"]) == int(nodes[0])
    for size in TINY.batches:
        assert rows[f"detokenize, shuffled, {size:,} a request"].figure > 0
    for title, against in (
        ("tokenize new values, 1,000 owners, 100 a request", "1 owner"),
        ("detokenize, shuffled, 50 epochs in a request", "1 epoch"),
        ("tokenize new values, 3 nodes", "1 node"),
        ("tokenize new values, 1 a request", "500 a request"),
    ):
        assert rows[title].baseline, f"{title} stands beside nothing"
        assert rows[title].against == against


def test_bytes_and_times_of_files_are_measured(tmp_path: Path) -> None:
    rows = {row.title: row.figure for row in files.measure(tmp_path, TINY)}
    assert rows["journal, 32 characters, blocks of one value"] > 2 * (32 + 16)
    assert 32 + 16 < rows[f"journal, 32 characters, {FULL}"] < 2 * (32 + 16)
    run = "a run of 10,000 tokens"
    assert 25 < rows[f"{run}, on the disk"] < 27
    assert 1 <= rows[f"{run}, filter in memory"] <= 2
    assert all(figure > 0 for figure in rows.values())


def test_every_step_of_a_request_is_measured_once_and_told_where(tmp_path: Path) -> None:
    rows = steps.measure(tmp_path, TINY)
    assert len({row.title for row in rows}) == len(rows) == 19
    assert all(row.figure >= 0 for row in rows)
    places = {row.details["where"] for row in rows}
    assert places == {steps.CLIENT, steps.ASKED, steps.HEAD, steps.EVERY}
