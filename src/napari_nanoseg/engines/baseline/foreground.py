"""Foreground and background of a plane by grey values, tile by tile."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from napari_nanoseg.config.baseline import BaselineConfig
from napari_nanoseg.events import Progress, tell
from napari_nanoseg.scaling import FloatImage, ScaledView
from napari_nanoseg.tiling import Tile, tiles

BINS = 1024
"""Of the histogram from which Otsu's threshold is taken."""
TRUNCATE = 4.0
"""Where the Gaussian filter ends, in sigmas: windows reach so far beyond their own part."""
OFFSET = 0.1
"""How far a pixel must be beyond its surroundings, in distances between the mean grey values of Otsu's two classes:
without it, half of an even background would be foreground."""


def find_foreground(
    view: ScaledView, config: BaselineConfig, *, bright: bool, diameter: float, tile: int
) -> NDArray[np.bool_]:
    """Find the pixels of the particles; the result does not depend on the tiles.

    Parameters
    ----------
    view : ScaledView
        Of one channel.
    config : BaselineConfig
    bright : bool
        Whether particles are brighter than the background.
    diameter : float
        Of the particles, px at working scale.
    tile : int
        Side of the tiles, px at working scale.

    Returns
    -------
    bool array, shape `view.shape`
    """
    reach = int(np.ceil(TRUNCATE * config.smoothing))
    side = max(3, round(config.window * diameter)) if config.method == "local" else 0
    coarse, fine = tiles(view.shape, tile, reach), tiles(view.shape, tile, reach + side // 2 + 1)
    total = len(coarse) + len(fine)
    low, high = float(view.source.min()), float(view.source.max())
    counts = np.zeros(BINS, np.int64)
    for done, one in enumerate(coarse):
        tell(Progress(done, total, "tiles"))
        own = _own(_smooth(view, one, config.smoothing), one)
        counts += np.histogram(own, BINS, (low, high))[0]
    edges = np.linspace(low, high, BINS + 1)
    level, contrast = otsu(counts, (edges[1:] + edges[:-1]) / 2)
    mask = np.zeros(view.shape, bool)
    if not contrast:
        return mask
    for done, one in enumerate(fine, start=len(coarse)):
        tell(Progress(done, total, "tiles"))
        smooth = _smooth(view, one, config.smoothing)
        if side:
            beyond = smooth - uniform_filter(smooth, side, mode="nearest")
            inside = beyond > OFFSET * contrast if bright else beyond < -OFFSET * contrast
        else:
            inside = smooth > level if bright else smooth <= level
        mask[slice(*one.own_rows), slice(*one.own_columns)] = _own(inside, one)
    tell(Progress(total, total, "tiles"))
    return mask


def _smooth(view: ScaledView, tile: Tile, sigma: float) -> FloatImage:
    pixels = view.window(tile.rows, tile.columns)
    return gaussian_filter(pixels, sigma, mode="nearest", truncate=TRUNCATE) if sigma else pixels


def _own(window: NDArray[Any], tile: Tile) -> NDArray[Any]:
    """The tile's own part of its window."""
    (top, bottom), (left, right) = tile.own_rows, tile.own_columns
    return window[top - tile.rows[0] : bottom - tile.rows[0], left - tile.columns[0] : right - tile.columns[0]]


def otsu(counts: NDArray[np.int64], greys: NDArray[np.float64]) -> tuple[float, float]:
    """Otsu's threshold, and how far apart the mean grey values of its two classes are; 0: there is only one."""
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = counts.sum() - below
    sums = np.cumsum(counts * greys)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = (sums[-1] - sums[:-1]) / above - sums[:-1] / below
    between = np.where((below > 0) & (above > 0), below * above * distance**2, -1.0)
    best = int(np.argmax(between))
    return float((greys[best] + greys[best + 1]) / 2), float(distance[best]) if between[best] > 0 else 0.0
