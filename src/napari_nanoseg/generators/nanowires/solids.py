"""Convex solids in closed form: what a wire, a ball or a cube is made of.

Coordinates are (x, y, z) in px: column, row, and depth along the beam towards the source. A solid is where up to eight
planes and, for round ones, a quadric let a point be; both count from its centre, so that moving it changes the centre
alone. A bent wire is a chain of solids cut at the planes that halve the angle between neighbours: there they meet
without gap or overlap (with taper, up to a second-order step of width times taper times angle).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

ELLIPSE, RECTANGLE, HEXAGON = 0, 4, 6
"""Cross-sections, by their number of sides."""
MOST_PLANES = 8


class Solids(NamedTuple):
    """P solids that are one object or several.

    ``centres`` (P, 3); ``planes`` (P, 8, 4): a point p is inside where ``normal . p <= distance``, unit normals, of
    which ``sides`` (P,) are used; ``quadrics`` (P, 9): inside where ``p G p + 2 g . p <= 1``, with Gxx, Gyy, Gzz, Gxy,
    Gxz, Gyz, gx, gy, gz, used where ``rounds`` (P,); ``boxes`` (P, 8, 3): corners of a box around the solid.
    """

    centres: NDArray[np.float64]
    planes: NDArray[np.float64]
    sides: NDArray[np.int64]
    quadrics: NDArray[np.float64]
    rounds: NDArray[np.bool_]
    boxes: NDArray[np.float64]

    def moved(self, by: NDArray[np.float64]) -> Solids:
        """The same solids at another place (by (3,))."""
        return self._replace(centres=self.centres + by)

    def lowest_and_highest(self) -> NDArray[np.float64]:
        """Corners (2, 3) of a box along the axes that holds the boxes of all solids."""
        corners = self.centres[:, None] + self.boxes
        return np.array([corners.min((0, 1)), corners.max((0, 1))])


def joined(parts: Sequence[Solids]) -> Solids:
    """All solids of several objects, one after the other."""
    return Solids(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def none(count: int) -> Solids:
    """Room for this many solids."""
    return Solids(
        np.zeros((count, 3)),
        np.zeros((count, MOST_PLANES, 4)),
        np.zeros(count, np.int64),
        np.zeros((count, 9)),
        np.zeros(count, np.bool_),
        np.zeros((count, 8, 3)),
    )


def chain(
    joints: NDArray[np.float64], up: NDArray[np.float64], across: float, high: float, section: int, taper: float
) -> Solids:
    """Sweep a cross-section along a line with corners.

    Parameters
    ----------
    joints : array, shape (P + 1, 3)
        The line; it may bend in the plane at right angles to `up` only.
    up : array, shape (3,)
        Unit vector of the thickness, at right angles to the line.
    across, high : float
        Half the width and half the thickness in the middle.
    section : int
        ELLIPSE, RECTANGLE or HEXAGON (its width from corner to corner, its thickness from face to face).
    taper : float
        By what fraction the last cross-section is smaller than the first, 0 to below 1.

    Returns
    -------
    Solids
        P of them.
    """
    solids = none(len(joints) - 1)
    _chain(joints, up, across, high, section, taper, *solids)
    return solids


def ball(centre: NDArray[np.float64], radius: float) -> Solids:
    """Make a sphere of one solid."""
    solids = none(1)
    solids.centres[0] = centre
    solids.quadrics[0, :3] = radius**-2.0
    solids.rounds[0] = True
    solids.boxes[0] = radius * CORNERS
    return solids


CORNERS = np.array([[2 * (i >> axis & 1) - 1 for axis in range(3)] for i in range(8)], float)
"""Of the cube from -1 to 1; corners that differ in one bit of their number share an edge."""


@njit(cache=True, nogil=True)
def _chain(
    joints: NDArray[np.float64],
    up: NDArray[np.float64],
    across: float,
    high: float,
    section: int,
    taper: float,
    centres: NDArray[np.float64],
    planes: NDArray[np.float64],
    sides: NDArray[np.int64],
    quadrics: NDArray[np.float64],
    rounds: NDArray[np.bool_],
    boxes: NDArray[np.float64],
) -> None:
    count = joints.shape[0] - 1
    along = np.empty((count, 3))
    lengths = np.empty(count)
    for i in range(count):
        step = joints[i + 1] - joints[i]
        lengths[i] = math.sqrt((step * step).sum())
        along[i] = step / lengths[i]
    total = lengths.sum()
    slope = taper / (2 - taper)  # the scale runs from 1 + slope to 1 - slope
    passed = 0.0
    for i in range(count):
        d = along[i]
        u = np.cross(up, d)
        middle = 1 - 2 * slope * ((passed + lengths[i] / 2) / total - 0.5)
        k = 2 * slope / total / middle  # scale at w from the centre of this piece: 1 - k w
        passed += lengths[i]
        a, b = across * middle, high * middle
        centres[i] = (joints[i] + joints[i + 1]) / 2
        n = 0
        if section == RECTANGLE:
            for sign in (-1.0, 1.0):
                n = _add(planes[i], n, sign * u / a + k * d, 1.0)
                n = _add(planes[i], n, sign * up / b + k * d, 1.0)
        elif section == HEXAGON:
            for sign in (-1.0, 1.0):
                n = _add(planes[i], n, sign * up / b + k * d, 1.0)
                n = _add(planes[i], n, u / a + sign * up / (2 * b) + k * d, 1.0)
                n = _add(planes[i], n, -u / a + sign * up / (2 * b) + k * d, 1.0)
        else:
            rounds[i] = True
            g = np.outer(u, u) / a**2 + np.outer(up, up) / b**2 - k * k * np.outer(d, d)
            for m in range(3):
                quadrics[i, m] = g[m, m]
                quadrics[i, 6 + m] = k * d[m]
            quadrics[i, 3], quadrics[i, 4], quadrics[i, 5] = g[0, 1], g[0, 2], g[1, 2]
        reach = lengths[i] / 2
        for end in (-1, 1):
            normal = end * d
            if 0 <= i + end < count:
                normal = end * (d + along[i + end])
                cosine = (d * along[i + end]).sum()
                tangent = math.sqrt(max(1 - cosine, 0.0) / max(1 + cosine, 1e-9))
                reach = max(reach, lengths[i] / 2 + a * (1 + k * lengths[i]) * tangent)
            distance = end * lengths[i] / 2 * (normal * d).sum()
            n = _add(planes[i], n, normal, distance)
        sides[i] = n
        widest = 1 + k * reach
        for corner in range(8):
            boxes[i, corner] = (
                (2 * (corner & 1) - 1) * widest * a * u
                + (2 * (corner >> 1 & 1) - 1) * widest * b * up
                + (2 * (corner >> 2 & 1) - 1) * reach * d
            )


@njit(cache=True, nogil=True)
def _add(planes: NDArray[np.float64], n: int, normal: NDArray[np.float64], distance: float) -> int:
    size = math.sqrt((normal * normal).sum())
    planes[n, :3] = normal / size
    planes[n, 3] = distance / size
    return n + 1
