"""Lines for the log of which a crowd of clients could cause one each: each text once in a while."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

SECONDS: Final = 10.0
"""How long the same text is not told again."""

_MOST_TEXTS: Final = 100


class Seldom:
    """Tells a logger each text at most once in `seconds`, and then how often it was meant to."""

    def __init__(self, log: logging.Logger, seconds: float = SECONDS) -> None:
        self._log = log
        self._seconds = seconds
        self._told: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def info(self, text: str) -> None:
        """Tell `text`, which must not quote what a client sent."""
        self.tell(logging.INFO, text)

    def tell(self, level: int, text: str) -> None:
        """Tell `text` at a level."""
        now = time.monotonic()
        with self._lock:
            last, untold = self._told.get(text, (-self._seconds, 0))
            if now - last < self._seconds:
                self._told[text] = last, untold + 1
                return
            if len(self._told) >= _MOST_TEXTS:
                self._told.clear()
            self._told[text] = now, 0
        self._log.log(level, "%s%s", text, f" (and {untold} times before)" if untold else "")
