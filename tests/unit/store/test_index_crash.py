"""A store that is killed while it writes, settles and merges, again and again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
KILLS = 12


def test_no_kill_costs_an_acknowledged_token_or_leaves_a_file_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.unit.store.killing", str(tmp_path), "1", str(KILLS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > KILLS
