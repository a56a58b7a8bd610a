"""From outlines to masks and back, exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.errors import NanosegError


def rasterise(polygon: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Pixels whose centre lies inside a polygon (even-odd rule).

    Scan lines through the pixel centres with half-open edges: polygons that share an edge never share a pixel. The
    work grows with the area and the perimeter, not with their product as in ``skimage.draw.polygon``.

    Parameters
    ----------
    polygon : float array, shape (K, 2)
        (row, column) vertices; the centre of the first pixel is (0, 0).
    shape : tuple of int
        (Y, X) of the image.

    Returns
    -------
    mask : bool array, shape (rows, columns)
        The part of the image that the polygon's bounding box covers; may be empty.
    start : tuple of int
        (row, column) of the mask's first pixel.

    Raises
    ------
    NanosegError
        When there are fewer than three vertices or some are not finite.
    """
    if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3 or not np.isfinite(polygon).all():
        raise NanosegError(f"An outline of shape {polygon.shape} is not a polygon; give three or more (row, column).")
    limits = np.asarray(shape)
    start = np.clip(np.ceil(polygon.min(axis=0)), 0, limits).astype(np.int64)
    stop = np.clip(np.floor(polygon.max(axis=0)) + 1, start, limits).astype(np.int64)
    height, width = (int(n) for n in stop - start)
    rows, columns = (polygon - start).T
    # each edge from its upper to its lower end, so that an edge walked to and fro cancels to the last bit
    following = np.roll(np.arange(len(rows)), -1)
    down = rows < rows[following]
    upper = np.where(down, np.arange(len(rows)), following)
    lower = np.where(down, following, np.arange(len(rows)))
    first = np.clip(np.ceil(rows[upper]), 0, height).astype(np.int64)
    last = np.clip(np.ceil(rows[lower]), 0, height).astype(np.int64)
    lines = last - first
    edge = np.repeat(np.arange(len(rows)), lines)
    row = np.arange(lines.sum()) - np.repeat(np.cumsum(lines) - lines, lines) + first[edge]
    top, bottom = upper[edge], lower[edge]
    share = (row - rows[top]) / (rows[bottom] - rows[top])
    column = np.clip(np.ceil(columns[top] + share * (columns[bottom] - columns[top])), 0, width).astype(np.int64)
    crossings = np.bincount(row * (width + 1) + column, minlength=height * (width + 1)).reshape(height, width + 1)
    mask: NDArray[np.bool_] = np.cumsum(crossings, axis=1)[:, :width] % 2 == 1
    return mask, (int(start[0]), int(start[1]))


def outline(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """One closed polygon around all pixels of a mask, halfway between them and the others.

    Pieces and holes are :func:`joined`: :func:`rasterise` gives back exactly the mask.

    Parameters
    ----------
    mask : bool array, shape (Y, X)
        With at least one pixel.

    Returns
    -------
    float64 array, shape (K, 2)
        (row, column) vertices relative to the centre of the mask's first pixel, not closed.
    """
    return joined(rings(mask))


def rings(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """The same as a closed polygon of its own around each piece and each hole, for drawing.

    Parameters
    ----------
    mask : bool array, shape (Y, X)

    Returns
    -------
    list of float64 arrays, shape (K, 2)
        As of :func:`outline`.
    """
    from skimage.measure import find_contours

    return [_corners(ring[:-1] - 1) for ring in find_contours(np.pad(mask, 1).astype(float), 0.5)]


def joined(polygons: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """One polygon of several, joined by lines walked to and fro from the first vertex of the first one.

    Under the even-odd rule it covers what an odd number of them enclose.
    """
    home = polygons[0][:1]
    return np.concatenate([polygons[0], *(part for ring in polygons[1:] for part in (home, ring, ring[:1]))])


def _corners(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Drop vertices on straight stretches."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    corners: NDArray[np.float64] = ring[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]
    return corners
