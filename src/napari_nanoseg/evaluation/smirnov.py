"""Kolmogorov's and Smirnov's test of two samples.

scipy's ``ks_2samp`` gives up its exact p-value with a warning where rounding takes it past 1, as for two samples of
seven that differ by one place.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MOST_EXACT = 10_000
"""Values of the larger sample up to which the p-value is exact: 0.7 s for two samples of 10,000."""


def smirnov(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """Largest difference of the cumulative distributions of two samples, and its two-sided p-value.

    The p-value is the share of all orders of the values in which the difference is at least as large, counted as paths
    on a lattice (J. L. Hodges, Ark. Mat. 3, 469 (1958)); for larger samples that of one sample of n m / (n + m) values.
    Samples are taken as independent; equal values make it too large.

    Parameters
    ----------
    one, other : float64 array, shape (N,) and (M,)
        At least one value each.
    """
    from scipy.stats import kstwo

    n, m = len(one), len(other)
    values = np.concatenate((one, other))
    places = [np.searchsorted(np.sort(side), values, side="right") for side in (one, other)]
    steps = int(np.abs(places[0] * m - places[1] * n).max())
    if steps == 0:
        return 0.0, 1.0
    statistic = steps / (n * m)
    if max(n, m) > MOST_EXACT:
        return statistic, float(kstwo.sf(statistic, round(n * m / (n + m))))
    return statistic, _share_outside(n, m, steps)


def _share_outside(n: int, m: int, steps: int) -> float:
    """Share of the paths from (0, 0) to (n, m) that reach a point (i, j) where i m and j n differ by `steps`."""
    first, paths, log_scale = 0, np.ones(1), 0.0
    for i in range(n + 1):
        low, high = max(0, (i * m - steps) // n + 1), min(m, -((-i * m - steps) // n) - 1)
        row = np.zeros(max(high - low + 1, 0))
        before = paths[low - first :]
        row[: len(before)] = before
        paths, first = np.cumsum(row), low
        if not len(paths) or paths[-1] == 0:
            return 1.0
        log_scale += math.log(paths[-1])
        paths /= paths[-1]
    orders = math.lgamma(n + m + 1) - math.lgamma(n + 1) - math.lgamma(m + 1)
    return min(max(-math.expm1(log_scale - orders), 0.0), 1.0)
