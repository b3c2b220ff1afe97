"""What calls of every kind have in common: how long they may take, and that they are noted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tvault.server.trace import current
from tvault.server.web import Call


class EventSink(Protocol):
    """Where events of a node go: a name with numbers, owners and ids, never a value or a token."""

    def __call__(self, event: str, **counts: str | float) -> None:
        """Note that `event` happened."""


class Calls:
    """The calls of one subject.

    `clock` gives seconds of `time.monotonic()`; `request_seconds` is how long a request may take inside
    the engine.
    """

    def __init__(self, clock: Callable[[], float], record: EventSink, request_seconds: float) -> None:
        self._clock = clock
        self._record = record
        self._request_seconds = request_seconds

    def _deadline(self) -> float:
        return self._clock() + self._request_seconds

    def _note(self, event: str, call: Call, started: float, **counts: float) -> None:
        spent = round((self._clock() - started) * 1000, 3)
        trace = current()
        trace.is_noted = True
        self._record(
            event,
            owner=call.owner,
            request_id=call.request_id,
            duration_ms=spent,
            view=trace.view,
            seq=trace.seq,
            **counts,
        )
