"""The particle pool: which annotated particles are good enough to paste, and how they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.generate import CutPasteConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.generators.quilting import quilt
from napari_nanoseg.generators.sources import Source

LARGEST_POOL = 400
"""More particles are thinned out at random, which bounds the memory."""
OUTLIER = 3.5
"""Modified z-score above which a value is an outlier (Iglewicz & Hoaglin 1993)."""
PAD = 2
"""Pixels kept around a particle's bounding box."""
OUTLINE_SMOOTHING = 0.7
"""Standard deviation (px) of the blur that takes the staircase out of the outlines."""
PIXEL_SOLIDITY = 0.3
"""The solidity of a convex shape of d px varies by about this over d, because its pixels make a staircase."""
DIRECTIONS = 128
"""Directions in half a turn for which the size of a particle is tabulated."""
SMALLEST_LEVEL = 12
"""Reduced copies are not made of crops smaller than this (px)."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Particles, each at full size and reduced two- and fourfold, one after the other in flat arrays.

    Parameters
    ----------
    textures, distances : float32 array
        Grey values (continued beyond the outline) and signed distance to the outline in px of the level, positive
        inside, of all entries; `offsets` (E,) and `shapes` (E, 2) tell where each entry lies.
    backgrounds : float32 array, shape (E,)
        Grey value of the background of the entry's source.
    entries : int64 array, shape (P, 3)
        The entries of each particle at its three levels (the last available one repeated).
    areas : float64 array, shape (P,)
        px.
    supports : float32 array, shape (P, DIRECTIONS)
        Farthest any pixel of the particle lies from the centre of its crop along each direction, px.
    """

    textures: NDArray[np.float32]
    distances: NDArray[np.float32]
    offsets: NDArray[np.int64]
    shapes: NDArray[np.int64]
    backgrounds: NDArray[np.float32]
    entries: NDArray[np.int64]
    areas: NDArray[np.float64]
    supports: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.areas)

    @property
    def diameters(self) -> NDArray[np.float64]:
        """Equivalent-circle diameter of each particle, shape (P,), px."""
        return np.sqrt(4 * self.areas / np.pi)

    def level(self, scales: NDArray[np.float64]) -> NDArray[np.int64]:
        """Choose the reduced copy (0, 1, 2) that suits each magnification."""
        return np.clip(np.floor(-np.log2(scales)), 0, self.entries.shape[1] - 1).astype(np.int64)

    def extents(self, which: NDArray[np.int64], forward: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows and columns that particles take up after the transformations `forward` (N, 2, 2); shape (N, 2), px."""
        angles = np.arctan2(forward[:, :, 0], forward[:, :, 1])
        nearest = np.round(angles * (DIRECTIONS / np.pi)).astype(np.int64) % DIRECTIONS
        between = 1 + np.pi / (2 * DIRECTIONS)
        return 2 * between * np.hypot(forward[:, :, 0], forward[:, :, 1]) * self.supports[which[:, None], nearest]


def make_pool(
    sources: Sequence[Source], levels: Sequence[float], config: CutPasteConfig, rng: np.random.Generator
) -> Pool:
    """Select particles and cut them out; `levels` are the background grey values of the sources.

    Raises
    ------
    NanosegError
        When every particle is at the border of its image and such particles are not wanted, or all are too small.
    """
    chosen = select_particles(sources, config)
    if len(chosen) > LARGEST_POOL:
        chosen = [chosen[k] for k in np.sort(rng.choice(len(chosen), LARGEST_POOL, replace=False))]
    crops: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    entries, areas, backgrounds, supports = [], [], [], []
    for where, index in chosen:
        texture, distance = cut_out(sources[where], index, levels[where])
        if not (distance > 0).any():  # a particle of one or two pixels has no inside
            continue
        variants = [texture] if config.texture in ("real", "mixed") else []
        if config.texture in ("quilted", "mixed"):
            variants.append(quilted_surface(texture, distance > 0, config, rng))
        for variant in variants:
            first = len(crops)
            crops.extend(_pyramid(variant, distance))
            made = len(crops) - first
            entries.append([first + min(level, made - 1) for level in range(3)])
            areas.append(float((distance > 0).sum()))
            supports.append(_support(distance > 0))
            backgrounds.extend([levels[where]] * made)
    if not crops:
        raise NanosegError("The outlined particles are too small to be cut out; outline larger ones.")
    shapes = np.array([texture.shape for texture, _ in crops], np.int64)
    return Pool(
        textures=np.concatenate([texture.ravel() for texture, _ in crops]),
        distances=np.concatenate([distance.ravel() for _, distance in crops]),
        offsets=np.concatenate([[0], shapes.prod(1).cumsum()[:-1]]).astype(np.int64),
        shapes=shapes,
        backgrounds=np.array(backgrounds, np.float32),
        entries=np.array(entries, np.int64),
        areas=np.array(areas, np.float64),
        supports=np.array(supports, np.float32),
    )


def select_particles(sources: Sequence[Source], config: CutPasteConfig) -> list[tuple[int, int]]:
    """Return the indices (source, instance) of the particles that pass the filters of the config.

    Raises
    ------
    NanosegError
        When every particle is at the border of its image and such particles are not wanted.
    """
    everyone = [(s, k) for s, source in enumerate(sources) for k in range(len(source.instances))]
    keep = np.ones(len(everyone), bool)
    if config.drop_border_particles:
        keep &= ~np.concatenate([source.instances.touches_border for source in sources])
        if not keep.any():
            names = ", ".join(source.name for source in sources[:3])
            raise NanosegError(
                f"{names}: every annotated particle is cut by the border of the image; outline a complete one, "
                "or set drop_border_particles to false."
            )
    areas = np.concatenate([source.instances.areas for source in sources]).astype(float)
    keep &= areas >= config.min_area_fraction * areas[keep].mean()
    if config.solidity_tolerance < 1:
        solidity = np.array(
            [_solidity(sources[s].instances.masks[k]) if keep[n] else 0.0 for n, (s, k) in enumerate(everyone)]
        )
        coarse = PIXEL_SOLIDITY / np.sqrt(areas)
        keep &= solidity >= np.quantile(solidity[keep], 0.9) - config.solidity_tolerance - coarse
    if config.drop_outliers:
        brightness, saturated = np.array([_look(sources[s], k) for s, k in everyone]).T
        inliers = keep & ~_outliers(np.log(areas), keep, 0.05)
        inliers &= ~_outliers(brightness, keep, 0.01) & ~_outliers(saturated, keep, 0.0015)
        keep = inliers if inliers.any() else keep
    return [pair for pair, kept in zip(everyone, keep, strict=True) if kept]


def _solidity(mask: NDArray[np.bool_]) -> float:
    from skimage.morphology import convex_hull_image

    return float(mask.sum() / convex_hull_image(mask).sum()) if min(mask.shape) > 2 else 1.0


def _look(source: Source, index: int) -> tuple[float, float]:
    """Mean grey value and saturated fraction (burnt-in letters) of a particle."""
    box = source.instances.boxes[index]
    values = source.grey[box[0] : box[2], box[1] : box[3]][source.instances.masks[index]]
    return float(values.mean()), float((values > 0.98).mean())


def _outliers(values: NDArray[np.float64], among: NDArray[np.bool_], least: float) -> NDArray[np.bool_]:
    """Values far from the median of those `among`; their median deviation counts as `least` or more."""
    median = np.median(values[among])
    spread = max(float(np.median(np.abs(values[among] - median))), least)
    outliers: NDArray[np.bool_] = 0.6745 * np.abs(values - median) / spread > OUTLIER
    return outliers


def cut_out(source: Source, index: int, level: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Texture and signed distance of one particle, PAD px larger than its box on all sides.

    The old background must not show at the edge, where outlines drawn by hand include some of it: the outermost pixels
    and everything beyond repeat the nearest pixel further inside, and no pixel is nearer to the background `level` than
    the inner part of the particle is.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    box = source.instances.boxes[index]
    mask = np.pad(source.instances.masks[index], PAD)
    texture = np.pad(source.grey[box[0] : box[2], box[1] : box[3]], PAD, mode="edge")
    inside = distance_transform_edt(mask)
    signed = np.where(mask, inside - 0.5, 0.5 - distance_transform_edt(~mask))
    core = inside >= min(2.0, float(inside.max()))
    inner = texture[inside >= min(0.08 * np.sqrt(mask.sum()) + 2, float(inside.max()))]
    nearest_level = np.quantile(inner, 0.01 if np.median(inner) > level else 0.99)
    texture = np.maximum(texture, nearest_level) if np.median(inner) > level else np.minimum(texture, nearest_level)
    nearest = distance_transform_edt(~core, return_distances=False, return_indices=True)
    distance = gaussian_filter(signed.astype(np.float32), OUTLINE_SMOOTHING)
    return np.ascontiguousarray(texture[tuple(nearest)], np.float32), distance


def quilted_surface(
    texture: NDArray[np.float32], mask: NDArray[np.bool_], config: CutPasteConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Keep the shading of a particle and synthesise its surface by quilting; one that is too small stays as it is."""
    from scipy.ndimage import gaussian_filter

    shading = gaussian_filter(texture, config.quilt_block / 4)
    detail = quilt(texture - shading, mask, mask.shape, config.quilt_block, config.quilt_overlap, rng)
    return texture if detail is None else np.asarray(shading + detail, np.float32)


def _support(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    angles = np.arange(DIRECTIONS) * (np.pi / DIRECTIONS)
    edge = mask & ~(np.roll(mask, 1, 1) & np.roll(mask, -1, 1))  # the ends of every row; the padding does not wrap
    points = np.argwhere(edge) - (np.array(mask.shape) - 1) / 2
    reach = np.abs(points @ np.stack([np.sin(angles), np.cos(angles)])).max(0) + 0.7
    return np.asarray(reach, np.float32)


def _pyramid(
    texture: NDArray[np.float32], distance: NDArray[np.float32]
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    levels = [(texture, distance)]
    while len(levels) < 3 and min(levels[-1][0].shape) >= 2 * SMALLEST_LEVEL:
        fine, far = levels[-1]
        levels.append((_halved(fine), _halved(far) / np.float32(2)))
    return levels


def _halved(array: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = array.shape[0] // 2 * 2, array.shape[1] // 2 * 2
    blocks = array[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2)
    return np.asarray(blocks.mean((1, 3)), np.float32)
