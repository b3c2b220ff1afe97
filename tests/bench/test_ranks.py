"""The rank test against published figures, and against all ways to deal the figures out."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from random import Random
from statistics import mean, pvariance

import pytest

from tests.bench.ranks import mann_whitney, variance_of_u

TIED = [1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 5.0, 8.0]


def test_a_published_example_comes_out_as_published() -> None:
    """Ages at diagnosis (the example in the documentation of scipy.stats.mannwhitneyu)."""
    u, p = mann_whitney([19, 22, 16, 29, 24], [20, 11, 17, 12])
    assert u == 17
    assert p == pytest.approx(0.11134688653314041, rel=1e-12)


def test_u_and_its_variance_are_those_over_all_ways_to_deal_the_figures_out() -> None:
    dealt = []
    for places in combinations(range(len(TIED)), 3):
        one = [TIED[at] for at in places]
        two = [figure for at, figure in enumerate(TIED) if at not in places]
        u, _ = mann_whitney(one, two)
        assert u == sum((a > b) + (a == b) / 2 for a in one for b in two)
        dealt.append(u)
    assert mean(dealt) == pytest.approx(3 * 5 / 2)
    assert pvariance(dealt) == pytest.approx(variance_of_u(3, 5, list(Counter(TIED).values())))


def test_equal_samples_do_not_differ_and_other_ones_do() -> None:
    assert mann_whitney([1.0] * 50, [1.0] * 50)[1] == 1.0
    dice = Random(4)
    one, two = ([dice.gauss(0, 1) for _ in range(2000)] for _ in range(2))
    assert mann_whitney(one, two)[1] > 0.001
    assert mann_whitney(one, [figure + 0.2 for figure in two])[1] < 1e-6


def test_the_probability_holds_what_it_says() -> None:
    dice = Random(5)
    samples = [[round(dice.gauss(5, 1), 1) for _ in range(60)] for _ in range(2000)]
    below = sum(mann_whitney(one, two)[1] < 0.05 for one, two in zip(*[iter(samples)] * 2, strict=True))
    assert 30 <= below <= 70
