"""What an event log holds, looked at without the reader that is tested."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import Any

from tvault.events import FILE_NAME, EventLog, Room

FEW_BYTES = 2000
"""Room of a file for some twenty events."""


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """The events of the newest file."""
    return [json.loads(line) for line in (folder / FILE_NAME).read_text().splitlines()]


def files_of(folder: Path) -> list[Path]:
    """All files of the log, the oldest first."""
    return [*sorted(folder.glob("events.0*.jsonl")), folder / FILE_NAME]


def all_of(folder: Path) -> list[dict[str, Any]]:
    """The events of all files."""
    return [json.loads(line) for file in files_of(folder) for line in file.read_text().splitlines()]


def small(folder: Path, files: int = 100) -> EventLog:
    """A log whose files are soon full."""
    return EventLog(folder, "n1", Room(FEW_BYTES, files))


def record(log: EventLog, first: int, last: int) -> None:
    """Events with these numbers."""
    for number in range(first, last + 1):
        log.record("e", number=number)


def record_while_full(folder: Path, count: int) -> list[dict[str, Any]]:
    """What a log holds after so many events that found it full, and two when there was room again: in a
    child, whose files may not grow past a limit that is then lifted."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
            log = EventLog(folder, "n1")
            record(log, 0, count - 1)
            written, lost = log.written, log.lost
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            log.record("after", written=written, lost=lost)
            log.record("again")
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status == 0
    return lines_of(folder)
