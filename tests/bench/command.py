"""Runs one command to its end and tells what it used: JSON in, JSON out.

In a process of its own, and a small one: Linux counts the memory of the process that starts a command
as the command's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def main() -> None:
    """The command's exit code, seconds by the clock and of CPU, and its peak memory."""
    command = json.load(sys.stdin)["command"]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    told = {
        "code": process.returncode,
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
