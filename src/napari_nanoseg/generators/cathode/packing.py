"""Where particles and large voids lie: spheres that push each other apart until they hardly overlap."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.cathode import CathodeConfig

ROUNDS = 150
"""Most rounds of pushing apart; loose packings need a few, the densest are as far apart after 150 as after 600."""
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
    centres = _pushed_apart(rng.uniform(0, box, (len(sizes), 3)), sizes, box, rng)
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
    centres: NDArray[np.float64], radii: NDArray[np.float64], box: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Move overlapping spheres apart along the lines between their centres, in a periodic box."""
    from scipy.spatial import cKDTree

    if len(radii) < 2:
        return centres
    widest = 2 * float(radii.max())
    for _ in range(ROUNDS):
        pairs = cKDTree(centres, boxsize=box).query_pairs(min(widest, 0.499 * float(box.min())), output_type="ndarray")
        apart = centres[pairs[:, 0]] - centres[pairs[:, 1]]
        apart -= box * np.rint(apart / box)
        distances = np.linalg.norm(apart, axis=1)
        touch = radii[pairs].sum(1)
        overlap = touch - distances
        close = overlap > 0
        if not close.any() or (overlap[close] / touch[close]).mean() < RELAXED:
            break
        pairs, overlap, distances, apart = pairs[close], overlap[close], distances[close], apart[close]
        push = apart / np.maximum(distances, 1e-9)[:, None] * (0.5 * overlap)[:, None]
        np.add.at(centres, pairs[:, 0], push)
        np.subtract.at(centres, pairs[:, 1], push)
        centres %= box
        centres[centres >= box] = 0  # the remainder of a tiny negative number is rounded to the box
    return centres


def _bumps(count: int, irregularity: float, rng: np.random.Generator) -> NDArray[np.float32]:
    axes = rng.standard_normal((count, BUMPS, 3))
    axes /= np.linalg.norm(axes, axis=2, keepdims=True)
    heights = irregularity * 0.5 * rng.uniform(-1, 1, (count, BUMPS, 1))
    return np.concatenate([axes, heights], 2).astype(np.float32)
