"""Round numbers for the axes of a plot."""

from __future__ import annotations

import math

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_LOG_STEPS = ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 4, 5, 6, 7, 8, 9))


def linear_ticks(low: float, high: float, most: int, whole: bool = False) -> list[float]:
    """Multiples of a round step within a range.

    Parameters
    ----------
    low, high : float
        The range; `high` is more than `low`.
    most : int
        How many there may be, at least 2.
    whole : bool
        Whole numbers only.
    """
    rough = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in _STEPS if factor * power >= rough * (1 - 1e-9))
    if whole:
        step = max(math.ceil(step), 1)
    first = math.ceil(low / step - 1e-9)
    count = math.floor((high - first * step) / step + 1e-9) + 1
    return [round((first + index) * step, 12) for index in range(count)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers within a range of more than 0: as many per decade as fit; every second decade where they do not.

    Parameters
    ----------
    low, high : float
        The range; both positive, `high` more than `low`.
    most : int
        How many there may be, at least 2.
    """
    first, last = math.floor(math.log10(low)), math.floor(math.log10(high))
    decades = range(first, last + 1)
    found: list[float] = []
    for factors in _LOG_STEPS:
        values = [round(factor * 10.0**decade, 12 - decade) for decade in decades for factor in factors]
        ticks = [value for value in values if low <= value <= high]
        if len(ticks) > most:
            break
        found = ticks
    if found:
        return found
    every = math.ceil(len(decades) / most)
    return [value for decade in decades[::every] if low <= (value := 10.0**decade) <= high]
