"""Touching particles parted by a watershed of the distance to the background, tile by tile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, label

from napari_nanoseg.engines.baseline.pieces import CORNERS
from napari_nanoseg.events import Progress, checkpoint, tell
from napari_nanoseg.tiling import tiles

TILE = 512
"""Largest side of a tile: the morphological reconstruction of a window of 704 px, which cannot be interrupted, takes
0.25 s, one of 1216 px 1.1 s."""
REACH = 96
"""How far windows reach into their neighbours, px at working scale: three particles."""
SMOOTHING = 1.0
"""Of the distance, px: without it, every step of an outline of pixels is a dip."""


def part_mask(mask: NDArray[np.bool_], depth: float, tile: int) -> NDArray[np.int32]:
    """Part the pieces of a mask.

    Every local maximum of the distance to the background that is more than `depth` above the saddle to a higher one is
    the seed of a particle (h-maxima; Soille, Morphological Image Analysis, 2003); a watershed gives each its pixels.
    A particle belongs to the tile in which its seed lies. Where an image needs several tiles, what reaches more than
    `REACH` beyond the tile of its seed is cut off there.

    Parameters
    ----------
    mask : bool array, shape (Y, X)
        At working scale.
    depth : float
        In pixels.
    tile : int
        Side of a tile, at most `TILE`.

    Returns
    -------
    int32 array, shape (Y, X)
        Numbers from 1; 0 is background.
    """
    labels = np.zeros(mask.shape, np.int32)
    count = 0
    cut = tiles((mask.shape[0], mask.shape[1]), min(tile, TILE), REACH)
    for done, one in enumerate(cut):
        tell(Progress(done, len(cut), "tiles"))
        window = slice(*one.rows), slice(*one.columns)
        if not mask[window].any():
            continue
        found, seeds = _part_window(mask[window], depth)
        here = seeds + np.array([one.rows[0], one.columns[0]])
        starts, stops = np.transpose([one.own_rows, one.own_columns])
        own = np.flatnonzero(((here >= starts) & (here < stops)).all(axis=1))
        numbers = np.zeros(len(seeds) + 1, np.int32)
        numbers[own + 1] = count + 1 + np.arange(len(own))
        count += len(own)
        taken = labels[window]
        np.copyto(taken, numbers[found], where=taken == 0)
    tell(Progress(len(cut), len(cut), "tiles"))
    return labels


def _part_window(mask: NDArray[np.bool_], depth: float) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Watershed of one window: its labels, and for each of them the first pixel of its seed."""
    from skimage.morphology import local_maxima, reconstruction
    from skimage.segmentation import watershed

    distance = distance_transform_edt(mask) if not mask.all() else np.full(mask.shape, max(mask.shape), float)
    height = gaussian_filter(distance.astype(np.float32), SMOOTHING)
    checkpoint()
    flooded = reconstruction(height - np.float32(depth), height)
    checkpoint()
    seeds, number = label(local_maxima(flooded) & mask, CORNERS)
    found = watershed(-height, seeds, mask=mask)
    checkpoint()
    _, first = np.unique(seeds, return_index=True)
    places = np.stack(np.unravel_index(first[-number:] if number else first[:0], mask.shape), axis=1)
    return found.astype(np.int32, copy=False), places
