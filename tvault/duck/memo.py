"""Values that were found a moment ago, and how many tokens were not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

BYTES_OF_A_MAPPING = 256
"""What a token and a short value take in memory, with their places in a dictionary."""

MOST_COUNTED = 100_000
"""How many different tokens that are not found are told apart."""


class Memo:
    """The values of tokens.  What it holds is always right: a token never gets another value.

    It holds at most about `most_bytes` of memory, and no value longer than `seconds` after it was last
    put there, as far as somebody looks: older ones go when it is next used.  Safe for many threads.
    """

    def __init__(self, most_bytes: int, seconds: float, clock: Callable[[], float]) -> None:
        self._half_bytes = most_bytes // 2
        self._half_seconds = seconds / 2
        self._clock = clock
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        # Two generations: when the young one is full or of half the age, it becomes the old one.
        self._young: dict[str, str] = {}
        self._old: dict[str, str] = {}
        self._bytes = 0
        self._began = self._clock()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def known(self, tokens: Iterable[str]) -> list[str | None]:
        """The values of `tokens` as far as they are here, None for the others."""
        with self._lock:
            self._age()
            young, old = self._young, self._old
        if not old:
            return [*map(young.get, tokens)]
        found = []
        for token in tokens:
            value = young.get(token)
            found.append(old.get(token) if value is None else value)
        return found

    def add(self, tokens: Sequence[str], values: Sequence[str | None]) -> None:
        """Keep the values that are not None."""
        with self._lock:
            self._age()
            for token, value in zip(tokens, values, strict=True):
                if value is None:
                    continue
                size = BYTES_OF_A_MAPPING + 4 * len(value)
                if size > self._half_bytes:
                    continue
                if self._bytes + size > self._half_bytes:
                    self._turn()
                self._young[token] = value
                self._bytes += size

    def _age(self) -> None:
        passed = self._clock() - self._began
        if passed >= self._half_seconds:
            self._turn()
            if passed >= 2 * self._half_seconds:
                self._old = {}

    def _turn(self) -> None:
        # New objects: who looks into the others at the moment goes on undisturbed.
        self._old, self._young = self._young, {}
        self._bytes = 0
        self._began = self._clock()


class Tally:
    """How many different texts were found to be no token of a value.  Safe for many threads.

    It keeps none of them: what is no token may be a value.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marks: set[int] = set()

    def add(self, texts: Iterable[str]) -> bool:
        """Count the texts; whether they are the first ones."""
        with self._lock:
            is_empty = not self._marks
            for text in texts:
                if len(self._marks) >= MOST_COUNTED:
                    break
                self._marks.add(hash(text))
            return is_empty and bool(self._marks)

    @property
    def count(self) -> int:
        """How many there are, `MOST_COUNTED` at most."""
        return len(self._marks)

    def take(self) -> int:
        """How many there are; from now on they are counted anew."""
        with self._lock:
            count = len(self._marks)
            self._marks = set()
            return count


def as_count(number: int) -> str:
    """A count of a `Tally` for people."""
    return f"{number} or more" if number >= MOST_COUNTED else str(number)
