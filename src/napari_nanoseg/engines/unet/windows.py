"""Windows that cover an axis and overlap, and how much each counts where they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one length along an axis.

    Parameters
    ----------
    starts : tuple of int
        Rising; a rim around the axis has negative positions.
    length : int
        The only window of a short axis may be longer than it.
    weights : list of float32 array, shape (length,)
        Of each window; they fall towards its ends where another window is, and add up to 1 everywhere.
    """

    starts: tuple[int, ...]
    length: int
    weights: Sequence[NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.starts)

    def within(self, start: int, stop: int) -> range:
        """Numbers of the windows that see something of ``[start, stop)``."""
        seen = [number for number, at in enumerate(self.starts) if at < stop and at + self.length > start]
        return range(seen[0], seen[-1] + 1)

    def final(self, number: int) -> int:
        """Where what windows up to this one say is all there is to say: the start of the next one."""
        return self.starts[number + 1] if number + 1 < len(self) else self.starts[number] + self.length


def single(size: int) -> Windows:
    """Every position of an axis as a window of its own."""
    return Windows(tuple(range(size)), 1, [np.ones(1, np.float32)] * size)


def cover(size: int, longest: int, overlap: int, divisor: int, rim: int = 0) -> Windows:
    """Cover an axis with as few windows as will do, then as short ones as will do.

    Parameters
    ----------
    size : int
        Length of the axis.
    longest : int
        Windows are not longer, except where `divisor` is.
    overlap : int
        Least overlap of two neighbours; less where it would be more than half of `longest`.
    divisor : int
        Windows are multiples of it long.
    rim : int
        Width of the rim on both sides that is covered, too.
    """
    longest = max(divisor, longest // divisor * divisor)
    overlap = min(overlap, longest // 2)
    wide = size + 2 * rim
    count = 1 if wide <= longest else -(-(wide - overlap) // (longest - overlap))
    length = -(-(wide + (count - 1) * overlap) // (count * divisor)) * divisor
    starts = [round(at) for at in np.linspace(0, max(0, wide - length), count)]
    raw = [_trapezoid(number, starts, length) for number in range(count)]
    total = np.zeros(max(wide, length))
    for start, weight in zip(starts, raw, strict=True):
        total[start : start + length] += weight
    weights = [
        (weight / total[start : start + length]).astype(np.float32) for start, weight in zip(starts, raw, strict=True)
    ]
    return Windows(tuple(start - rim for start in starts), length, weights)


def _trapezoid(number: int, starts: Sequence[int], length: int) -> NDArray[np.float64]:
    """Weight of a window that rises from its neighbours' side over what it shares with them."""
    weight = np.ones(length)
    from_start = np.arange(length) + 0.5
    if number:
        weight = np.minimum(weight, from_start / max(1, starts[number - 1] + length - starts[number]))
    if number + 1 < len(starts):
        weight = np.minimum(weight, from_start[::-1] / max(1, starts[number] + length - starts[number + 1]))
    return weight
