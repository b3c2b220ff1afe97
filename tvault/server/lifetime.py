"""From the start of a node to its end: signals, the hand-over, and beginning anew on doubtful files."""

from __future__ import annotations

import logging
import os
import queue
import signal
import time
from collections.abc import Callable
from typing import Literal, Protocol

from tvault.errors import VaultError

LEAVE_SECONDS = 2.0
"""How long a node that was asked to end may take to hand over."""

MOST_BEGINNINGS = 5
BEGINNINGS_SECONDS = 60.0
"""A node whose files are found damaged more often than that in this time stops: its disk is broken."""

HASTY_EXIT = 128 + signal.SIGTERM
"""How the process ends when it is asked to a second time."""

Word = Literal["asked", "left", "ended"]
"""What the main thread hears: a signal asks the node to end; nothing relies on it any more; it has
stopped by itself."""

_log = logging.getLogger("tvault.serve")


class Life(Protocol):
    """One life of a node, from the opening of its folder on."""

    @property
    def failure(self) -> str | None:
        """Why it has stopped by itself."""

    @property
    def is_doubtful(self) -> bool:
        """Whether that is because its files are not to be trusted: another life begins without them."""

    def start(self) -> None:
        """Take part and answer clients."""

    def leave(self) -> None:
        """Hand over; `left` is told once nothing relies on this node any more."""

    def note_end(self, why: str) -> None:
        """Tell people."""

    def close(self) -> None:
        """End: requests in flight are still answered."""


class Lifetime:
    """Runs the lives of one node.  `begin` opens one; it is given what to tell a `Word` to."""

    def __init__(
        self,
        begin: Callable[[Callable[[Word], None]], Life],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._begin = begin
        self._clock = clock
        self._words: queue.SimpleQueue[Word] = queue.SimpleQueue()  # signal handlers may put into it
        self._asked = 0
        self._begun: list[float] = []

    def heed_signals(self) -> None:
        """Be asked to end by SIGTERM or SIGINT.  A second one ends the process where it stands, which
        loses nothing: all that was acknowledged is on the disk.  Main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.ask_to_end())

    def ask_to_end(self) -> None:
        """Hand over and end."""
        self._asked += 1
        if self._asked > 1:
            os._exit(HASTY_EXIT)
        self._words.put("asked")

    def run(self) -> None:
        """Live until asked to end.  Raises `VaultError` when a life cannot begin, or must end."""
        while not self._asked:
            words = self._words = queue.SimpleQueue()
            life = self._begin(words.put)
            try:
                life.start()
                if not self._asked:
                    self._wait(life, words)
                life.note_end(life.failure or "asked to stop")
            finally:
                life.close()
            if life.failure is not None and not (life.is_doubtful and self._may_begin_anew()):
                raise VaultError("internal", f"The node stopped: {life.failure}")

    def _wait(self, life: Life, words: queue.SimpleQueue[Word]) -> None:
        if words.get() == "ended":
            return
        life.leave()
        end = self._clock() + LEAVE_SECONDS
        try:
            while words.get(timeout=max(0.0, end - self._clock())) == "asked":
                pass
        except queue.Empty:
            _log.warning("nobody took over within %g s", LEAVE_SECONDS)

    def _may_begin_anew(self) -> bool:
        now = self._clock()
        self._begun = [at for at in self._begun if now - at < BEGINNINGS_SECONDS] + [now]
        if len(self._begun) > MOST_BEGINNINGS:
            _log.error("files were damaged %d times in a row: the disk is broken", len(self._begun))
            return False
        _log.warning("the node sets its files aside and begins anew")
        return True
