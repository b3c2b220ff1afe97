"""The work that waits for a node's thread: bounded, and cheap to put into and to take from."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Work = Callable[[], None]


class Backlog:
    """About `most` pieces of work, or `most_bytes` in them, in order; any thread puts, one takes.

    `queue.Queue` does the same in Python code, under a lock that both sides need: four times the cost.
    """

    def __init__(self, most: int, most_bytes: int = 1 << 40) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._work: queue.SimpleQueue[tuple[Work, int]] = queue.SimpleQueue()
        self._room = threading.Condition()
        self._short = 0

    @property
    def is_full(self) -> bool:
        """Whether who comes now must wait."""
        return self._work.qsize() >= self._most or self._bytes >= self._most_bytes

    @property
    def load(self) -> tuple[int, int]:
        """How many pieces wait, and the bytes in them."""
        return self._work.qsize(), self._bytes

    def put(self, work: Work, seconds: float, size: int = 0) -> bool:
        """Add a piece of work that holds `size` bytes; wait for room at most so long.  False when there
        was none."""
        if self.is_full and not self._wait_for_room(seconds):
            return False
        if size:
            with self._room:
                self._bytes += size
        self._work.put((work, size))
        return True

    def take(self, seconds: float) -> Work | None:
        """The next piece; None when there is none in that time."""
        try:
            work, size = self._work.get(timeout=seconds) if seconds else self._work.get_nowait()
        except queue.Empty:
            return None
        if self._short or size:
            with self._room:
                self._bytes -= size
                self._room.notify()
        return work

    def _wait_for_room(self, seconds: float) -> bool:
        with self._room:
            self._short += 1
            try:
                return self._room.wait_for(lambda: not self.is_full, seconds)
            finally:
                self._short -= 1
