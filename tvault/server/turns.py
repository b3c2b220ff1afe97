"""How many requests are worked on at once: the next ones wait a little, in order; a flood is refused."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tvault.errors import VaultError

WAITING_REQUESTS: Final = 48
"""Requests that wait for a place, at most; each keeps a thread meanwhile, but has not sent its body."""

WAIT_SECONDS: Final = 1.0
"""How long a request waits for a place: in a burst all come to their turn, and where the places stay
taken for longer, a client does better to ask another node."""


class Turns:
    """A place for each of `most` requests; `waiting` more wait for one, first come, first served."""

    def __init__(self, most: int, waiting: int = WAITING_REQUESTS) -> None:
        self._free = most
        self._room = waiting
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def one(self, seconds: float = WAIT_SECONDS) -> Iterator[None]:
        """Hold a place.  Raises `VaultError` `overloaded` at once when too many wait already, and when
        none becomes free in `seconds`."""
        if not self._enter(seconds):
            raise VaultError("overloaded", "The node works on as many requests as it may; try again.")
        try:
            yield
        finally:
            self._leave()

    def _enter(self, seconds: float) -> bool:
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return True
            if len(self._waiting) >= self._room:
                return False
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=seconds):
            return True
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return False
        return True  # it was handed a place meanwhile

    def _leave(self) -> None:
        """Hand the place to whoever waits longest: none that comes later takes it first."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
