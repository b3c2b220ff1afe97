"""Keeps what clients of a real cluster ask and are told, in a form that `check` can judge."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.history.operations import (
    AnyAsked,
    Detokenize,
    Operation,
    ReadEpoch,
    Rotate,
    Tokenize,
)
from tests.history.secret_operations import SECRET_KINDS

A = TypeVar("A", Tokenize, Detokenize, ReadEpoch, Rotate)
B = TypeVar("B", bound=AnyAsked)


class Unanswered(Exception):
    """Nobody knows what became of the call: no answer, half of one, or one that leaves it open."""


class Refused(Exception):
    """The answer is certain that the call did and will do nothing."""


@dataclass(frozen=True)
class Tally:
    """How many calls of a kind ended how."""

    acknowledged: int = 0
    unknown: int = 0
    refused: int = 0


class Recorder:
    """Wraps calls and notes when they began, when they ended and how.  Safe for many threads.

    Times are those of `clock`, in seconds; all clients of a history must share it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._operations: list[Operation] = []
        self._refused: Counter[str] = Counter()

    def call(self, client: str, node: str, asked: B, ask: Callable[[], B]) -> B | None:
        """What `ask` returns: `asked` with its result; or None when it raised `Unanswered` or `Refused`.

        Whatever else it raises goes on to the caller; the call is kept as one that may have had effect.
        """
        answered = self.call_of_several(client, node, (asked,), lambda: (ask(),))
        return None if answered is None else answered[0]

    def call_of_several(
        self, client: str, node: str, asked: Sequence[B], ask: Callable[[], Sequence[B]]
    ) -> Sequence[B] | None:
        """As `call`, of one call that does the work of several: `asked` are those that it may have done,
        each of them or not, when nobody knows; `ask` returns those that it did.
        """
        assert all(what.result is None for what in asked), "what is asked has no result yet"
        invoked = self._clock()
        try:
            answered = ask()
        except Refused:
            with self._lock:
                self._refused[asked[0].kind] += 1
            return None
        except Unanswered:
            self._keep(client, node, invoked, None, asked)
            return None
        except BaseException:
            self._keep(client, node, invoked, None, asked)
            raise
        self._keep(client, node, invoked, self._clock(), answered)
        return answered

    def _keep(
        self, client: str, node: str, invoked: float, returned: float | None, whats: Sequence[AnyAsked]
    ) -> None:
        with self._lock:
            self._operations += [Operation(client, node, invoked, returned, what) for what in whats]

    def operations(self) -> list[Operation]:
        """All that is over by now, in the order in which it ended."""
        with self._lock:
            return list(self._operations)

    def summary(self) -> dict[str, Tally]:
        """The tally of each kind of call (`tokenize`, `detokenize`, `miss`, `epoch`, `rotate`, and those
        about secrets that there were); of `miss`, only how many were acknowledged."""
        with self._lock:
            return tallies(self._operations, self._refused)


def kind_of(what: AnyAsked) -> str:
    """The kind under which a call is counted: a detokenization that missed something is a `miss`."""
    return "miss" if isinstance(what, Detokenize) and what.misses() else what.kind


def tallies(operations: Sequence[Operation], refused: Counter[str]) -> dict[str, Tally]:
    """The tally of each kind of call in a history; all kinds of calls about tokens are named."""
    acknowledged: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for operation in operations:
        counter = unknown if operation.returned is None else acknowledged
        counter[kind_of(operation.what)] += 1
    met = acknowledged.keys() | unknown.keys() | refused.keys()
    kinds = ["tokenize", "detokenize", "miss", "epoch", "rotate"]
    kinds += [kind for kind in SECRET_KINDS if kind in met]
    return {kind: Tally(acknowledged[kind], unknown[kind], refused[kind]) for kind in kinds}
