"""The page on analytics, and the example that it goes through."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.cluster.cluster import Cluster
from tests.docs.pages import ROOT, page_called, read, snippets
from tests.e2e.page import environment, steps_of, without_chance

EXAMPLE = ROOT / "examples" / "analytics"
PAGE = read(page_called("analytics"))


def blocks(kind: str) -> list[str]:
    return snippets(PAGE, kind)


def printed_by_the_example(folder: Path) -> str:
    with Cluster(folder / "vault", fields=("ssn", "name", "email")) as cluster:
        cluster.start()
        cluster.wait_until_whole()
        told = {"TVAULT_CONFIG": str(cluster.config), "TVAULT_API_KEY": cluster.keys["A"]}
        ran = subprocess.run(
            ["sh", str(EXAMPLE / "analytics.sh")],
            env=environment(PYTHON=sys.executable, COLUMNS="120", **told),
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_example_prints_what_the_page_shows(tmp_path: Path) -> None:
    """What the vault was asked for included: nothing for what is done on tokens."""
    stdout = without_chance(printed_by_the_example(tmp_path))
    script = read(EXAMPLE / "analytics.sh").replace('"$python"', "python3")
    steps = [step for block in blocks("console") for step in steps_of(block)]
    assert len(steps) == 14
    at = 0
    for command, output, _ in steps:
        assert f"\n{command}\n" in script, command
        shown = without_chance(output)
        assert shown in stdout[at:], f"{command}\n{stdout}"
        at += stdout[at:].index(shown) + len(shown)
    counts = re.findall(r"values recovered so far: (\d+)", stdout)
    assert counts == ["0", "20", "20", "3020", "3040"]


def test_the_queries_of_the_page_are_the_files() -> None:
    names = re.findall(r"^```sql (.+)$", PAGE, re.MULTILINE)
    assert sorted(names) == sorted(path.name for path in EXAMPLE.glob("*.sql"))
    for name in names:
        assert blocks(f"sql {name}") == [read(EXAMPLE / name)]
    (python,) = blocks("python")
    assert python in read(EXAMPLE / "notebook.py")


def test_the_sample_data_is_the_same_every_time(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        subprocess.run(
            [sys.executable, str(EXAMPLE / "generate.py"), str(folder)], check=True, timeout=60
        )
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1]
    assert set(made[0]) == {"patients.csv", "visits.parquet"}
