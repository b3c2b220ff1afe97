"""The settings of the C library's allocator, seen from a process of many threads."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable

import pytest

THREADS = """
import ctypes, threading
from tvault.server.allocator import keep_memory_small
{call}
together = threading.Barrier(8)
def work():
    kept = [bytes(10_000) for _ in range(100)]
    together.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
ctypes.CDLL(None).malloc_stats()
"""


def arenas(call: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", THREADS.format(call=call)], capture_output=True, text=True, check=True
    )
    return done.stderr.count("Arena ")


@pytest.mark.parametrize(("call", "is_small"), [("keep_memory_small()", True), ("", False)])
def test_many_threads_take_their_memory_from_two_places(
    call: str, not_tried: Callable[[str], None], *, is_small: bool
) -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_stats"):
        not_tried("the C library is not glibc: its allocator keeps its defaults")
        return
    assert (arenas(call) <= 2) is is_small
