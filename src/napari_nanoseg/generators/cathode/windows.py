"""Means over square windows that move over a slice, and straight lines through what they hold."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def window_sums(values: NDArray[np.bool_], side: int) -> NDArray[np.int64]:
    """Count the pixels of a mask (Y, X) in the windows of `side` px about each pixel, cut by the slice's border."""
    rows, columns = values.shape
    sums = np.zeros((rows + 1, columns + 1), np.int64)
    for i in range(rows):
        along = 0
        for j in range(columns):
            along += values[i, j]
            sums[i + 1, j + 1] = sums[i, j + 1] + along
    result = np.empty((rows, columns), np.int64)
    before = side // 2
    for i in range(rows):
        top, bottom = max(0, i - before), min(rows, max(0, i - before + side))
        for j in range(columns):
            left, right = max(0, j - before), min(columns, max(0, j - before + side))
            result[i, j] = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return result


def whole_windows(shape: tuple[int, ...], side: int) -> tuple[slice, slice]:
    """Say about which pixels the windows of `side` px lie inside a slice; none where it is smaller than they are."""
    before = side // 2
    rows, columns = (slice(before, max(before, size - side + before + 1)) for size in shape)
    return rows, columns


def line_through(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and correlation of the straight line of least squares; not numbers where all `x` are the same."""
    if x.size < 2:
        return float("nan"), float("nan")
    dx, dy = x - x.mean(), y - y.mean()
    spread = float(dx @ dx)
    if spread < 1e-12 * x.size:
        return float("nan"), float("nan")
    both = float(dx @ dy)
    return both / spread, both / np.sqrt(spread * float(dy @ dy)) if dy.any() else float("nan")
