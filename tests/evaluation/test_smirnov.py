"""The test of Kolmogorov and Smirnov: scipy's figures, and those it warns about."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from napari_nanoseg.evaluation.smirnov import MOST_EXACT, smirnov


@pytest.mark.parametrize(("n", "m", "shift"), [(1, 1, 9), (3, 8, 0.5), (40, 40, 0.6), (61, 200, 0.3), (900, 501, 0.05)])
def test_it_is_scipys(n, m, shift):
    rng = np.random.default_rng(n)
    one, other = rng.normal(0, 1, n), rng.normal(shift, 1, m)
    expected = ks_2samp(one, other)
    assert smirnov(one, other) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-8, abs=1e-12)
    assert smirnov(other, one) == pytest.approx(smirnov(one, other))


@pytest.mark.parametrize(("n", "m"), [(3, 3), (2, 5), (4, 3)])
def test_the_p_value_counts_orders(n, m):
    places = np.arange(n + m, dtype=float)
    orders = [(places[list(first)], np.delete(places, first)) for first in combinations(range(n + m), n)]
    found = np.array([smirnov(*order) for order in orders])
    for statistic, p_value in found:
        assert p_value == pytest.approx((found[:, 0] >= statistic - 1e-12).mean())


def test_one_place_apart_is_nothing_and_nobody_warns():
    one = np.arange(7.0)
    assert smirnov(one, one + 0.5) == pytest.approx((1 / 7, 1))
    assert smirnov(one, one) == (0, 1)


def test_large_samples_are_approximated():
    rng = np.random.default_rng(0)
    one, other = rng.normal(0, 1, MOST_EXACT + 1), rng.normal(0.02, 1, 400)
    assert smirnov(one, other)[1] == pytest.approx(ks_2samp(one, other, method="asymp").pvalue)
