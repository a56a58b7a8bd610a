"""All rays of an image through all objects: path lengths, masks, and the surface that is seen from above.

Every pixel has `rays` x `rays` parallel rays. On each of them the union of the intervals inside the solids of an object
is the object's path length, exact to rounding. The mask of an object holds the pixels of which at least half of the
rays meet it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_nanoseg.generators.nanowires.rays import BY_QUADRIC, bounds, hit, interval, line, span
from napari_nanoseg.generators.nanowires.solids import MOST_PLANES, Solids


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
    most = 1
    for n in range(objects):
        most = max(most, starts[n + 1] - starts[n])
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
                    line(solids, p, y, planes[count], counts[count], quadrics[count])
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
                    low, high = interval(m, solids.rounds[p], x - solids.centres[p, 0], planes, counts, quadrics)
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
            cover = np.zeros((r1 - r0, c1 - c0), np.int64)
            for r in range(r0, r1):
                for c in range(c0, c1):
                    if labels[r, c] == n + 1:
                        cover[r - r0, c - c0] = rays * rays
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
