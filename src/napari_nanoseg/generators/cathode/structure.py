"""The objects of a phantom: particles of grains, what is between them, and the load at which each voxel cracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.cathode import CathodeConfig
from napari_nanoseg.events import checkpoint
from napari_nanoseg.generators.cathode.fields import Faults, Grains, distances, grow, hills
from napari_nanoseg.generators.cathode.packing import Packing, pack

CRACK, VOID, BINDER, PARTICLE = 1, 2, 3, 4
"""Values of the class map."""
CLASSES = ("crack", "void", "carbon/binder", "particle")
"""Names of the classes; class i has the value i + 1."""

TRIES = 6
"""Packings that are tried, each with another volume of spheres, until the particles fill about their part."""
CLOSE = 0.02
"""Difference from the asked packing at which no other is tried: the rest is done by growing or shrinking."""
CROWD = (0.3, 1.6)
"""Least and most volume of the spheres, over that asked for."""
GROWTH = 0.12
"""Part of the mean radius by which particles may be grown or shrunk to fill exactly their part."""
SAMPLED = 12
"""Points along a particle's diameter at which the filling is estimated before all voxels are computed."""
BUMPINESS = 0.2
"""How far grains stand out of a particle, in their size."""
JITTER = 0.9
"""Part of its lattice cell in which a grain's seed may lie."""
WEIGHTS = (0.3, 0.5, 0.5, 0.9)
"""Loads: what a particle bears at most, a boundary bears at most, growth to the other end, opening to the full
width."""
BLOCKS = 0.8
"""Farthest points of blocks from the centre, in radii: farther ones would part thin caps from a particle."""
OUTWARD = 0.8
"""Part of the boundaries whose cracks begin at the particle's centre; the others begin at its surface."""
CONTACT = 1.5
"""How much carbon and binder prefer the places between particles, in standard deviations of their clouds."""
STRUCTURE, CROWDED = 0, 2
"""Streams of random numbers."""


@dataclass(frozen=True, eq=False)
class Structure:
    """The uncracked objects of a phantom; arrays of shape (Z, Y, X).

    ``classes`` (uint8) has the values VOID, BINDER, PARTICLE; ``particles`` (int32) numbers the particles from 1;
    ``grains`` (float32) is a random number of each grain, 0 to 1; ``ease`` (float32) is the load at which a voxel of a
    particle cracks, FAR where it does not.
    """

    classes: NDArray[np.uint8]
    particles: NDArray[np.int32]
    grains: NDArray[np.float32]
    ease: NDArray[np.float32]


