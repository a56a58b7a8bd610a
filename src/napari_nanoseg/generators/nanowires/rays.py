"""Rays along the beam through solids: path lengths, masks, and the surface that is seen from above.

Every pixel has `rays` x `rays` parallel rays. On each of them the intervals inside the solids of an object are known in
closed form; their union is the object's path length, exact to rounding. The mask of an object holds the pixels of which
at least half of the rays meet it.
"""

from __future__ import annotations

import math
from typing import Any

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
def trace(
    solids: Solids,
    starts: NDArray[np.int64],
    height: int,
    width: int,
    rays: int,
    weights: NDArray[np.float64],
    visible: bool,
    normals: bool,
) -> tuple[Any, ...]:
    """Send rays through N objects; object n has the solids from ``starts[n]`` to ``starts[n + 1]``.

    Returns
    -------
    total : float64 (height, width)
        Path length (px) times the object's weight (N,), summed over the objects, mean of the pixel's rays.
    tops : float32 (rays * height, rays * width)
        z of the highest surface, 0 where there is none: the substrate.
    owners : int32, same shape
        Number of the object that is seen there, counted from 1; 0 for the substrate.
    facing : float32 (3, rays * height, rays * width), or (3, 1, 1) without `normals`
        Unit normal of that surface.
    boxes : int64 (N, 4)
        Tight boxes of the masks; without area where the object has no pixel.
    corners : int64 (N, 4)
        Boxes of the crops that follow one another in `masks`.
    masks : bool
        Whole objects, or with `visible` what is seen of them from above, each pixel in one object at most.
    hits, seen : int64 (N,)
        Rays that meet the object, and those that meet it first.
    """
    objects = starts.size - 1
    total = np.zeros((height, width))
    tops = np.zeros((rays * height, rays * width), np.float32)
    owners = np.zeros((rays * height, rays * width), np.int32)
    facing = np.zeros((3, rays * height if normals else 1, rays * width if normals else 1), np.float32)
    if normals:
        facing[2] = 1
    corners = np.empty((objects, 4), np.int64)
    boxes = np.zeros((objects, 4), np.int64)
    hits, seen = np.zeros(objects, np.int64), np.zeros(objects, np.int64)
    room = 0
    for n in range(objects):
        r0, c0, r1, c1 = bounds(solids, starts[n], starts[n + 1], height, width)
        corners[n, 0], corners[n, 1], corners[n, 2], corners[n, 3] = r0, c0, r1, c1
        room += (r1 - r0) * (c1 - c0)
    masks = np.zeros(room, np.bool_)
    most = max(1, (starts[1:] - starts[:-1]).max()) if objects else 1
    planes, counts = np.empty((most, MOST_PLANES, 2)), np.empty((most, 2), np.int64)
    quadrics = np.empty((most, 7))
    active, limits, reach = np.empty(most, np.int64), np.empty((most, 2), np.int64), np.empty((most, 2), np.int64)
    lows, highs, which = np.empty(most), np.empty(most), np.empty(most, np.int64)
    step, share = 1.0 / rays, 1.0 / (rays * rays)
    used = 0
    for n in range(objects):
        r0, c0, r1, c1 = corners[n]
        weight = weights[n] * share
        cover = np.zeros((r1 - r0, c1 - c0), np.int64)
        for p in range(starts[n], starts[n + 1]):
            reach[p - starts[n], 0], _, reach[p - starts[n], 1], _ = bounds(solids, p, p + 1, height, width)
        for row in range(rays * r0, rays * r1):
            y = (row + 0.5) * step - 0.5
            r = row // rays
            count, first, last = 0, rays * c1, rays * c0 - 1
            for p in range(starts[n], starts[n + 1]):
                if r < reach[p - starts[n], 0] or r >= reach[p - starts[n], 1]:
                    continue
                left_x, right_x = span(solids, p, y)
                left = max(rays * c0, math.ceil((left_x + 0.5) * rays - 0.5)) if left_x <= right_x else 1
                right = min(rays * c1 - 1, math.floor((right_x + 0.5) * rays - 0.5)) if left_x <= right_x else 0
                if left <= right:
                    active[count], limits[count, 0], limits[count, 1] = p, left, right
                    _line(solids, p, y, planes[count], counts[count], quadrics[count])
                    first, last = min(first, left), max(last, right)
                    count += 1
            c, ray = first // rays, first % rays - 1
            for column in range(first, last + 1):
                ray += 1
                if ray == rays:
                    ray, c = 0, c + 1  # a division for each ray would take as long as all the rest
                x = (column + 0.5) * step - 0.5
                k = 0
                for m in range(count):
                    if column < limits[m, 0] or column > limits[m, 1]:
                        continue
                    p = active[m]
                    low, high = _interval(m, solids.rounds[p], x - solids.centres[p, 0], planes, counts, quadrics)
                    if high > low:
                        low, high = low + solids.centres[p, 2], high + solids.centres[p, 2]
                        place = k  # sorted by where they begin
                        while place > 0 and lows[place - 1] > low:
                            lows[place], highs[place] = lows[place - 1], highs[place - 1]
                            which[place] = which[place - 1]
                            place -= 1
                        lows[place], highs[place], which[place] = low, high, p
                        k += 1
                if k == 0:
                    continue
                path, top, piece = highs[0] - lows[0], highs[0], which[0]
                for m in range(1, k):
                    if highs[m] > top:
                        path += highs[m] - max(lows[m], top)
                        top, piece = highs[m], which[m]
                total[r, c] += weight * path
                cover[r - r0, c - c0] += 1
                hits[n] += 1
                owner = owners[row, column]
                if owner == 0 or top > tops[row, column]:
                    if owner > 0:
                        seen[owner - 1] -= 1
                    seen[n] += 1
                    tops[row, column] = top
                    owners[row, column] = n + 1
                    if normals:
                        _face(solids, piece, hit(solids, piece, x, y)[2], x, y, top, facing[:, row, column])
        if not visible:
            used = _mask(cover, rays, r0, c0, boxes[n], masks, used)
    if visible:
        labels = _majority(owners, rays)
        for n in range(objects):
            r0, c0, r1, c1 = corners[n]
            cover = np.where(labels[r0:r1, c0:c1] == n + 1, rays * rays, 0)
            used = _mask(cover, rays, r0, c0, boxes[n], masks, used)
    return total, tops, owners, facing, boxes, corners, masks, hits, seen


