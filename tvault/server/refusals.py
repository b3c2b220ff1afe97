"""Events of requests that were refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tvault.server.calls import EventSink
from tvault.server.web import Served

PAUSE_SECONDS = 10.0
"""From one event of refused API keys to the next: whoever tries keys must not fill the log."""

_UNAUTHORIZED = 401


class Refusals:
    """Records what was refused to owners, each request for itself, and how many had no valid API key,
    together.  `watch` is told of every request; any thread."""

    def __init__(self, record: EventSink, clock: Callable[[], float] = time.monotonic) -> None:
        self._record = record
        self._clock = clock
        self._lock = threading.Lock()
        self._strangers = 0
        self._told_at = float("-inf")

    def watch(self, served: Served) -> None:
        """One request was answered."""
        if served.status == _UNAUTHORIZED:
            with self._lock:
                self._strangers += 1
        elif served.code is not None and served.owner and not served.is_noted:
            self._record(
                "refused",
                owner=served.owner,
                request_id=served.request_id,
                call=served.call,
                status=served.status,
                code=served.code,
                duration_ms=round(served.seconds * 1000, 3),
            )
        if self._strangers and self._clock() - self._told_at >= PAUSE_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Tell of the keys that were refused since the last time."""
        with self._lock:
            count, self._strangers = self._strangers, 0
            self._told_at = self._clock()
        if count:
            self._record("key-refused", count=count)