def pack_for(config: CathodeConfig, index: int) -> tuple[Packing, float]:
    """Pack the bodies of phantom `index`; give also the part that its particles can fill when they grow, about."""
    thickest = _growth(config)
    step = max(1, int(config.particle_diameter_nm[0] / config.pixel_size_nm / SAMPLED))
    shape = tuple(-(-size // step) for size in config.shape)
    crowd, nearest, best = 1.0, np.inf, None
    for number in range(TRIES):
        packing = pack(config, crowd, np.random.default_rng([config.seed, index, CROWDED, number]))
        checkpoint()
        depth, second, owner = _nearest(packing, shape, step, thickest)
        solid = (owner >= 0) & (owner < packing.particles)
        solid &= second - depth >= packing.gaps[np.maximum(owner, 0)]
        filled = float((solid & (depth <= 0)).mean())
        if abs(filled - config.packing) < nearest:
            nearest, best = abs(filled - config.packing), (packing, float((solid & (depth <= thickest)).mean()))
        if nearest < CLOSE:
            break
        crowd = min(max(crowd * config.packing / max(filled, 0.01), CROWD[0]), CROWD[1])
    assert best is not None
    return best


def draw_structure(config: CathodeConfig, index: int) -> Structure:
    """Draw the objects of phantom `index`."""
    packing, _ = pack_for(config, index)
    rng = np.random.default_rng([config.seed, index, STRUCTURE])
    thickest, reach = _growth(config), _reach(config)
    checkpoint()
    depth, second, owner = _nearest(packing, config.shape, 1, max(thickest, reach))
    grains, ease = np.zeros(config.shape, np.float32), np.empty(config.shape, np.float32)
    cell = max(config.grain_nm / config.pixel_size_nm, 2.0)
    lattice, faults = _grains(config.shape, cell, rng), _faults(config, len(packing.radii), rng)
    checkpoint()
    grow(depth, second, owner, packing, lattice, faults, thickest, grains, ease)
    checkpoint()
    solid = (owner >= 0) & (owner < packing.particles)
    depths = depth[solid]
    wanted = min(round(config.packing * depth.size), depths.size)
    level = float(np.partition(depths, wanted - 1)[wanted - 1]) if wanted else -np.inf
    solid &= depth <= min(max(level, -thickest), thickest)
    voids = (owner >= packing.particles) & (depth <= 0)
    classes = np.full(config.shape, VOID, np.uint8)
    classes[solid] = PARTICLE
    del depth, depths
    checkpoint()
    _fill_with_binder(classes, ~(solid | voids), second, config.binder, reach, cell, rng)
    owner += 1
    owner[~solid] = 0
    return Structure(classes, _renumbered(owner), grains, ease)


def _growth(config: CathodeConfig) -> float:
    low, high = config.particle_diameter_nm
    return GROWTH * (low + high) / 4 / config.pixel_size_nm


def _reach(config: CathodeConfig) -> float:
    """How far (px) outside particles their nearness is known."""
    return max(config.gap_nm[1], 0.2 * config.particle_diameter_nm[0]) / config.pixel_size_nm


def _nearest(
    packing: Packing, shape: tuple[int, ...], step: int, margin: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
    depth, second, owner = np.empty(shape, np.float32), np.empty(shape, np.float32), np.empty(shape, np.int32)
    distances(packing, margin, step, depth, second, owner)
    return depth, second, owner


def _grains(shape: tuple[int, ...], cell: float, rng: np.random.Generator) -> Grains:
    """Draw the grains, `cell` px wide."""
    cells = tuple(int((size - 1) / cell) + 3 for size in shape)
    corners = np.stack(np.meshgrid(*(np.arange(-1, count - 1) for count in cells), indexing="ij"), -1)
    seeds = (corners + 0.5 + JITTER * (rng.random((*cells, 3)) - 0.5)) * cell
    return Grains(seeds.astype(np.float32), rng.random(cells, np.float32), cell, BUMPINESS * cell)


def _faults(config: CathodeConfig, bodies: int, rng: np.random.Generator) -> Faults:
    """Draw where each body can crack."""
    most = config.blocks[1]
    radial = rng.random(bodies) < config.radial_fraction
    counts = rng.integers(config.blocks[0], most + 1, bodies)
    points = rng.standard_normal((bodies, most, 3))
    points /= np.linalg.norm(points, axis=2, keepdims=True)
    points *= np.where(radial[:, None, None], 1.0, BLOCKS * np.cbrt(rng.random((bodies, most, 1))))
    strength = np.triu(rng.random((bodies, most, most)), 1)
    outward = np.triu(rng.random((bodies, most, most)) < OUTWARD, 1)
    widths = np.array(config.crack_width_nm) / (2 * config.pixel_size_nm)
    # narrower than a voxel, a surface would have holes
    narrow = max(float(widths[0]), 0.5)
    wide = max(float(widths[1]), narrow + 0.01)
    branching = 0.3 / config.branching if config.branching else np.inf
    return Faults(
        radial,
        counts,
        points.astype(np.float32),
        (strength + strength.transpose(0, 2, 1)).astype(np.float32),
        outward | outward.transpose(0, 2, 1),
        rng.random(bodies, np.float32),
        np.array([*WEIGHTS, branching], np.float32),
        np.array([narrow, wide], np.float32),
    )


def _fill_with_binder(
    classes: NDArray[np.uint8],
    free: NDArray[np.bool_],
    second: NDArray[np.float32],
    part: float,
    reach: float,
    cell: float,
    rng: np.random.Generator,
) -> None:
    """Give carbon and binder their part of the free voxels: clouds that prefer the places between particles."""
    wanted = round(part * int(np.count_nonzero(free)))
    if not wanted:
        return
    field = np.zeros(classes.shape, np.float32)
    for size, height in ((3 * cell, 1.0), (1.2 * cell, 0.6)):
        cells = tuple(int((length - 1) / size) + 2 for length in classes.shape)
        hills((height * rng.standard_normal(cells)).astype(np.float32), size, free, field)
    near = field[free] + np.float32(CONTACT) * (1 - np.clip(second[free] / np.float32(reach), 0, 1))
    chosen = np.full(near.size, VOID, np.uint8)
    chosen[np.argpartition(-near, wanted - 1)[:wanted]] = BINDER
    classes[free] = chosen


def _renumbered(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """The same objects with the numbers 1, 2, ... in their order."""
    present = np.bincount(labels.ravel()) > 0
    present[0] = False
    numbers = np.cumsum(present).astype(np.int32)
    numbers[~present] = 0
    return np.asarray(numbers[labels])