@njit(cache=True, nogil=True)
def _majority(owners: NDArray[np.int32], rays: int) -> NDArray[np.int32]:
    """Of each pixel the owner of most rays, where objects have at least half of them."""
    labels = np.zeros((owners.shape[0] // rays, owners.shape[1] // rays), np.int32)
    for r in range(labels.shape[0]):
        for c in range(labels.shape[1]):
            covered, most = 0, 0
            for i in range(rays * rays):
                owner = owners[rays * r + i // rays, rays * c + i % rays]
                if owner == 0:
                    continue
                covered += 1
                count = 0
                for j in range(rays * rays):
                    count += owners[rays * r + j // rays, rays * c + j % rays] == owner
                if count > most:
                    most, labels[r, c] = count, owner
            if 2 * covered < rays * rays:
                labels[r, c] = 0
    return labels


@njit(cache=True, nogil=True)
def _mask(
    cover: NDArray[np.int64],
    rays: int,
    top: int,
    left: int,
    box: NDArray[np.int64],
    masks: NDArray[np.bool_],
    used: int,
) -> int:
    """Append a mask, write its tight box, and return how much of `masks` is used."""
    r0, c0, r1, c1 = cover.shape[0], cover.shape[1], 0, 0
    for i in range(cover.shape[0]):
        for j in range(cover.shape[1]):
            if 2 * cover[i, j] >= rays * rays:
                masks[used + i * cover.shape[1] + j] = True
                r0, c0 = min(r0, i), min(c0, j)
                r1, c1 = max(r1, i + 1), max(c1, j + 1)
    if r1 > 0:
        box[0], box[1], box[2], box[3] = top + r0, left + c0, top + r1, left + c1
    return used + cover.size


@njit(cache=True, nogil=True)
def _face(solids: Solids, p: int, face: int, x: float, y: float, z: float, normal: NDArray[np.float32]) -> None:
    """Write the unit normal of the face through which the ray leaves."""
    if face != BY_QUADRIC:
        for axis in range(3):
            normal[axis] = solids.planes[p, face, axis]
        return
    q = solids.quadrics[p]
    x, y, z = x - solids.centres[p, 0], y - solids.centres[p, 1], z - solids.centres[p, 2]
    nx = q[0] * x + q[3] * y + q[4] * z + q[6]
    ny = q[3] * x + q[1] * y + q[5] * z + q[7]
    nz = q[4] * x + q[5] * y + q[2] * z + q[8]
    size = math.sqrt(nx * nx + ny * ny + nz * nz)
    normal[0], normal[1], normal[2] = nx / size, ny / size, nz / size


@njit(cache=True, nogil=True)
def _line(
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
def _interval(
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


@njit(cache=True, nogil=True)
def clearance(solids: Solids, heights: NDArray[np.float64]) -> float:
    """How far the solids must be raised (may be negative) until they are nowhere below `heights` (rows, columns)."""
    height, width = heights.shape
    lift = -np.inf
    for p in range(solids.centres.shape[0]):
        r0, c0, r1, c1 = bounds(solids, p, p + 1, height, width)
        for r in range(r0, r1):
            first, last = span(solids, p, r)
            if first > last:
                continue
            for c in range(max(c0, math.ceil(first)), min(c1 - 1, math.floor(last)) + 1):
                enters, leaves, _ = hit(solids, p, c, r)
                if leaves > enters:
                    lift = max(lift, heights[r, c] - enters)
    return lift


@njit(cache=True, nogil=True)
def pile_up(solids: Solids, heights: NDArray[np.float64]) -> None:
    """Raise `heights` to the upper surface of the solids."""
    height, width = heights.shape
    for p in range(solids.centres.shape[0]):
        r0, c0, r1, c1 = bounds(solids, p, p + 1, height, width)
        for r in range(r0, r1):
            first, last = span(solids, p, r)
            if first > last:
                continue
            for c in range(max(c0, math.ceil(first)), min(c1 - 1, math.floor(last)) + 1):
                enters, leaves, _ = hit(solids, p, c, r)
                if leaves > enters:
                    heights[r, c] = max(heights[r, c], leaves)


@njit(cache=True, nogil=True)
def profile(
    solids: Solids, heights: NDArray[np.float64], direction: NDArray[np.float64], half: float, bins: int
) -> NDArray[np.float64]:
    """Highest of `heights` under the solids, in bins along `direction` (x, y) from -half to half about (x, y) = 0.

    The middle is the centre of the first and last solids' boxes; bins without pixels are -inf.
    """
    height, width = heights.shape
    found = np.full(bins, -np.inf)
    last_one = solids.centres.shape[0] - 1
    x0 = (solids.centres[0, 0] + solids.centres[last_one, 0]) / 2
    y0 = (solids.centres[0, 1] + solids.centres[last_one, 1]) / 2
    for p in range(last_one + 1):
        r0, c0, r1, c1 = bounds(solids, p, p + 1, height, width)
        for r in range(r0, r1):
            first, last = span(solids, p, r)
            if first > last:
                continue
            for c in range(max(c0, math.ceil(first)), min(c1 - 1, math.floor(last)) + 1):
                along = (c - x0) * direction[0] + (r - y0) * direction[1]
                place = int((along + half) / (2 * half) * bins)
                if 0 <= place < bins:
                    found[place] = max(found[place], heights[r, c])
    return found
