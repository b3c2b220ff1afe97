"""How far a file has come, on one line of a terminal."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import BinaryIO

FIRST_SECONDS = 0.5
"""What is done sooner shows nothing."""

NEXT_SECONDS = 0.2
USUAL_COLUMNS = 80
"""How wide a terminal is taken to be that does not tell."""

LONGEST_BAR = 40
SHORTEST_BAR = 5

BEGINNING_OF_LINE = "\r\x1b[K"
"""Goes back to the beginning of the line and clears it."""


class Progress:
    """A bar, how much is done, how fast, and how long the rest takes, as far as they are known.

    It is silent when stderr is no terminal, and when the output goes to a terminal, which it would
    break into pieces (`is_in_the_way`).
    """

    def __init__(self, source: BinaryIO, *, is_in_the_way: bool) -> None:
        self._size = _size(source)
        self._is_shown = sys.stderr.isatty() and not is_in_the_way and os.environ.get("TERM") != "dumb"
        self._begin = time.monotonic()
        self._next = self._begin + FIRST_SECONDS
        self._records = 0
        self._has_line = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._has_line:
            seconds = time.monotonic() - self._begin
            done = f"{self._records:,} records in {seconds:,.1f} s, {self._rate(seconds):,.0f}/s\n"
            self._write(BEGINNING_OF_LINE + (done if error is None else ""))

    def __call__(self, done_bytes: int, records: int) -> None:
        """Note that the output holds so many records, from so many bytes of the input."""
        self._records = records
        now = time.monotonic()
        if self._is_shown and now >= self._next:
            self._next = now + NEXT_SECONDS
            self._has_line = True
            self._write(BEGINNING_OF_LINE + self._line(done_bytes, now - self._begin))

    def _line(self, done_bytes: int, seconds: float) -> str:
        # A sign in the last column would make some terminals begin a new line.
        columns = _columns() - 1
        parts = [f"{self._records:,} records", f"{self._rate(seconds):,.0f}/s"]
        if not self._size:
            return "  ".join(parts)[:columns]
        done = min(done_bytes, self._size)  # a file may grow
        parts.insert(0, f"{100 * done // self._size:3} %")
        if done:
            parts.append(f"{_clock(seconds * (self._size - done) / done)} left")
        text = "  ".join(parts)
        bar = min(LONGEST_BAR, columns - len(text) - len("[] "))
        if bar >= SHORTEST_BAR:
            filled = bar * done // self._size
            text = f"[{'#' * filled}{'-' * (bar - filled)}] {text}"
        return text[:columns]

    def _rate(self, seconds: float) -> float:
        return self._records / max(seconds, 0.001)

    def _write(self, text: str) -> None:
        """A terminal that is gone ends the display, not the work."""
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            self._is_shown = self._has_line = False


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or USUAL_COLUMNS
    except OSError:
        return USUAL_COLUMNS


def _size(source: BinaryIO) -> int:
    """The size of a file, 0 for a pipe."""
    try:
        return os.fstat(source.fileno()).st_size
    except OSError:
        return 0
