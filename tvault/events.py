"""The append-only event log of one node: JSON lines for people, never replicated, no values in it."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

import msgspec

FILE_NAME = "events.jsonl"

WAITING_EVENTS = 256
"""Events that are kept while the log cannot be written: the first ones tell how that began."""

Detail = str | int | float | bool | Sequence[str] | None

_log = logging.getLogger("tvault.events")


class EventLog:
    """Appends one line an event.  A log that cannot be written never stops the node: some events wait,
    those after them are lost and counted, and the loss is itself an event once writing works again.

    Any thread may record.  Raises `OSError` only when it cannot be opened.
    """

    def __init__(self, folder: Path, node: str) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._lost = 0
        self._waiting: deque[bytes] = deque()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(folder / FILE_NAME, flags, 0o600)

    def record(self, event: str, **details: Detail) -> None:
        """Append the event, with the time, this node's name and `details`."""
        with self._lock:
            self._write_waiting()
            if self._lost and not self._waiting:
                self._append("events-lost", {"count": self._lost})
                self._lost = 0
            if len(self._waiting) < WAITING_EVENTS:
                self._append(event, details)
                self._write_waiting()
            else:
                self._lost += 1

    def close(self) -> None:
        """Record nothing any more."""
        with self._lock:
            os.close(self._file)
            self._file = -1

    def _append(self, event: str, details: Mapping[str, Detail]) -> None:
        time = datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
        line = msgspec.json.encode({"time": time, "node": self._node, "event": event, **details}) + b"\n"
        self._waiting.append(line)

    def _write_waiting(self) -> None:
        try:
            while self._waiting:
                self._write_whole(self._waiting[0])
                self._waiting.popleft()
        except OSError as error:
            if len(self._waiting) == 1:
                _log.warning("the event log cannot be written: %s", error.strerror)

    def _write_whole(self, line: bytes) -> None:
        """Write the line, or nothing of it: half a line would spoil the next one."""
        written = os.write(self._file, line)
        if written < len(line):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
