"""Several requests at a time, which whoever waits for them can give up."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from tvault.errors import VaultError

A = TypeVar("A")
B = TypeVar("B")

_Outcome = tuple[int, "list[B]", "BaseException | None"]

_NOBODY = -1
"""The piece of an outcome that says that the work was given up."""

LATE_SECONDS = 1.0
"""For so long after a stop a call may still come from the query that was stopped: a thread of DuckDB had
looked for an interrupt just before."""

LATE_PATIENCE_SECONDS = 2.0
"""How long such a call waits for an answer.  It may as well be the first of the next query."""


class Hands:
    """Does work in threads of its own, up to `count` pieces at a time, whoever they are for.

    DuckDB's threads wait here for the answers of nodes, and not in a socket: so a query ends at once
    when it is stopped.  What was asked of a node goes on and is forgotten.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = threading.Semaphore(count)
        self._inboxes: dict[int, SimpleQueue[_Outcome[Any]]] = {}
        self._stopped_at = -math.inf
        self._here = threading.local()

    @contextlib.contextmanager
    def may_be_stopped(self) -> Iterator[None]:
        """From here on `stop` ends what this thread waits for, or will wait for, in this block.  If it
        was called a moment earlier, that ends when no answer comes soon."""
        # Its put() may be called from the handler of a signal, whatever lock is held just then.
        inbox: SimpleQueue[_Outcome[Any]] = SimpleQueue()
        self._inboxes[id(inbox)] = self._here.inbox = inbox
        # Looked at once the inbox is there: a stop is found in one of the two.
        late = time.monotonic() - self._stopped_at < LATE_SECONDS
        self._here.patience = LATE_PATIENCE_SECONDS if late else None
        try:
            yield
        finally:
            del self._inboxes[id(inbox)], self._here.inbox, self._here.patience

    def map(self, work: Callable[[A], B], pieces: Iterable[A]) -> list[B]:
        """What `work` makes of each piece, in order.  The first error that it raises is raised here;
        `VaultError` when the work was given up."""
        inbox: SimpleQueue[_Outcome[B]] | None = getattr(self._here, "inbox", None)
        if inbox is None:
            with self.may_be_stopped():
                return self.map(work, pieces)
        if not inbox.empty():
            raise given_up()
        listed = [*pieces]
        remaining = deque(enumerate(listed))
        try:
            for _ in range(min(self._count, len(listed))):
                # Daemons: a process that ends does not wait for a node that stands still.
                threading.Thread(
                    target=_labour, args=(self._free, work, remaining, inbox), daemon=True
                ).start()
            return _gathered(inbox, len(listed), self._here.patience)
        finally:
            remaining.clear()

    def stop(self) -> None:
        """Let everything that waits now, or is about to, fail at once.  May be called from the handler
        of a signal."""
        self._stopped_at = time.monotonic()
        # What is given up may keep its threads for as long as a node says nothing.
        self._free = threading.Semaphore(self._count)
        for inbox in [*self._inboxes.values()]:
            inbox.put((_NOBODY, [], given_up()))


def given_up() -> VaultError:
    """The refusal when a query was stopped."""
    return VaultError("unreachable", "the query was interrupted while it waited for the vault")


def _labour(
    free: threading.Semaphore,
    work: Callable[[A], B],
    remaining: deque[tuple[int, A]],
    inbox: SimpleQueue[_Outcome[B]],
) -> None:
    while True:
        with free:
            try:
                at, piece = remaining.popleft()
            except IndexError:
                return
            try:
                inbox.put((at, [work(piece)], None))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                inbox.put((at, [], error))
                return


def _gathered(inbox: SimpleQueue[_Outcome[B]], count: int, patience: float | None) -> list[B]:
    """All outcomes in order.  `patience` is how long to wait for the next one, in seconds."""
    found: list[list[B]] = [[] for _ in range(count)]
    for _ in range(count):
        try:
            at, made, error = inbox.get(timeout=patience)
        except Empty:
            raise given_up() from None
        if error is not None:
            raise error
        found[at].extend(made)
    return [one for made in found for one in made]
