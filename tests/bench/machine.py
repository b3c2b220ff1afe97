"""Where it is measured, and what processes of this machine use: CPU, memory and disk."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from tests.bench.report import Details

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
MEMORY = {"RssAnon": "anon_mib", "RssFile": "file_mib", "RssShmem": "shared_mib"}


def facts() -> Details:
    """What has to be known of the machine to compare with another run; the load is that before it."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "files_on": _file_system(Path(tempfile.gettempdir()).resolve()),
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _file_system(folder: Path) -> str:
    """The kind of the file system that a folder is on: one in memory makes durable writes free."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(len(place), kind) for _, place, kind, *_ in mounts if folder.is_relative_to(place)]
    return max(above)[1]


def cpu_seconds(pid: int) -> float:
    """CPU that a process has used in its life, by itself and by the kernel for it; counted in hundredths
    of a second on Linux."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS_A_SECOND


def family_cpu_seconds(pid: int) -> float:
    """CPU of a process and of its children: those that are there, and those it has waited for."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = sum(int(part) for part in after_name[11:15])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return ticks / TICKS_A_SECOND + sum(cpu_seconds(int(child)) for child in children)


def memory(pid: int) -> dict[str, float]:
    """MiB that a process holds now: its own, of mapped files, and shared; and their sum `rss_mib`.  What
    is of files, the system takes back when it needs the memory."""
    found = dict.fromkeys(MEMORY.values(), 0.0)
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in MEMORY:
            found[MEMORY[name]] = round(int(rest.split()[0]) / 1024, 1)
    return found | {"rss_mib": round(sum(found.values()), 1)}


def disk_bytes(folder: Path, *, is_log: bool = False) -> int:
    """Bytes that the files in a folder take on the disk: all but SQLite's write-ahead logs, whose size
    depends on when the last checkpoint was; or these alone."""
    total = 0
    for file in folder.rglob("*"):
        if file.is_file() and file.name.endswith(("-wal", "-shm")) == is_log:
            total += file.stat().st_blocks * 512
    return total
