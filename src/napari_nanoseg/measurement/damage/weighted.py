"""Quantiles of many values of which each counts by a weight, in little memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Weighted:
    """Values with weights, kept by their value rounded to a step.

    Parameters
    ----------
    step : float
        Values are rounded to multiples of it.
    """

    def __init__(self, step: float) -> None:
        self._step = step
        self._weights: FloatArray = np.zeros(0)
        self._sum = 0.0

    def add(self, values: FloatArray, weights: FloatArray) -> None:
        """Add values, none of which is negative."""
        if not len(values):
            return
        places = np.rint(np.maximum(values, 0) / self._step).astype(np.int64)
        added: FloatArray = np.bincount(places, weights, len(self._weights)).astype(np.float64)
        added[: len(self._weights)] += self._weights
        self._weights = added
        self._sum += float(values @ weights)

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self._weights.sum())

    @property
    def mean(self) -> float:
        """Weighted mean; NaN of nothing."""
        return self._sum / self.total if self.total else float("nan")

    def shares(self) -> tuple[FloatArray, FloatArray]:
        """Values in their order and the weight of each."""
        there = np.flatnonzero(self._weights)
        return np.asarray(there * self._step, np.float64), self._weights[there]

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Values below which these shares of the weight lie; NaN of nothing."""
        values, weights = self.shares()
        if not len(values):
            return [float("nan")] * len(shares)
        return [float(value) for value in np.quantile(values, shares, weights=weights, method="inverted_cdf")]
