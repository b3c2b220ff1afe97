"""The append-only event log of one node: JSON lines for people, never replicated, no values in it."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

import msgspec

FILE_NAME = "events.jsonl"

Detail = str | int | float | bool | Sequence[str] | None

_log = logging.getLogger("tvault.events")


class EventLog:
    """Appends one line an event.  A log that cannot be written never stops the node: what is lost is
    counted, and the loss is itself an event once writing works again.

    Any thread may record.  Raises `OSError` only when it cannot be opened.
    """

    def __init__(self, folder: Path, node: str) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._lost = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(folder / FILE_NAME, flags, 0o600)

    def record(self, event: str, **details: Detail) -> None:
        """Append the event, with the time, this node's name and `details`."""
        with self._lock:
            if self._lost and self._append("events-lost", {"count": self._lost}):
                self._lost = 0
            if not self._append(event, details):
                self._lost += 1

    def close(self) -> None:
        """Record nothing any more."""
        with self._lock:
            os.close(self._file)
            self._file = -1

    def _append(self, event: str, details: Mapping[str, Detail]) -> bool:
        time = datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
        line = msgspec.json.encode({"time": time, "node": self._node, "event": event, **details}) + b"\n"
        try:
            self._write_whole(line)
        except OSError as error:
            if not self._lost:
                _log.warning("the event log cannot be written: %s", error.strerror)
            return False
        return True

    def _write_whole(self, line: bytes) -> None:
        """Write the line, or nothing of it: half a line would spoil the next one."""
        written = os.write(self._file, line)
        if written < len(line):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
