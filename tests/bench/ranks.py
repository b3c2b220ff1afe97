"""Whether two samples may come from one distribution: the rank test of Mann and Whitney (1947)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate


def mann_whitney(one: Sequence[float], two: Sequence[float]) -> tuple[float, float]:
    """U of `one` (in how many pairs it has the larger figure, a tie being half), and the two-sided
    probability of a U as far from the middle or farther when both are of one distribution: by the normal
    approximation, with its corrections for ties and for continuity.
    """
    n1, n2 = len(one), len(two)
    counts = Counter(one) + Counter(two)
    values = sorted(counts)
    ends = accumulate(counts[value] for value in values)
    rank = {
        value: end - (counts[value] - 1) / 2 for value, end in zip(values, ends, strict=True)
    }  # ties share the middle of the ranks that they take
    u = sum(rank[value] for value in one) - n1 * (n1 + 1) / 2
    deviation = math.sqrt(variance_of_u(n1, n2, list(counts.values())))
    away = abs(u - n1 * n2 / 2) - 0.5
    if deviation == 0 or away <= 0:
        return u, 1.0
    return u, math.erfc(away / deviation / math.sqrt(2))


def variance_of_u(n1: int, n2: int, ties: Sequence[int]) -> float:
    """The variance of U for samples of these sizes, in which so many figures each are equal."""
    n = n1 + n2
    tied = sum(count**3 - count for count in ties) / (n * (n - 1))
    return n1 * n2 / 12 * (n + 1 - tied)
