"""How the C library hands out memory: by default a process of many threads keeps what was freed."""

from __future__ import annotations

import ctypes
from typing import Final

_ARENA_MAX: Final = -8  # names and numbers of glibc's <malloc.h>
_MMAP_THRESHOLD: Final = -3

ARENAS: Final = 2
"""Places from which memory is taken.  By default there are eight for each core, and each of a node's
many threads would leave what it freed in one of its own."""

MAPPED_BYTES: Final = 1024 * 1024
"""A piece of so many bytes or more is a mapping of its own, given back whole.  By default that grows
with the pieces that were freed, and the bodies of large requests would leave holes behind."""


def keep_memory_small() -> None:
    """Set both, before other threads begin.  Does nothing where the C library is another one."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, ARENAS)
        mallopt(_MMAP_THRESHOLD, MAPPED_BYTES)
