"""Single rays along the beam: where they enter and leave a convex solid.

All is in closed form. For the rays of one row of pixels, :func:`line` prepares a solid, so that :func:`interval` is a
few multiplications.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_nanoseg.generators.nanowires.solids import MOST_PLANES, Solids

FLAT = 1e-9
"""Least component along the beam of a plane's unit normal, in which a plane along the beam is a steep wall."""
ROUND = 1e-12
"""Below it, the coefficient of z^2 is zero: the ray goes along a cylinder."""
BY_QUADRIC = -1


@njit(cache=True, nogil=True)
def hit(solids: Solids, p: int, x: float, y: float) -> tuple[float, float, int]:
    """Where the ray through (x, y) enters and leaves solid `p` (z), and which plane it leaves through.

    It leaves through the quadric where that is BY_QUADRIC; it misses where it leaves before it enters.
    """
    planes, q = solids.planes[p], solids.quadrics[p]
    x -= solids.centres[p, 0]
    y -= solids.centres[p, 1]
    low, high, face = -np.inf, np.inf, BY_QUADRIC
    for k in range(solids.sides[p]):
        room = planes[k, 3] - planes[k, 0] * x - planes[k, 1] * y
        along = planes[k, 2]
        if abs(along) < FLAT:
            along = math.copysign(FLAT, along)
        if along < 0:
            low = max(low, room / along)
        elif room < along * high:
            high, face = room / along, k
    if solids.rounds[p] and high > low:
        b = q[4] * x + q[5] * y + q[8]
        c = q[0] * x * x + 2 * q[3] * x * y + q[1] * y * y + 2 * (q[6] * x + q[7] * y) - 1
        low, inside = _within(q[2], 1 / q[2] if abs(q[2]) > ROUND else 0.0, b, c, low, high)
        if inside < high:
            high, face = inside, BY_QUADRIC
    return low + solids.centres[p, 2], high + solids.centres[p, 2], face


@njit(cache=True, nogil=True)
def span(solids: Solids, p: int, y: float) -> tuple[float, float]:
    """First and last x at which a ray in row `y` can meet solid `p`; none where the first is larger."""
    box = solids.boxes[p]
    first, last = np.inf, -np.inf
    y -= solids.centres[p, 1]
    for i in range(8):
        for bit in (1, 2, 4):
            j = i ^ bit
            if j < i:
                continue
            yi, yj = box[i, 1], box[j, 1]
            if (yi - y) * (yj - y) > 0:
                continue
            part = 0.5 if yi == yj else (y - yi) / (yj - yi)
            x = box[i, 0] + part * (box[j, 0] - box[i, 0])
            first, last = min(first, x), max(last, x)
            if yi == yj:
                first = min(first, min(box[i, 0], box[j, 0]))
                last = max(last, max(box[i, 0], box[j, 0]))
    return first + solids.centres[p, 0], last + solids.centres[p, 0]


@njit(cache=True, nogil=True)
def bounds(solids: Solids, start: int, stop: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Box r0, c0, r1, c1 of the pixels that the solids from `start` to `stop` can reach, inside the image."""
    top, left, bottom, right = float(height), float(width), -1.0, -1.0
    for p in range(start, stop):
        for corner in solids.boxes[p]:
            x, y = corner[0] + solids.centres[p, 0], corner[1] + solids.centres[p, 1]
            top, bottom = min(top, y), max(bottom, y)
            left, right = min(left, x), max(right, x)
    r0, c0 = max(0, math.floor(top + 0.5)), max(0, math.floor(left + 0.5))
    r1, c1 = min(height, math.ceil(bottom + 0.5)), min(width, math.ceil(right + 0.5))
    return r0, c0, max(r1, r0), max(c1, c0)


@njit(cache=True, nogil=True)
def line(
    solids: Solids, p: int, y: float, planes: NDArray[np.float64], counts: NDArray[np.int64], q: NDArray[np.float64]
) -> None:
    """Write what solid `p` is for the rays of one row, as functions of x from its centre.

    ``planes`` (8, 2): z from its centre, offset and slope; first those that rays enter through, ``counts[0]`` of
    them, then from the end those that they leave through, ``counts[1]``. ``q`` (7): a, then b and c of the quadratic
    equation, offsets and slopes, and 1 / a.
    """
    y -= solids.centres[p, 1]
    counts[:] = 0
    for k in range(solids.sides[p]):
        normal = solids.planes[p, k]
        along = normal[2]
        if abs(along) < FLAT:
            along = math.copysign(FLAT, along)
        if along > 0:
            counts[1] += 1
            place = MOST_PLANES - counts[1]
        else:
            place = counts[0]
            counts[0] += 1
        planes[place, 0] = (normal[3] - normal[1] * y) / along
        planes[place, 1] = -normal[0] / along
    if solids.rounds[p]:
        g = solids.quadrics[p]
        q[0] = g[2]
        q[1], q[2] = g[5] * y + g[8], g[4]
        q[6] = 1 / g[2] if abs(g[2]) > ROUND else 0.0
        q[3], q[4], q[5] = (g[1] * y + 2 * g[7]) * y - 1, 2 * (g[3] * y + g[6]), g[0]


@njit(cache=True, nogil=True)
def interval(
    m: int, is_round: bool, x: float, planes: NDArray[np.float64], counts: NDArray[np.int64], q: NDArray[np.float64]
) -> tuple[float, float]:
    """Where a ray of the row enters and leaves the `m`-th solid of the row; it misses where it leaves first."""
    low, high = -np.inf, np.inf
    for k in range(counts[m, 0]):
        low = max(low, planes[m, k, 0] + planes[m, k, 1] * x)
    for k in range(MOST_PLANES - counts[m, 1], MOST_PLANES):
        high = min(high, planes[m, k, 0] + planes[m, k, 1] * x)
    if is_round and high > low:
        b, c = q[m, 1] + q[m, 2] * x, q[m, 3] + (q[m, 4] + q[m, 5] * x) * x
        return _within(q[m, 0], q[m, 6], b, c, low, high)
    return low, high


@njit(cache=True, nogil=True)
def _within(a: float, inverse: float, b: float, c: float, low: float, high: float) -> tuple[float, float]:
    """Part of the interval from `low` to `high` where ``a z^2 + 2 b z + c <= 0``; `inverse` is 1 / a.

    It is one piece, as solids are convex.
    """
    root = b * b - a * c
    if a > ROUND:
        if root <= 0:
            return 0.0, -1.0
        root = math.sqrt(root)
        return max(low, (-b - root) * inverse), min(high, (root - b) * inverse)
    if a > -ROUND:
        if abs(b) < 1e-12:
            return (low, high) if c <= 0 else (0.0, -1.0)
        return (low, min(high, -c / (2 * b))) if b > 0 else (max(low, -c / (2 * b)), high)
    if root <= 0:
        return low, high
    root = math.sqrt(root)  # along the axis of a cone: inside beyond one of the roots; the caps say which
    first, second = (root - b) * inverse, (-b - root) * inverse
    if min(high, first) - low >= high - max(low, second):
        return low, min(high, first)
    return max(low, second), high
