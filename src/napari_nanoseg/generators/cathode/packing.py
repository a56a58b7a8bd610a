"""Where particles and large voids lie: spheres that push each other apart until they hardly overlap."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_nanoseg.config.cathode import CathodeConfig
from napari_nanoseg.events import checkpoint

SEARCHES, ROUNDS = 60, 10
"""Most searches for neighbours, and rounds of pushing after each. Of 320 spheres at a packing of 0.6, the mean overlap
is 2.9 % after 5 searches, 1.9 % after 15 and 1.4 % after 60, which take 0.06 s."""
NEAR = 1.15
"""Neighbours are searched at this distance, over the largest at which spheres can touch: some come nearer in time."""
RELAXED = 0.01
"""Mean overlap of touching spheres, as a fraction of their radii, at which pushing ends."""
BUMPS = 6
"""Directions in which a particle bulges or is dented; their powers 2, 3, 4, 5 give it irregular sides."""


class Packing(NamedTuple):
    """N bodies about a volume; lengths in px, places in (z, y, x) of the volume.

    ``centres`` (N, 3), ``radii`` (N,), ``gaps`` (N,): each one's half of the gap to its neighbours. ``reach``
    (N,): largest distance of its surface from its centre. ``bumps``
    (N, BUMPS, 4): unit vectors and heights as fractions of the radius. The first ``particles`` of them are particles,
    the others large voids.
    """

    centres: NDArray[np.float32]
    radii: NDArray[np.float32]
    reach: NDArray[np.float32]
    gaps: NDArray[np.float32]
    bumps: NDArray[np.float32]
    particles: int


def pack(config: CathodeConfig, crowd: float, rng: np.random.Generator) -> Packing:
    """Pack bodies into the volume and a margin around it, which is periodic while they push each other.

    Parameters
    ----------
    config : CathodeConfig
    crowd : float
        Volume of the particles' spheres over that asked for.
    rng : numpy.random.Generator
    """
    largest = max(config.particle_diameter_nm[1], config.void_diameter_nm[1] if config.large_voids else 0)
    margin = largest / config.pixel_size_nm
    box = np.maximum(np.array(config.shape) + 2 * margin, 3 * margin)
    radii = _radii(config.particle_diameter_nm, crowd * config.packing * box.prod(), config, rng)
    voids = _radii(config.void_diameter_nm, config.large_voids * box.prod(), config, rng)
    count, sizes = len(radii), np.concatenate([radii, voids])
    centres = _pushed_apart(rng.uniform(0, box, (len(sizes), 3)), sizes, box)
    gaps = rng.uniform(*config.gap_nm, len(sizes)) / (2 * config.pixel_size_nm)
    bumps = _bumps(len(sizes), config.irregularity, rng)
    return Packing(
        (centres - (box - config.shape) / 2).astype(np.float32),
        sizes.astype(np.float32),
        (sizes * (1 + np.abs(bumps[:, :, 3]).sum(1))).astype(np.float32),
        gaps.astype(np.float32),
        bumps,
        count,
    )


def _radii(
    diameters_nm: tuple[float, float], volume: float, config: CathodeConfig, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw radii (px) of spheres until they fill a volume (px^3)."""
    low, high = (diameter / (2 * config.pixel_size_nm) for diameter in diameters_nm)
    least = 4 / 3 * math.pi * low**3
    radii = rng.uniform(low, high, math.ceil(volume / least))
    filled = np.cumsum(4 / 3 * math.pi * radii**3)
    return np.asarray(radii[: int(np.searchsorted(filled, volume) + 0.5)])


def _pushed_apart(
    centres: NDArray[np.float64], radii: NDArray[np.float64], box: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Move overlapping spheres apart along the lines between their centres, in a periodic box."""
    from scipy.spatial import cKDTree

    near = min(2 * NEAR * float(radii.max(initial=0)), 0.499 * float(box.min()))
    for _ in range(SEARCHES):
        checkpoint()
        pairs = cKDTree(centres, boxsize=box).query_pairs(near, output_type="ndarray")
        if _push(centres, radii, box, pairs, ROUNDS) < RELAXED:
            break
    return centres


@njit(cache=True, nogil=True)
def _push(
    centres: NDArray[np.float64],
    radii: NDArray[np.float64],
    box: NDArray[np.float64],
    pairs: NDArray[np.int64],
    rounds: int,
) -> float:
    """Push pairs of spheres apart one after the other; return the mean overlap of those that touch, in their radii."""
    mean = 0.0
    apart = np.empty(3)
    for _ in range(rounds):
        total, count = 0.0, 0
        for a, b in pairs:
            square = 0.0
            for axis in range(3):
                apart[axis] = centres[a, axis] - centres[b, axis]
                apart[axis] -= box[axis] * np.rint(apart[axis] / box[axis])
                square += apart[axis] ** 2
            touch = radii[a] + radii[b]
            if square >= touch * touch:
                continue
            distance = math.sqrt(square)
            total += 1 - distance / touch
            count += 1
            for axis in range(3):
                move = apart[axis] / (distance + 1e-9) * (touch - distance) / 2
                centres[a, axis] += move
                centres[b, axis] -= move
        mean = total / max(count, 1)
        if mean < RELAXED:
            break
    for n in range(len(radii)):
        for axis in range(3):
            centres[n, axis] -= box[axis] * math.floor(centres[n, axis] / box[axis])
            if centres[n, axis] >= box[axis]:  # what is left of a tiny negative number is rounded to the box
                centres[n, axis] = 0.0
    return mean


def _bumps(count: int, irregularity: float, rng: np.random.Generator) -> NDArray[np.float32]:
    axes = rng.standard_normal((count, BUMPS, 3))
    axes /= np.linalg.norm(axes, axis=2, keepdims=True)
    heights = irregularity * 0.5 * rng.uniform(-1, 1, (count, BUMPS, 1))
    return np.concatenate([axes, heights], 2).astype(np.float32)
