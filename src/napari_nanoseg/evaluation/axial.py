"""Statistics of directions without an arrow, which come round after 180 degrees."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

PERIOD = 180.0
UNIFORM_STD = PERIOD / math.sqrt(12)
"""Standard deviation of directions of which none is preferred."""


def axial_difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest turn, in degrees from -90 to below 90, that takes `other` to `one` (arrays of the same shape)."""
    turn: NDArray[np.float64] = (one - other + PERIOD / 2) % PERIOD - PERIOD / 2
    return turn


def axial_median(angles: NDArray[np.float64]) -> float:
    """The direction, among those given, from which the mean turn to all is least; of several, the first from 0.

    K. V. Mardia and P. E. Jupp, Directional Statistics (2000), section 2.3.2.

    Parameters
    ----------
    angles : float64 array, shape (N,)
        Degrees; at least one.
    """
    angles = np.sort(angles % PERIOD)
    twice = np.concatenate((angles, angles + PERIOD))
    sums = np.concatenate(([0.0], np.cumsum(twice)))
    count = np.arange(len(angles))
    half = np.searchsorted(twice, angles + PERIOD / 2, side="right")  # up to there the turn is forward, then backward
    end = count + len(angles)
    forward = sums[half] - sums[count] - (half - count) * angles
    backward = (end - half) * (angles + PERIOD) - (sums[end] - sums[half])
    turns = forward + backward
    return float(angles[np.flatnonzero(turns <= turns.min() * (1 + 1e-9) + 1e-9)[0]])


def kuiper(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """Kuiper's V of two samples, which does not depend on where the circle is cut, and its p-value.

    V is the sum of the largest distances of the two cumulative distributions, up and down
    (N. H. Kuiper, Proc. K. Ned. Akad. Wet. A 63, 38 (1960)); 0 for equal ones, at most 1. The p-value is Stephens's
    approximation (M. A. Stephens, J. R. Stat. Soc. B 32, 115 (1970)), for independent samples.

    Parameters
    ----------
    one, other : float64 array, shape (N,) and (M,)
        Degrees; at least one each.
    """
    _, distance = _distances(one, other)
    value = float(distance.max() - distance.min())
    root = math.sqrt(len(one) * len(other) / (len(one) + len(other)))
    scaled = (root + 0.155 + 0.24 / root) * value
    if scaled < 0.4:  # the sum below converges slowly there, and is 1 to seven digits
        return value, 1.0
    terms = (scaled * np.arange(1, 101)) ** 2
    return value, float(np.clip(2 * np.sum((4 * terms - 1) * np.exp(-2 * terms)), 0, 1))


def axial_wasserstein(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Mean turn, in degrees, that takes one distribution of directions to the other with the least effort; at most 90.

    The integral of the absolute distance of the cumulative distributions from the median of that distance
    (J. Rabin, J. Delon, Y. Gousseau, J. Math. Imaging Vis. 41, 147 (2011)).

    Parameters
    ----------
    one, other : float64 array, shape (N,) and (M,)
        Degrees; at least one each.
    """
    angles, distance = _distances(one, other)
    widths = np.diff(angles, append=angles[0] + PERIOD)
    order = np.argsort(distance, kind="stable")
    middle = order[np.searchsorted(np.cumsum(widths[order]), PERIOD / 2)]
    return float(np.sum(widths * np.abs(distance - distance[middle])))


def axial_density(angles: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Kernel density of directions: a wrapped Gaussian with Scott's bandwidth.

    The bandwidth is N^(-1/5) times the circular standard deviation (Mardia and Jupp, section 2.3.4), which is taken as
    no more than that of evenly spread directions.

    Parameters
    ----------
    angles : float64 array, shape (N,)
        Degrees.

    Returns
    -------
    tuple of two float64 arrays, shape (361,), or None
        Directions from 0 to 180 degrees and the density per degree; None where fewer than two directions differ.
    """
    if len(angles) < 2:
        return None
    mean = float(np.abs(np.mean(np.exp(2j * np.pi * angles / PERIOD)))) or math.ulp(0.0)
    spread = min(math.sqrt(-2 * math.log(min(mean, 1.0))) * PERIOD / math.tau, UNIFORM_STD)
    width = spread * len(angles) ** -0.2
    if width < 1e-3:
        return None
    grid = np.linspace(0, PERIOD, 361)
    density = np.zeros(len(grid))
    for turn in (-2, -1, 0, 1, 2):
        for some in np.array_split(angles % PERIOD, -(-len(angles) // 2000)):
            steps = (grid[:, None] - some + turn * PERIOD) / width
            density += np.exp(-(steps**2) / 2).sum(axis=1)
    return grid, density / (len(angles) * width * math.sqrt(math.tau))


def _distances(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All directions, sorted, and by how much the first cumulative distribution exceeds the second from each on."""
    one, other = np.sort(one % PERIOD), np.sort(other % PERIOD)
    angles = np.sort(np.concatenate((one, other)))
    shares = [np.searchsorted(side, angles, side="right") / len(side) for side in (one, other)]
    return angles, shares[0] - shares[1]
