"""How much is tried: the same few examples in each run of the tests, or ever new ones, as many as asked.

`make fuzz EXAMPLES=10000` sets `TVAULT_FUZZ_EXAMPLES`.
"""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, settings

EXAMPLES: Final = int(os.environ.get("TVAULT_FUZZ_EXAMPLES", "0"))


def fuzzed(examples: int, *, share: int = 1) -> settings:
    """So many examples in a usual run; in a long one a `share`th of what is asked for."""
    return settings(
        max_examples=max(EXAMPLES // share, 1) if EXAMPLES else examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
