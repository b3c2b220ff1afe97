"""The raw file, and what is read of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.bench import baseline, machine


def test_the_raw_file_is_durable_and_its_rows_are_found_whichever_way_they_came(tmp_path: Path) -> None:
    with baseline.sqlite_file(tmp_path / "raw", baseline.TUNED) as connection:
        baseline.load(connection, range(5_000))
        baseline.inserted(connection, baseline.rows(range(5_000, 7_000)))
        tokens = [baseline.token_of(number) for number in range(7_000)]
        baseline.shuffle(tokens)
        assert baseline.looked_up(connection, tokens).per_second > 0
        settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _SETTINGS]
        assert dict(zip(_SETTINGS, settings, strict=True)) == _SETTINGS
    assert list(tmp_path.iterdir()) == []


_SETTINGS = {
    "journal_mode": "wal",
    "synchronous": 2,
    "cache_size": -262_144,
    "wal_autocheckpoint": baseline.TUNED,
}


def test_cpu_and_memory_of_a_process_are_those_that_the_system_tells() -> None:
    times = os.times()
    assert abs(machine.cpu_seconds(os.getpid()) - times.user - times.system) < 0.5
    told = machine.memory(os.getpid())
    assert told["rss_mib"] > told["anon_mib"] > 1


def test_cpu_of_a_family_holds_that_of_children_that_have_ended() -> None:
    before = machine.family_cpu_seconds(os.getpid())
    work = "import time\nwhile time.process_time() < 0.5: pass"
    subprocess.run([sys.executable, "-c", work], check=True)
    assert machine.family_cpu_seconds(os.getpid()) > before + 0.2


def test_the_size_of_a_folder_leaves_the_write_ahead_log_out(tmp_path: Path) -> None:
    for name, size in (("a", 8192), ("a-wal", 65_536), ("a-shm", 32_768)):
        (tmp_path / name).write_bytes(b"x" * size)
    assert machine.disk_bytes(tmp_path) == 8192
    assert machine.disk_bytes(tmp_path, is_log=True) == 65_536 + 32_768
