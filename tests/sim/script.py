"""Code that is written for threads, run in a world where nobody can wait."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")
Steps = Generator[Any, Any, Any]


class Script:
    """Runs code from its beginning again and again, each time with the answers it got so far, until it
    comes to its end; between two runs the world goes on.

    The code must do nothing but ask `now` and `later`, and ask the same again when it is told the same.
    """

    def __init__(self) -> None:
        self._told: list[tuple[Any, Exception | None]] = []
        self._at = 0

    def run(self, code: Callable[[], Any]) -> Steps:
        """What the code returns, or raises."""
        while True:
            self._at = 0
            try:
                return code()
            except _Asks as asks:
                wait = asks.wait
            try:
                self._told.append(((yield from wait()), None))
            except Exception as error:  # noqa: BLE001  whatever it is, it is the code's to see
                self._told.append((None, error))

    def now(self, tell: Callable[[], T]) -> T:
        """What `tell` says when the code comes here for the first time."""
        if self._at == len(self._told):
            try:
                self._told.append((tell(), None))
            except Exception as error:  # noqa: BLE001  as above
                self._told.append((None, error))
        answer: T = self._next()
        return answer

    def later(self, wait: Callable[[], Steps]) -> Any:
        """What `wait` comes to."""
        if self._at == len(self._told):
            raise _Asks(wait)
        return self._next()

    def _next(self) -> Any:
        answer, error = self._told[self._at]
        self._at += 1
        if error is not None:
            raise error
        return answer


class _Asks(BaseException):
    """The code has come to something that it must wait for."""

    def __init__(self, wait: Callable[[], Steps]) -> None:
        super().__init__()
        self.wait = wait
