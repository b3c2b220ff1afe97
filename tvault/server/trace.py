"""What people are told of a request beside its answer: its id goes with it to the head and over the
nodes; the entry and the view that its answer rests on come back.

A thread answers one request at a time, so it is found by the thread, and no call in between carries it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Trace:
    """A request on its way.  `seq` is the latest entry that its answer rests on, `view` the view in
    which the node was then; both 0 when there is none.  `is_noted`: an event tells of it."""

    request_id: str
    seq: int = 0
    view: int = 0
    is_noted: bool = False

    def saw(self, seq: int, view: int = 0) -> None:
        """The answer rests on entry `seq`, seen in `view`."""
        self.seq = max(self.seq, seq)
        self.view = max(self.view, view)


_trace: ContextVar[Trace] = ContextVar("trace")


@contextmanager
def traced(request_id: str) -> Iterator[Trace]:
    """What this thread does inside is for this request."""
    trace = Trace(request_id)
    token = _trace.set(trace)
    try:
        yield trace
    finally:
        _trace.reset(token)


def current() -> Trace:
    """The request that this thread works for; one without an id when it works for none."""
    return _trace.get(None) or Trace("")
