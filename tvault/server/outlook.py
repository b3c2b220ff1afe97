"""What a node said of itself last, for the threads that answer clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tvault.replication.state import State

PAUSE_SECONDS = 0.02
"""Shortest wait before something is tried again within one request."""

STUCK_SECONDS = 1.0
"""A node whose thread has not finished a step for so long cannot be counted on: its disk does not
answer, or the machine has other things to do."""


class Outlook:
    """The state that the node's thread publishes, and a way to wait for another one.

    With no chain that takes writes for `patience_s`, `is_cut_off`: requests that need one are refused at
    once, since to wait longer is idle.
    """

    def __init__(self, state: State, patience_s: float) -> None:
        self._changed = threading.Condition()
        self._patience_s = patience_s
        self._said_at = self._flowed_at = time.monotonic()
        self.state = state
        self.has_ended = False

    def publish(self, state: State) -> None:
        """Tell other threads what has become of this node; whoever waits for a change is woken."""
        self._said_at = time.monotonic()
        if state.can_write:
            self._flowed_at = self._said_at
        before, self.state = self.state, state
        parts = [(s.can_write, s.readable, s.view, s.condition) for s in (before, state)]
        if parts[0] != parts[1]:
            with self._changed:
                self._changed.notify_all()

    def end(self) -> None:
        """Nothing will be published any more: nobody waits in vain."""
        with self._changed:
            self.has_ended = True
            self._changed.notify_all()

    @property
    def can_write(self) -> bool:
        """Whether the node can take writes now, as far as it can be known."""
        return self.state.can_write and self.silent_s < STUCK_SECONDS and not self.has_ended

    @property
    def silent_s(self) -> float:
        """For how long the node's thread has published nothing."""
        return time.monotonic() - self._said_at

    @property
    def is_cut_off(self) -> bool:
        """Whether there has been no chain for so long that a request is refused rather than kept."""
        return self.has_ended or time.monotonic() >= self._flowed_at + self._patience_s

    def sensible(self, deadline: float, least_s: float) -> float:
        """The deadline, or an earlier one if there has been no chain for long: `least_s` at least."""
        return min(deadline, max(self._flowed_at + self._patience_s, time.monotonic() + least_s))

    def wait_until(self, is_so: Callable[[State], bool], deadline: float) -> bool:
        """Wait a moment, then until the state is such.  False at the deadline, or when cut off."""
        with self._changed:
            self._changed.wait(PAUSE_SECONDS)
            while not is_so(self.state):
                left = min(deadline, self._flowed_at + self._patience_s) - time.monotonic()
                if left <= 0 or self.has_ended:
                    return False
                self._changed.wait(left)
            return time.monotonic() < deadline and not self.has_ended
