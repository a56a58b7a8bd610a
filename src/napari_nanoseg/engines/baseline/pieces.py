"""Connected pieces of a mask, strip by strip, so that nobody waits long for an image of any size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_nanoseg.events import checkpoint

STRIP = 2**23
"""Pixels labelled at once: 0.1 s."""
EDGES, CORNERS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool), np.ones((3, 3), bool)
"""Pixels that belong together: those that share an edge; or an edge or a corner."""


def find_pieces(
    mask: NDArray[np.bool_], structure: NDArray[np.bool_] = EDGES, strip: int = STRIP
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number the connected pieces of a mask as ``scipy.ndimage.label`` does.

    Parameters
    ----------
    mask : bool array, shape (Y, X)
    structure : bool array, shape (3, 3)
        `EDGES` or `CORNERS`.
    strip : int
        Pixels labelled at once.

    Returns
    -------
    labels : int32 array, shape (Y, X)
    areas : int64 array
        Pixels by label; the first is the background's.
    """
    labels = np.zeros(mask.shape, np.int32)
    high = max(1, strip // mask.shape[1])
    tops = range(0, len(mask), high)
    count, pairs = 0, [np.zeros((2, 0), np.int64)]
    for top in tops:
        found, number = label(mask[top : top + high], structure)
        found[found > 0] += count
        labels[top : top + high] = found
        count += number
        if top:
            pairs.append(_touching(labels[top - 1], labels[top], corners=bool(structure[0, 0])))
        checkpoint()
    first, second = np.concatenate(pairs, axis=1)
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(count + 1, count + 1))
    number, joined = connected_components(links, directed=False)
    areas = np.zeros(number, np.int64)
    for top in tops:
        rows = slice(top, top + high)
        labels[rows] = joined[labels[rows]]
        areas += np.bincount(labels[rows].ravel(), minlength=number)
        checkpoint()
    return labels, areas


def fill_holes(mask: NDArray[np.bool_], largest: float) -> NDArray[np.bool_]:
    """Fill the holes of a mask that have less than `largest` pixels; what reaches the rim of the image is no hole."""
    labels, areas = find_pieces(~mask, CORNERS)
    small = areas < largest
    small[0] = False
    small[np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))] = False
    if not small.any():
        return mask
    filled = mask.copy()
    high = max(1, STRIP // mask.shape[1])
    for top in range(0, len(mask), high):
        filled[top : top + high] |= small[labels[top : top + high]]
        checkpoint()
    return filled


def _touching(above: NDArray[np.int32], below: NDArray[np.int32], *, corners: bool) -> NDArray[np.int64]:
    """Pairs of labels that touch across the seam of two strips."""
    rows = [(above, below)]
    if corners:
        rows += [(above[1:], below[:-1]), (above[:-1], below[1:])]
    pairs = np.concatenate([np.stack(row) for row in rows], axis=1)
    return np.unique(pairs[:, (pairs > 0).all(axis=0)], axis=1).astype(np.int64)
