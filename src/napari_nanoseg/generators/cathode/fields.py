"""Fields over the voxels of a phantom, compiled: distance to surfaces, grains, and how readily each voxel cracks.

Nothing is drawn here: all random numbers come in arrays, so that a voxel depends on its place alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_nanoseg.generators.cathode.packing import Packing

FAR = np.float32(1e6)
"""Stands for no body near, and for a voxel that does not crack at all."""


class Grains(NamedTuple):
    """The grains of all particles: Voronoi cells of seeds, one in each cell of a lattice.

    ``seeds`` (A, B, C, 3) in px, lattice cell (1, 1, 1) begins at the first voxel; ``tones`` (A, B, C), a random number
    of each grain, 0 to 1; ``cell``, side (px) of the lattice's cells; ``bumpiness``, how far (px) grains stand out.
    """

    seeds: NDArray[np.float32]
    tones: NDArray[np.float32]
    cell: float
    bumpiness: float


class Faults(NamedTuple):
    """Where each of N bodies can crack, and how readily.

    Cracks run between grains of different blocks; a block has the grains nearest to its point. ``radial`` (N,):
    whether only their directions from the centre count, so that cracks run to it; ``counts`` (N,): number of blocks;
    ``blocks`` (N, B, 3): their points, about the centre, in radii. ``strength`` (N, B, B) of the boundary of two
    blocks, 0 to 1; ``outward`` (N, B, B): whether its crack begins at the centre, not at the surface (both symmetric).
    ``brittle`` (N,), 0 to 1: how much load a particle bears. ``weights`` (5,): the load that each of these takes in
    full: particle, boundary, growth to the other end, opening to the full width, branching. ``widths`` (2,): half
    width (px) of a crack that just begins, and of one that is open.
    """

    radial: NDArray[np.bool_]
    counts: NDArray[np.int64]
    blocks: NDArray[np.float32]
    strength: NDArray[np.float32]
    outward: NDArray[np.bool_]
    brittle: NDArray[np.float32]
    weights: NDArray[np.float32]
    widths: NDArray[np.float32]


@njit(cache=True, nogil=True)
def distances(
    packing: Packing,
    margin: float,
    step: int,
    depth: NDArray[np.float32],
    second: NDArray[np.float32],
    owner: NDArray[np.int32],
) -> None:
    """Find the nearest body of every voxel of a grid of spacing `step`.

    Parameters
    ----------
    packing : Packing
    margin : float
        How far (px) outside a body its distance is wanted.
    step : int
        Spacing of the grid (px).
    depth : float32 array, shape (Z, Y, X)
        Distance (px) from the nearest body's surface, negative inside; :data:`FAR` where none is near. Written.
    second : float32 array, shape (Z, Y, X)
        Distance from the next body's surface less its half of the gap. Written.
    owner : int32 array, shape (Z, Y, X)
        Number of the nearest body, from 0; -1 where none is near. Written.
    """
    centres, radii, reach, gaps, bumps, _ = packing
    depth[:] = FAR
    second[:] = FAR
    owner[:] = -1
    slices, rows, columns = depth.shape
    for n in range(radii.size):
        r = radii[n]
        most = reach[n] + margin
        z0, z1 = _span(centres[n, 0], most, step, slices)
        y0, y1 = _span(centres[n, 1], most, step, rows)
        for i in range(z0, z1):
            z = i * step - centres[n, 0]
            for j in range(y0, y1):
                y = j * step - centres[n, 1]
                left = most * most - z * z - y * y
                if left < 0:
                    continue
                x0, x1 = _span(centres[n, 2], math.sqrt(left), step, columns)
                for k in range(x0, x1):
                    x = k * step - centres[n, 2]
                    away = math.sqrt(z * z + y * y + x * x)
                    if away - reach[n] > max(depth[i, j, k], second[i, j, k] + gaps[n]):
                        continue
                    inverse = 1 / (away + 1e-6)
                    grown = np.float32(1)
                    for b in range(bumps.shape[1]):
                        c = (z * bumps[n, b, 0] + y * bumps[n, b, 1] + x * bumps[n, b, 2]) * inverse
                        if b % 2:
                            grown += bumps[n, b, 3] * c * c * (c if b % 4 == 1 else c * c * c)
                        else:
                            grown += bumps[n, b, 3] * c * c * (1 if b % 4 == 0 else c * c)
                    d = np.float32(away - r * grown)
                    if d < depth[i, j, k]:
                        if owner[i, j, k] >= 0:
                            old = depth[i, j, k] - gaps[owner[i, j, k]]
                            if old < second[i, j, k]:
                                second[i, j, k] = old
                        depth[i, j, k] = d
                        owner[i, j, k] = n
                    elif d - gaps[n] < second[i, j, k]:
                        second[i, j, k] = d - gaps[n]


@njit(cache=True, nogil=True)
def _span(centre: float, reach: float, step: int, size: int) -> tuple[int, int]:
    """Points of a line of `size` points, `step` px apart, that lie within reach of a centre."""
    return max(0, math.ceil((centre - reach) / step)), min(size, math.floor((centre + reach) / step) + 1)


@njit(cache=True, nogil=True)
def grow(
    depth: NDArray[np.float32],
    second: NDArray[np.float32],
    owner: NDArray[np.int32],
    packing: Packing,
    lattice: Grains,
    faults: Faults,
    thickest: float,
    grains: NDArray[np.float32],
    ease: NDArray[np.float32],
) -> None:
    """Give particles the bumps of their grains, and each of their voxels the load at which it cracks.

    A crack begins where its load is least, grows along its surface, and opens.

    Parameters
    ----------
    depth, second, owner : arrays, shape (Z, Y, X)
        From :func:`distances`; `depth` becomes what a particle must grow by (px) to have the voxel, :data:`FAR` in the
        gaps between particles.
    packing : Packing
        Its large voids have no grains.
    lattice : Grains
    faults : Faults
    thickest : float
        How far (px) particles may grow.
    grains : float32 array, shape (Z, Y, X)
        Tone of the grain. Written.
    ease : float32 array, shape (Z, Y, X)
        Load at which the voxel cracks; :data:`FAR` where it does not. Written.
    """
    slices, rows, columns = depth.shape
    squares, cells = np.empty(27, np.float32), np.empty((27, 3), np.int64)
    centres, radii, _, gaps, _, particles = packing
    seeds, tones, cell, bumpiness = lattice
    radial, counts, blocks, strength, outward, brittle, weights, widths = faults
    # the block of a grain, and for which particle it was found: neighbouring voxels ask for the same
    known, asked = np.empty(tones.shape, np.int8), np.full(tones.shape, -1, np.int32)
    narrow, wide = widths
    near = max(wide, np.float32(0.7 * cell))  # how far from a crack its branches reach
    for z in range(slices):
        a = int(z / cell) + 1
        for y in range(rows):
            b = int(y / cell) + 1
            for x in range(columns):
                ease[z, y, x] = FAR
                n = owner[z, y, x]
                if n < 0 or depth[z, y, x] > thickest + bumpiness:
                    continue
                if second[z, y, x] - depth[z, y, x] < gaps[n]:
                    depth[z, y, x] = FAR
                    continue
                if n >= particles:
                    continue
                c = int(x / cell) + 1
                nearest, least, m = 0, FAR, 0
                for da in range(-1, 2):
                    for db in range(-1, 2):
                        for dc in range(-1, 2):
                            dz = seeds[a + da, b + db, c + dc, 0] - np.float32(z)
                            dy = seeds[a + da, b + db, c + dc, 1] - np.float32(y)
                            dx = seeds[a + da, b + db, c + dc, 2] - np.float32(x)
                            square = dz * dz + dy * dy + dx * dx
                            squares[m] = square
                            cells[m, 0], cells[m, 1], cells[m, 2] = a + da, b + db, c + dc
                            if square < least:
                                nearest, least = m, square
                            m += 1
                own = (cells[nearest, 0], cells[nearest, 1], cells[nearest, 2])
                tone = tones[own]
                grains[z, y, x] = tone
                depth[z, y, x] += np.float32(bumpiness * (2 * tone - 1))
                if depth[z, y, x] > thickest:
                    continue
                points = blocks[n, : counts[n]]
                if asked[own] != n:
                    asked[own] = n
                    known[own] = _block(seeds[own], centres[n], radii[n], radial[n], points)
                block = known[own]
                away = (
                    math.sqrt((z - centres[n, 0]) ** 2 + (y - centres[n, 1]) ** 2 + (x - centres[n, 2]) ** 2) / radii[n]
                )
                away = min(away, 1.0)
                load, main = 1e30, 1e30
                inside, branch = 1e30, 0.0
                for m in range(27):
                    other_cell = (cells[m, 0], cells[m, 1], cells[m, 2])
                    dz = seeds[other_cell][0] - seeds[own][0]
                    dy = seeds[other_cell][1] - seeds[own][1]
                    dx = seeds[other_cell][2] - seeds[own][2]
                    between = dz * dz + dy * dy + dx * dx
                    further = squares[m] - least
                    if m == nearest or further * further > 4 * near * near * between:
                        continue
                    distance = further / (2 * math.sqrt(between))  # from the plane between the two seeds
                    if asked[other_cell] != n:
                        asked[other_cell] = n
                        known[other_cell] = _block(seeds[other_cell], centres[n], radii[n], radial[n], points)
                    other = known[other_cell]
                    if other == block:
                        if distance < inside:
                            inside = distance
                            branch = (tone + tones[other_cell]) % 1.0
                        continue
                    main = min(main, distance)
                    if distance > wide:
                        continue
                    grown = away if outward[n, block, other] else 1 - away
                    needed = weights[1] * strength[n, block, other] + weights[2] * grown
                    if distance > narrow:
                        needed += weights[3] * (distance - narrow) / (wide - narrow)
                    load = min(load, needed)
                if inside <= narrow and main < near:
                    load = min(load, weights[4] * (1 + branch + main / near) + weights[2] * away)
                if load < 1e29:
                    ease[z, y, x] = np.float32(load + weights[0] * brittle[n])


@njit(cache=True, nogil=True)
def _block(
    seed: NDArray[np.float32],
    centre: NDArray[np.float32],
    radius: float,
    radial: bool,
    points: NDArray[np.float32],
) -> int:
    """Number of the block that has a grain."""
    z, y, x = (seed[0] - centre[0]) / radius, (seed[1] - centre[1]) / radius, (seed[2] - centre[2]) / radius
    if radial:
        scale = 1 / max(math.sqrt(z * z + y * y + x * x), 1e-6)
        z, y, x = z * scale, y * scale, x * scale
    found, least = 0, 1e30
    for k in range(points.shape[0]):
        square = (points[k, 0] - z) ** 2 + (points[k, 1] - y) ** 2 + (points[k, 2] - x) ** 2
        if square < least:
            found, least = k, square
    return found


@njit(cache=True, nogil=True)
def hills(lattice: NDArray[np.float32], cell: float, where: NDArray[np.bool_], field: NDArray[np.float32]) -> None:
    """Add a smooth random field to `field` (Z, Y, X) at the voxels `where`: `lattice` values every `cell` px between.

    The lattice needs two more points along each axis than the cells that cover the volume.
    """
    slices, rows, columns = field.shape
    for z in range(slices):
        a = int(z / cell)
        u = z / cell - a
        u = u * u * (3 - 2 * u)
        for y in range(rows):
            b = int(y / cell)
            v = y / cell - b
            v = v * v * (3 - 2 * v)
            for x in range(columns):
                if not where[z, y, x]:
                    continue
                c = int(x / cell)
                w = x / cell - c
                w = w * w * (3 - 2 * w)
                low = (lattice[a, b, c] * (1 - w) + lattice[a, b, c + 1] * w) * (1 - v) + (
                    lattice[a, b + 1, c] * (1 - w) + lattice[a, b + 1, c + 1] * w
                ) * v
                high = (lattice[a + 1, b, c] * (1 - w) + lattice[a + 1, b, c + 1] * w) * (1 - v) + (
                    lattice[a + 1, b + 1, c] * (1 - w) + lattice[a + 1, b + 1, c + 1] * w
                ) * v
                field[z, y, x] += low * (1 - u) + high * u
