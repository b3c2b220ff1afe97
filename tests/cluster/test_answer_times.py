"""The time of an answer tells nothing of another owner, as far as a machine with other work can show it.

`make bench ONLY=isolation` measures the same with more answers and narrow bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.bench.isolation import (
    UNKNOWN,
    UNKNOWN_KEY,
    Times,
    filled,
    of_missing_tokens,
    of_wrong_keys,
)
from tests.cluster.cluster import Cluster

ANSWERS = 150
STORED = 2_000
TRIES = 4
MEDIAN_RATIO = 1.25


def assert_alike(measure: Callable[[], Times], base: str) -> None:
    """A kind that takes longer does so each time; a busy machine makes it another one each time."""
    suspects: set[str] | None = None
    for _ in range(TRIES):
        times = measure()
        far = {kind for kind in times.of if times.ratio(kind, base) > MEDIAN_RATIO}
        suspects = far if suspects is None else suspects & far
        if not suspects:
            return
    raise AssertionError(f"answers to these take another time than to what nobody has: {suspects}")


def test_the_time_of_an_answer_does_not_tell_why_there_is_no_value_or_no_owner(tmp_path: Path) -> None:
    with Cluster(tmp_path / "vault") as cluster:
        cluster.start()
        cluster.wait_until_whole()
        missing = filled(cluster, STORED)
        url = cluster.nodes[cluster.by_role("middle")]
        key = cluster.keys["B"]
        assert_alike(lambda: of_missing_tokens(url, key, missing, ANSWERS), UNKNOWN)
        assert_alike(lambda: of_wrong_keys(url, key, ANSWERS), UNKNOWN_KEY)
