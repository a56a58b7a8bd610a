"""Height maps: what lies below an object that is put down, one ray per pixel."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_nanoseg.generators.nanowires.rays import bounds, hit, span
from napari_nanoseg.generators.nanowires.solids import Solids


class Footprint(NamedTuple):
    """Rays through K pixels that meet solids: ``rows``, ``columns`` and where they enter and leave (z, px)."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    enters: NDArray[np.float64]
    leaves: NDArray[np.float64]

    def clearance(self, heights: NDArray[np.float64]) -> float:
        """How far the solids must be raised (may be negative) until they are nowhere below `heights`."""
        return float(np.max(heights[self.rows, self.columns] - self.enters, initial=-np.inf))

    def pile_up(self, heights: NDArray[np.float64], lift: float) -> None:
        """Raise `heights` to the upper side of the solids, `lift` higher than they were."""
        np.maximum.at(heights, (self.rows, self.columns), self.leaves + lift)

    def profile(
        self,
        heights: NDArray[np.float64],
        middle: NDArray[np.float64],
        direction: NDArray[np.float64],
        half: float,
        bins: int,
    ) -> NDArray[np.float64]:
        """Highest of `heights` under the solids, in bins along `direction` (x, y) from -half to half about `middle`.

        Where there is none, the substrate at 0.
        """
        along = (self.columns - middle[0]) * direction[0] + (self.rows - middle[1]) * direction[1]
        places = np.clip(((along / half + 1) * bins / 2).astype(np.int64), 0, bins - 1)
        found = np.zeros(bins)
        np.maximum.at(found, places, heights[self.rows, self.columns])
        return found


def footprint(solids: Solids, height: int, width: int) -> Footprint:
    """Send a ray through every pixel of an image; a pixel stands there once for each solid that its ray meets."""
    return Footprint(*_footprint(solids, height, width))


@njit(cache=True, nogil=True)
def _footprint(
    solids: Solids, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    room = 0
    for p in range(solids.centres.shape[0]):
        r0, c0, r1, c1 = bounds(solids, p, p + 1, height, width)
        room += (r1 - r0) * (c1 - c0)
    rows, columns = np.empty(room, np.int64), np.empty(room, np.int64)
    lows, highs = np.empty(room), np.empty(room)
    count = 0
    for p in range(solids.centres.shape[0]):
        r0, c0, r1, c1 = bounds(solids, p, p + 1, height, width)
        for r in range(r0, r1):
            first, last = span(solids, p, r)
            if first > last:
                continue
            for c in range(max(c0, math.ceil(first)), min(c1 - 1, math.floor(last)) + 1):
                enters, leaves, _ = hit(solids, p, c, r)
                if leaves > enters:
                    rows[count], columns[count], lows[count], highs[count] = r, c, enters, leaves
                    count += 1
    return rows[:count], columns[:count], lows[:count], highs[:count]
