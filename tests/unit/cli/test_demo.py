"""What the demo claims is checked, and what it cannot show it leaves out."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tvault.cli.demo.patients import MOST, as_json_lines, patients, visits
from tvault.cli.demo.stage import Stage
from tvault.errors import VaultError

WITHOUT_DUCKDB = """
import sys
sys.modules["duckdb"] = None
from tvault.cli.demo.show import Show
from tvault.cli.demo.stage import Stage
from tvault.cli.demo.tables import join
join(Show(Stage(), None, [], []))
"""


def test_a_claim_that_is_false_ends_the_demo_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage()
    stage.step("A step")
    stage.claim("this is so", holds=True)
    with pytest.raises(VaultError, match="this claim is false: this is not so"):
        stage.claim("this is not so", holds=False)
    assert stage.steps[0].claims == ["this is so"]
    assert capsys.readouterr().out.splitlines()[-2:] == ["  ✓ this is so", "  ✗ this is not so"]


def test_the_summary_has_every_claim_of_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage()
    for step in ("One", "Two"):
        stage.step(step)
        stage.claim(f"{step} is so", holds=True)
    capsys.readouterr()
    stage.summary()
    printed = capsys.readouterr().out
    assert printed.count(" is so\n") == 2
    assert "All 2 claims held" in printed


def test_what_a_command_prints_cannot_steer_the_terminal_and_fits_its_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    Stage().output("\x1b[2J" + "x" * 200)
    printed = capsys.readouterr().out
    assert printed.startswith("  \\x1b[2Jxxx")
    assert len(printed) == 60


def test_the_made_up_people_are_always_the_same_and_share_no_value() -> None:
    people = patients(2_000)
    assert people[:10] == patients(2_000)[:10]
    values = [value for each in people for value in each.values]
    assert len(set(values)) == len(values)
    assert as_json_lines(people).count(b"\n") == len(visits(people)) == 2_000


def test_without_duckdb_the_join_is_left_out_and_told_how_to_get() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_DUCKDB], capture_output=True, text=True, check=True, timeout=60
    )
    assert "Left out: DuckDB is not installed. To see it: pip install 'tvault[duckdb]'" in ran.stdout
    assert "✓" not in ran.stdout


@pytest.mark.parametrize("arguments", [["--pause"], ["499"], [str(MOST + 1)], ["many"]])
def test_what_cannot_be_shown_is_refused_before_anything_starts(arguments: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tvault", "demo", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
