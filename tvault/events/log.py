"""Writing the event log."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from tvault.events.files import written_time
from tvault.events.rolling import RollingFile, Room

WAITING_EVENTS = 256
"""Events that are kept while the log cannot be written: the first ones tell how that began."""

Detail = str | int | float | bool | Sequence[str] | None
Tap = Callable[[str, Mapping[str, Detail]], None]

_log = logging.getLogger("tvault.events")


def _nobody(_event: str, _details: Mapping[str, Detail]) -> None:
    pass


class EventLog:
    """Appends one line an event.  A log that cannot be opened or written never stops the node: some
    events wait, those after them are lost and counted, and the loss is itself an event once writing
    works again.

    Any thread may record and read the counts: `written` lines since the start, `lost` events since then.
    `tap` is told of every event, also of one that is lost, by the thread that records it.
    """

    def __init__(self, folder: Path, node: str, room: Room | None = None, tap: Tap = _nobody) -> None:
        self._node = node
        self._tap = tap
        self._lock = threading.Lock()
        self._file = RollingFile(folder, room or Room())
        self._waiting: deque[bytes] = deque()
        self._told: list[tuple[str, Mapping[str, Detail]]] = []
        self._untold = 0
        self._is_stuck = False
        self._is_closed = False
        self.written = 0
        self.lost = 0

    def record(self, event: str, **details: Detail) -> None:
        """Append the event, with the time, this node's name and `details`."""
        with self._lock:
            if self._is_closed:
                return
            self._write_waiting()
            if self._untold and not self._waiting:
                self._append("events-lost", {"count": self._untold})
                self._untold = 0
            if len(self._waiting) < WAITING_EVENTS:
                self._append(event, details)
                self._write_waiting()
            else:
                self._told.append((event, details))
                self._untold += 1
                self.lost += 1
            told, self._told = self._told, []
        for each in told:
            self._tap(*each)

    def close(self) -> None:
        """Record nothing any more."""
        with self._lock:
            self._file.close()
            self._is_closed = True

    def _append(self, event: str, details: Mapping[str, Detail]) -> None:
        time = written_time(datetime.now(timezone.utc))
        said = {"time": time, "node": self._node, "event": event, **details}
        try:
            line = msgspec.json.encode(said)
        except UnicodeEncodeError:  # a path whose bytes are not UTF-8 stands in what the system says
            line = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
        self._waiting.append(line + b"\n")
        self._told.append((event, details))

    def _write_waiting(self) -> None:
        try:
            while self._waiting:
                self._file.append(self._waiting[0])
                self._waiting.popleft()
                self.written += 1
                self._is_stuck = False
                if self._file.dropped:
                    self._append("events-dropped", {"files": self._file.dropped})
                    self._file.dropped = []
        except OSError as error:
            if not self._is_stuck:
                _log.warning("the event log cannot be written: %s", error.strerror)
            self._is_stuck = True
