"""The table and the document that a run ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.report import Row, Target, at_most, ratio_at_least, ratio_at_most, table, write_json

FAST = Row("bulk", "fast", 200_000.0, "values/s", 100_000.0, "raw", ratio_at_least(2), {"cpu_us": 3.25})
SLOW = Row("bulk", "slow", 199_999.0, "values/s", 100_000.0, "raw", ratio_at_least(2))
PLAIN = Row("memory", "plain", 12.3456, "MiB")


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (ratio_at_least(2), True),
        (ratio_at_least(2.1), False),
        (ratio_at_most(2), True),
        (ratio_at_most(1.9), False),
        (at_most(10), True),
        (at_most(9.9), False),
    ],
)
def test_a_target_bounds_the_ratio_to_the_baseline_or_the_figure_itself(
    target: Target, *, met: bool
) -> None:
    assert Row("s", "t", 10.0, "ms", 5.0, "half", target).is_met is met


def test_a_ratio_that_is_wanted_needs_a_baseline() -> None:
    with pytest.raises(AssertionError, match="no baseline"):
        _ = Row("s", "t", 10.0, "ms", target=ratio_at_least(2)).is_met


def test_the_table_says_of_every_row_whether_its_target_is_met() -> None:
    lines = list(table([FAST, SLOW, PLAIN]))
    said = {line.split()[0]: line for line in lines}
    assert "200,000" in said["fast"]
    assert " 2.00 " in said["fast"]
    assert ">= 2 x" in said["fast"]
    assert " yes " in said["fast"]
    assert " NO " in said["slow"]
    assert "yes" not in said["plain"]
    assert "NO" not in said["plain"]
    assert "12.3  MiB" in said["plain"]
    assert lines[3].strip() == "cpu_us 3.25"
    assert [line.split()[1] for line in lines if line.startswith("--")] == ["bulk", "memory"]


def test_the_document_holds_the_machine_and_all_figures(tmp_path: Path) -> None:
    file = tmp_path / "new" / "bench.json"
    write_json(file, {"cores": 2}, [FAST, PLAIN], ["note"])
    document = json.loads(file.read_text())
    assert document["machine"] == {"cores": 2}
    assert document["notes"] == ["note"]
    fast, plain = document["rows"]
    assert (fast["figure"], fast["ratio"], fast["met"]) == (200_000.0, 2.0, True)
    assert (fast["details"], fast["target"]["bound"]) == ({"cpu_us": 3.25}, 2)
    assert (plain["ratio"], plain["met"], plain["target"]) == (None, None, None)
