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

from napari_nanoseg.generators.nanowires.solids import Solids

FLAT = 1e-9
"""A plane whose unit normal has a smaller component along the beam is parallel to it."""
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
        if along > FLAT:
            if room < along * high:
                high = room / along
                face = k
        elif along < -FLAT:
            low = max(low, room / along)
        elif room < 0:
            return 0.0, -1.0, face
    if solids.rounds[p]:
        a = q[2]
        b = q[4] * x + q[5] * y + q[8]
        c = q[0] * x * x + 2 * q[3] * x * y + q[1] * y * y + 2 * (q[6] * x + q[7] * y) - 1
        root = b * b - a * c
        if abs(a) < 1e-12:
            if abs(b) < 1e-12:
                if c > 0:
                    return 0.0, -1.0, face
            elif b > 0:
                if -c / (2 * b) < high:
                    high, face = -c / (2 * b), BY_QUADRIC
            else:
                low = max(low, -c / (2 * b))
        elif a > 0:
            if root <= 0:
                return 0.0, -1.0, face
            root = math.sqrt(root)
            low = max(low, (-b - root) / a)
            if (root - b) / a < high:
                high, face = (root - b) / a, BY_QUADRIC
        elif root > 0:  # along the axis of a cone: inside beyond one root; the caps say which
            root = math.sqrt(root)
            first, second = (root - b) / a, (-b - root) / a
            if min(high, first) - low >= high - max(low, second):
                if first < high:
                    high, face = first, BY_QUADRIC
            else:
                low = max(low, second)
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
        Whole objects, or with `visible` what is seen of them from above.
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
    entries, exits = np.empty(4096), np.empty(4096)
    faces, pieces, nexts = np.empty(4096, np.int64), np.empty(4096, np.int64), np.empty(4096, np.int64)
    share = 1.0 / (rays * rays)
    used = 0
    for n in range(objects):
        r0, c0, r1, c1 = corners[n]
        rows, columns = rays * (r1 - r0), rays * (c1 - c0)
        heads = np.full(rows * columns, -1, np.int64)
        count = 0
        most = starts[n + 1] - starts[n]
        for p in range(starts[n], starts[n + 1]):
            low_row, _, high_row, _ = bounds(solids, p, p + 1, height, width)
            for i in range(rays * (low_row - r0), rays * (high_row - r0)):
                y = r0 + (i + 0.5) / rays - 0.5
                first, last = span(solids, p, y)
                if first > last:
                    continue
                left = max(0, math.ceil((first + 0.5 - c0) * rays - 0.5))
                right = min(columns - 1, math.floor((last + 0.5 - c0) * rays - 0.5))
                for j in range(left, right + 1):
                    enters, leaves, face = hit(solids, p, c0 + (j + 0.5) / rays - 0.5, y)
                    if leaves <= enters:
                        continue
                    if count == entries.size:
                        entries, exits = np.append(entries, np.empty(count)), np.append(exits, np.empty(count))
                        faces = np.append(faces, np.empty(count, np.int64))
                        pieces = np.append(pieces, np.empty(count, np.int64))
                        nexts = np.append(nexts, np.empty(count, np.int64))
                    entries[count], exits[count], faces[count], pieces[count] = enters, leaves, face, p
                    nexts[count] = heads[i * columns + j]
                    heads[i * columns + j] = count
                    count += 1
        cover = np.zeros((r1 - r0, c1 - c0), np.int64)
        lows, highs = np.empty(most), np.empty(most)
        for i in range(rows):
            for j in range(columns):
                record = heads[i * columns + j]
                if record < 0:
                    continue
                upper, path = record, 0.0
                if nexts[record] < 0:
                    path = exits[record] - entries[record]
                else:
                    k = 0
                    while record >= 0:  # sort the intervals by where they begin
                        place = k
                        while place > 0 and lows[place - 1] > entries[record]:
                            lows[place], highs[place] = lows[place - 1], highs[place - 1]
                            place -= 1
                        lows[place], highs[place] = entries[record], exits[record]
                        if exits[record] > exits[upper]:
                            upper = record
                        k += 1
                        record = nexts[record]
                    reached = -np.inf
                    for m in range(k):
                        path += max(0.0, highs[m] - max(lows[m], reached))
                        reached = max(reached, highs[m])
                total[r0 + i // rays, c0 + j // rays] += weights[n] * share * path
                cover[i // rays, j // rays] += 1
                hits[n] += 1
                row, column = rays * r0 + i, rays * c0 + j
                if owners[row, column] == 0 or exits[upper] > tops[row, column]:
                    tops[row, column] = exits[upper]
                    owners[row, column] = n + 1
                    if normals:
                        _face(solids, pieces[upper], faces[upper], row, column, rays, exits[upper], facing)
        if not visible:
            used = _mask(cover, rays, r0, c0, boxes[n], masks, used)
    for owner in owners.ravel():
        if owner > 0:
            seen[owner - 1] += 1
    if visible:
        for n in range(objects):
            r0, c0, r1, c1 = corners[n]
            cover = np.zeros((r1 - r0, c1 - c0), np.int64)
            for i in range(rays * (r1 - r0)):
                for j in range(rays * (c1 - c0)):
                    cover[i // rays, j // rays] += owners[rays * r0 + i, rays * c0 + j] == n + 1
            used = _mask(cover, rays, r0, c0, boxes[n], masks, used)
    return total, tops, owners, facing, boxes, corners, masks, hits, seen


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
def _face(
    solids: Solids, p: int, face: int, row: int, column: int, rays: int, z: float, facing: NDArray[np.float32]
) -> None:
    """Write the unit normal of the face through which the ray leaves."""
    if face != BY_QUADRIC:
        for axis in range(3):
            facing[axis, row, column] = solids.planes[p, face, axis]
        return
    q = solids.quadrics[p]
    x = (column + 0.5) / rays - 0.5 - solids.centres[p, 0]
    y = (row + 0.5) / rays - 0.5 - solids.centres[p, 1]
    z -= solids.centres[p, 2]
    nx = q[0] * x + q[3] * y + q[4] * z + q[6]
    ny = q[3] * x + q[1] * y + q[5] * z + q[7]
    nz = q[4] * x + q[5] * y + q[2] * z + q[8]
    size = math.sqrt(nx * nx + ny * ny + nz * nz)
    facing[0, row, column], facing[1, row, column], facing[2, row, column] = nx / size, ny / size, nz / size


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
