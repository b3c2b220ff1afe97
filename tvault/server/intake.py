"""The bodies of requests: how many are taken in at once, how fast they must come, and what they weigh.

What came together with its head costs nothing here.  Any other body takes a thread while it comes, so
that these are bounded, and of those that come slowly one loses its place to one that comes later.  So
are their bytes, until they are answered; and what a body becomes when it is decoded, which is far more
than its bytes when it holds little but brackets.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from tvault.errors import VaultError
from tvault.server.streams import SLOW_BYTES, SMALL_BODY, Reader
from tvault.server.turns import Hold, Turns

READING_REQUESTS: Final = 32
"""Bodies that are coming at once, at most; each keeps a thread."""

WAITING_BODIES: Final = 16
"""Requests whose bodies are not taken in yet, at most; each keeps a thread."""

BODIES_IN_HAND: Final = 4
"""How many bodies of the greatest length are in memory at once, at most, or as many bytes of others."""

GRACE_SECONDS: Final = 0.25
"""How long a body comes before it may lose its place, if it comes slower than `SLOW_BYTES` a second."""

BYTES_A_MARK: Final = 8
"""A body may have as many opening brackets, commas and colons as one in so many bytes of the longest
body."""

PLACE_BYTES: Final = 16 * 1024 * 1024
"""How much memory goes with one place of those that are worked on: a request that takes more, decoded,
takes more places."""

_DECODED_MARK_BYTES: Final = 96
"""What the decoded parts of a body take for each mark in it, about (measured: 37 to 109)."""

_COUNTED_BYTES: Final = 512 * 1024
"""A shorter body fits in the memory of one place, about, whatever is in it (measured: 35 bytes for one
of `[[]],[[]],`)."""

_MARKS: Final = b",[{:"


@dataclass(eq=False)
class _Coming:
    """A body that is coming, how to end that, and whether somebody did."""

    owner: str
    stream: Reader
    weight: int
    hang_up: Callable[[], None]
    began: float = field(default_factory=time.monotonic)
    is_given_up: bool = False

    def rate(self, now: float) -> float:
        """Bytes a second until now."""
        return self.stream.taken / (now - self.began)


class Intake:
    """The bodies in hand of one port, none longer than `body_bytes`."""

    def __init__(self, body_bytes: int) -> None:
        self._longest = body_bytes
        total = BODIES_IN_HAND * max(body_bytes, SMALL_BODY)
        self._least = max(1, total // READING_REQUESTS)
        self._turns = Turns(total, WAITING_BODIES, spare=total // BODIES_IN_HAND)
        self._coming: set[_Coming] = set()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Requests whose body is not taken in yet."""
        return self._turns.load[1]

    @contextmanager
    def body(
        self,
        owner: str,
        length: int | None,
        stream: Reader,
        read: Callable[[], bytes],
        hang_up: Callable[[], None],
    ) -> Iterator[bytes]:
        """The body of a request, of `length` bytes if that is known, which `read` reads from `stream`.

        Raises what `read` does, and `VaultError` `overloaded` when too many bodies are coming, or when
        this one came too slowly to keep its place.
        """
        if length is not None and length <= stream.buffered:
            yield read()
            return
        size = self._longest if length is None else length
        with self._turns.one(
            owner, max(size, self._least), push=partial(self._make_room, owner)
        ) as hold:
            yield self._take_in(_Coming(owner, stream, hold.weight, hang_up), hold, read)

    def _take_in(self, coming: _Coming, hold: Hold, read: Callable[[], bytes]) -> bytes:
        stream = coming.stream
        stream.hasten()
        with self._lock:
            self._coming.add(coming)
        try:
            body = read()
        except VaultError:
            if coming.is_given_up:
                text = "The body came more slowly than those of others who wait; try again."
                raise VaultError("overloaded", text) from None
            raise
        finally:
            with self._lock:
                self._coming.discard(coming)
            stream.relax()
        hold.shrink(len(body))
        return body

    def _make_room(self, owner: str) -> None:
        """Give up the slowest body, once it had its time and if it is slow at all: one of `owner`, or of
        another that holds more.  What comes at a fair rate keeps its place, or many would push each
        other out for ever."""
        now = time.monotonic()
        with self._lock:
            held: Counter[str] = Counter()
            for coming in self._coming:
                held[coming.owner] += coming.weight
            slow = [
                coming
                for coming in self._coming
                if now - coming.began > GRACE_SECONDS
                and coming.rate(now) < SLOW_BYTES
                and (coming.owner == owner or held[coming.owner] > held[owner])
            ]
            if not slow:
                return
            slowest = min(slow, key=lambda coming: coming.rate(now))
            self._coming.discard(slowest)
            slowest.is_given_up = True
            slowest.hang_up()


def places_of(body: bytes, body_bytes: int) -> int:
    """How many places a request with this body takes.

    Raises `VaultError` `too_large` when decoded it would be too much for a body of `body_bytes`.
    """
    if len(body) <= _COUNTED_BYTES:
        return 1
    marks = len(body) - len(body.translate(None, _MARKS))
    limit = max(body_bytes, _COUNTED_BYTES) // BYTES_A_MARK
    if marks > limit:
        members: dict[str, Any] = {"limit": limit, "limit_name": "marks"}
        text = f"The body holds more than {limit} opening brackets, commas and colons."
        raise VaultError("too_large", text, members=members)
    return 1 + (len(body) + marks * _DECODED_MARK_BYTES) // PLACE_BYTES
