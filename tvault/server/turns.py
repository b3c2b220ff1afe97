"""How much is in hand at once: the next ones wait a little, owner by owner; a flood is refused."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tvault.errors import VaultError

WAITING_REQUESTS: Final = 48
"""Requests that wait for a place, at most; each keeps a thread, and its body, meanwhile."""

WAIT_SECONDS: Final = 1.0
"""How long a request waits for a place: in a burst all come to their turn, and where the places stay
taken for longer, a client does better to ask another node."""

_PUSH_SECONDS: Final = 0.25
"""How often one that waits asks again for room to be made."""


class _Waiter:
    """One that waits: `turn` is released once it is decided whether it is `let_in`."""

    def __init__(self, owner: str, weight: int) -> None:
        self.owner = owner
        self.weight = weight
        self.let_in = False
        self.turn = threading.Lock()
        self.turn.acquire()


class Hold:
    """A share of what there is."""

    def __init__(self, turns: Turns, owner: str, weight: int) -> None:
        self._turns = turns
        self._owner = owner
        self.weight = weight

    def shrink(self, weight: int) -> None:
        """Give back all but `weight`, if it is more."""
        if weight < self.weight:
            self._turns._give_back(self._owner, self.weight - weight)  # noqa: SLF001
            self.weight = weight


class Turns:
    """`most` to hold in all, and `waiting` that wait for some.

    Who waits is served first come, first served among the requests of one owner, and the owners in turn.
    When too many wait, the last of the owner with the most of them is refused for one of an owner with
    fewer.  No owner holds so much that nothing is left for another: `spare` is what it must leave.
    """

    def __init__(self, most: int, waiting: int = WAITING_REQUESTS, spare: int = 0) -> None:
        self._most = most - spare
        self._free = self._total = most
        self._room = waiting
        self._count = 0
        self._held: dict[str, int] = {}
        self._waiting: dict[str, deque[_Waiter]] = {}
        self._lock = threading.Lock()

    @property
    def load(self) -> tuple[int, int]:
        """How much is held, and how many wait."""
        return self._total - self._free, self._count

    @contextmanager
    def one(
        self,
        owner: str = "",
        weight: int = 1,
        seconds: float = WAIT_SECONDS,
        push: Callable[[], None] | None = None,
    ) -> Iterator[Hold]:
        """Hold `weight`, or as much as one owner may.

        `push` is called when there is nothing free, and again now and then while it waits: it may make
        others give back.  Raises `VaultError` `overloaded` at once when too many wait already, and when
        not enough becomes free in `seconds`.
        """
        weight = min(weight, self._most)
        if not self._enter(owner, weight, seconds, push):
            raise VaultError("overloaded", "The node works on as many requests as it may; try again.")
        hold = Hold(self, owner, weight)
        try:
            yield hold
        finally:
            hold.shrink(0)

    def _enter(self, owner: str, weight: int, seconds: float, push: Callable[[], None] | None) -> bool:
        with self._lock:
            if not self._count and self._has(owner, weight):
                self._take(owner, weight)
                return True
            if self._count >= self._room and not self._turn_away_for(owner):
                return False
            waiter = _Waiter(owner, weight)
            self._waiting.setdefault(owner, deque()).append(waiter)
            self._count += 1
            self._serve()
        until = time.monotonic() + seconds
        pause = seconds if push is None else _PUSH_SECONDS
        is_waiting = not waiter.let_in
        while is_waiting:
            if push is not None:
                push()
            left = max(0.0, until - time.monotonic())
            is_waiting = not waiter.turn.acquire(timeout=min(left, pause)) and left > 0
        with self._lock:
            if waiter in self._waiting.get(owner, ()):
                self._leave(waiter)
                self._serve()  # it may have been in the way of lighter ones
            return waiter.let_in

    def _has(self, owner: str, weight: int) -> bool:
        return weight <= self._free and self._held.get(owner, 0) + weight <= self._most

    def _take(self, owner: str, weight: int) -> None:
        self._free -= weight
        self._held[owner] = self._held.get(owner, 0) + weight

    def _leave(self, waiter: _Waiter) -> None:
        queue = self._waiting[waiter.owner]
        queue.remove(waiter)
        if not queue:
            del self._waiting[waiter.owner]
        self._count -= 1

    def _turn_away_for(self, owner: str) -> bool:
        """Make room for one of `owner` among those that wait."""
        longest = max(self._waiting.values(), key=len, default=None)
        if longest is None or len(longest) <= len(self._waiting.get(owner, ())) + 1:
            return False
        last = longest[-1]
        self._leave(last)
        last.turn.release()
        return True

    def _give_back(self, owner: str, weight: int) -> None:
        with self._lock:
            self._free += weight
            self._held[owner] -= weight
            if not self._held[owner]:
                del self._held[owner]
            if self._count:
                self._serve()

    def _serve(self) -> None:
        """Let in whose turn it is."""
        while (first := self._first()) is not None:
            self._leave(first)
            self._take(first.owner, first.weight)
            first.let_in = True
            first.turn.release()
            if first.owner in self._waiting:  # behind the other owners
                self._waiting[first.owner] = self._waiting.pop(first.owner)

    def _first(self) -> _Waiter | None:
        """The next to be let in, if there is room: none that comes later is before it, but for those of
        other owners when its own holds too much to take more."""
        for owner, queue in self._waiting.items():
            if self._held.get(owner, 0) + queue[0].weight <= self._most:
                return queue[0] if queue[0].weight <= self._free else None
        return None
