"""Pieces of a file worked on several at once, with what became of each in the order of the file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol, TypeVar

MOST_BYTES_IN_HAND = 24 * 1024 * 1024
"""Bytes of the file that are in hand before reading waits; what a piece takes in memory is a few times
its bytes."""

LOOK_SECONDS = 0.1
"""How often the main thread looks up while it waits.  A signal that comes just as it begins to wait does
not wake it, and is heeded when it looks."""


class Piece(Protocol):
    """A piece of a file."""

    @property
    def end(self) -> int:
        """The file's bytes up to the end of this piece."""
        ...


P = TypeVar("P", bound=Piece)
D = TypeVar("D")


def in_order(pieces: Iterator[P], work: Callable[[P], D], jobs: int) -> Iterator[tuple[P, D]]:
    """Each piece with what `work` made of it, in the order of the pieces, with `jobs` of them under way
    and as many waiting to be.  Raises what `work` raises.

    Memory does not grow with the file: at most `2 * jobs` pieces are in hand, and of large ones fewer.
    """
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="tvault-batch")
    waiting: deque[tuple[P, Future[D]]] = deque()
    given_out = 0  # bytes of the file
    try:
        for piece in pieces:
            waiting.append((piece, pool.submit(work, piece)))
            while waiting and (
                len(waiting) >= 2 * jobs
                or piece.end - given_out > MOST_BYTES_IN_HAND
                or waiting[0][1].done()
            ):
                done, result = waiting.popleft()
                yield done, _awaited(result)
                given_out = done.end
                del done, result  # they would stay while the next piece is read
            del piece
        while waiting:
            done, result = waiting.popleft()
            yield done, _awaited(result)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _awaited(result: Future[D]) -> D:
    while not result.done():
        wait([result], LOOK_SECONDS)
    return result.result()
