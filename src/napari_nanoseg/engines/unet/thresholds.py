"""From which probability on a pixel counts as a class: where F1 of the validation pixels is highest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEPS = 100
"""Thresholds that are tried are multiples of 1 / STEPS."""


class Counts:
    """How probable true and false pixels of each class are, added up over pieces.

    Parameters
    ----------
    classes : int
    """

    def __init__(self, classes: int):
        self._true, self._false = (np.zeros((classes, STEPS + 1), np.int64) for _ in range(2))

    def add(self, probabilities: NDArray[np.float32], truth: NDArray[np.int8]) -> None:
        """Count the labelled pixels of a piece.

        Parameters
        ----------
        probabilities : float32 array, shape (classes, ...)
        truth : int8 array, shape (...)
            0 is background, class `i` is `i` + 1, negative where nothing is known.
        """
        known = truth >= 0
        for number, probability in enumerate(probabilities):
            level = np.clip(probability[known] * STEPS, 0, STEPS).astype(np.intp)
            true = truth[known] == number + 1
            self._true[number] += np.bincount(level[true], minlength=STEPS + 1)
            self._false[number] += np.bincount(level[~true], minlength=STEPS + 1)

    @property
    def any(self) -> bool:
        """Whether there is a true pixel of any class."""
        return bool(self._true.any())

    def f1(self) -> NDArray[np.float64]:
        """F1 (Dice) of each class at each threshold, shape (classes, STEPS + 1); NaN for a class that is not there."""
        found, wrong = (np.cumsum(counts[:, ::-1], axis=1)[:, ::-1] for counts in (self._true, self._false))
        there = self._true.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            return np.where(there > 0, 2 * found / (found + wrong + there), np.nan)

    def mean_f1(self, thresholds: tuple[float, ...]) -> float:
        """Mean F1 of the classes that are there, at a threshold for each."""
        each = [row[round(at * STEPS)] for row, at in zip(self.f1(), thresholds, strict=True)]
        there = [value for value in each if not np.isnan(value)]
        return float(np.mean(there)) if there else 0.0

    def best(self, otherwise: tuple[float, ...]) -> tuple[float, ...]:
        """The threshold of highest F1 for each class; of equal ones the middle, else another."""
        chosen = []
        for row, other in zip(self.f1()[:, 1:STEPS], otherwise, strict=True):
            highest = np.flatnonzero((row == row.max()) & (row > 0))
            chosen.append(float(highest[len(highest) // 2] + 1) / STEPS if len(highest) else other)
        return tuple(chosen)
