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
    # written out in numbers: with np.cross and np.outer, compiling takes four times as long
    count = joints.shape[0] - 1
    along, lengths, u = np.empty((count, 3)), np.empty(count), np.empty(3)
    for i in range(count):
        lengths[i] = 0.0
        for m in range(3):
            along[i, m] = joints[i + 1, m] - joints[i, m]
            lengths[i] += along[i, m] ** 2
        lengths[i] = math.sqrt(lengths[i])
        for m in range(3):
            along[i, m] /= lengths[i]
    total = lengths.sum()
    slope = taper / (2 - taper)  # the scale runs from 1 + slope to 1 - slope
    passed = 0.0
    for i in range(count):
        d = along[i]
        for m in range(3):
            u[m] = up[(m + 1) % 3] * d[(m + 2) % 3] - up[(m + 2) % 3] * d[(m + 1) % 3]
            centres[i, m] = (joints[i, m] + joints[i + 1, m]) / 2
        middle = 1 - 2 * slope * ((passed + lengths[i] / 2) / total - 0.5)
        k = 2 * slope / total / middle  # scale at w from the centre of this piece: 1 - k w
        passed += lengths[i]
        a, b = across * middle, high * middle
        n = 0
        if section == ELLIPSE:
            rounds[i] = True
            q = quadrics[i]
            for m in range(3):
                q[m] = (u[m] / a) ** 2 + (up[m] / b) ** 2 - (k * d[m]) ** 2
                q[6 + m] = k * d[m]
            q[3] = u[0] * u[1] / a**2 + up[0] * up[1] / b**2 - k * k * d[0] * d[1]
            q[4] = u[0] * u[2] / a**2 + up[0] * up[2] / b**2 - k * k * d[0] * d[2]
            q[5] = u[1] * u[2] / a**2 + up[1] * up[2] / b**2 - k * k * d[1] * d[2]
        for sign in (-1.0, 1.0):
            if section == RECTANGLE:
                n = _add(planes, i, n, u, up, d, sign / a, 0.0, k, 1.0)
                n = _add(planes, i, n, u, up, d, 0.0, sign / b, k, 1.0)
            elif section == HEXAGON:
                n = _add(planes, i, n, u, up, d, 0.0, sign / b, k, 1.0)
                n = _add(planes, i, n, u, up, d, 1 / a, sign / (2 * b), k, 1.0)
                n = _add(planes, i, n, u, up, d, -1 / a, sign / (2 * b), k, 1.0)
        reach = lengths[i] / 2
        for end in (-1, 1):
            if 0 <= i + end < count:  # the plane that halves the angle to the neighbour
                other = along[i + end]
                forward = d[0] * other[0] + d[1] * other[1] + d[2] * other[2]
                sideways = u[0] * other[0] + u[1] * other[1] + u[2] * other[2]
                n = _add(
                    planes, i, n, u, up, d, end * sideways, 0.0, end * (1 + forward), (1 + forward) * lengths[i] / 2
                )
                tangent = math.sqrt(max(1 - forward, 0.0) / max(1 + forward, 1e-9))
                reach = max(reach, lengths[i] / 2 + a * (1 + k * lengths[i]) * tangent)
            else:
                n = _add(planes, i, n, u, up, d, 0.0, 0.0, float(end), lengths[i] / 2)
        sides[i] = n
        widest = 1 + k * reach
        for corner in range(8):
            for m in range(3):
                boxes[i, corner, m] = (
                    (2 * (corner & 1) - 1) * widest * a * u[m]
                    + (2 * (corner >> 1 & 1) - 1) * widest * b * up[m]
                    + (2 * (corner >> 2 & 1) - 1) * reach * d[m]
                )


@njit(cache=True, nogil=True)
def _add(
    planes: NDArray[np.float64],
    i: int,
    n: int,
    u: NDArray[np.float64],
    up: NDArray[np.float64],
    d: NDArray[np.float64],
    across: float,
    high: float,
    ahead: float,
    distance: float,
) -> int:
    """Append a plane of solid `i` whose normal has these parts along width, thickness and length; count the planes."""
    size = math.sqrt(across**2 + high**2 + ahead**2)
    for m in range(3):
        planes[i, n, m] = (across * u[m] + high * up[m] + ahead * d[m]) / size
    planes[i, n, 3] = distance / size
    return n + 1
