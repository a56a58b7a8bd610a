"""Size and shape of one particle's mask."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Shape(NamedTuple):
    """What :func:`shape_of` finds, in pixels; ``docs/measuring.md`` defines every field."""

    area: int
    rectangle_length: float
    rectangle_width: float
    feret_max: float
    feret_min: float
    perimeter: float
    convex_area: int
    orientation_deg: float
    centroid_row: float
    centroid_column: float


def shape_of(mask: NDArray[np.bool_]) -> Shape:
    """Measure one object, whatever its pieces and holes.

    A pixel is a unit square: lengths run between the outer corners of pixels, so an axis-parallel rectangle of w x h
    pixels measures exactly w and h.

    Parameters
    ----------
    mask : bool array, shape (Y, X)
        The object in its tight bounding box (no empty outer row or column).

    Returns
    -------
    Shape
        Centroid relative to the crop.
    """
    from skimage.measure import perimeter_crofton

    corners = _hull(mask)
    edges = np.concatenate((corners[1:], corners[:1])) - corners
    length, width, feret_max, feret_min = _calipers(corners, edges)
    row, column, orientation = _moments(mask)
    return Shape(
        area=int(np.count_nonzero(mask)),
        rectangle_length=length,
        rectangle_width=width,
        feret_max=feret_max,
        feret_min=feret_min,
        perimeter=float(perimeter_crofton(mask, directions=4)),
        convex_area=_convex_area(corners, edges, mask.shape),
        orientation_deg=orientation,
        centroid_row=row,
        centroid_column=column,
    )


def _hull(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Vertices (row, column) of the convex hull of all pixel corners, in order around it.

    The outermost corners of each row come sorted, so one pass down and one up suffice (A. M. Andrew, Inf. Process.
    Lett. 9, 216 (1979)): exact, and half the time of Qhull for a particle of 40 rows.
    """
    left = _outermost(mask)
    right = mask.shape[1] - _outermost(mask[:, ::-1])
    heights = np.flatnonzero(left < mask.shape[1])
    down = _convex(heights.tolist(), left[heights].tolist())
    up = _convex(heights[::-1].tolist(), right[heights[::-1]].tolist())
    return np.array(down + up, dtype=np.int64)


def _outermost(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """First column with a pixel beside each of the lines above, between and below the rows; the width if none."""
    width = mask.shape[1]
    first = np.full(len(mask) + 2, width)
    first[1:-1] = np.where(mask.any(axis=1), mask.argmax(axis=1), width)
    edge: NDArray[np.int64] = np.minimum(first[:-1], first[1:])
    return edge


def _convex(rows: list[int], columns: list[int]) -> list[tuple[int, int]]:
    """Those of the points, sorted by row, at which the line through them turns left."""
    kept: list[tuple[int, int]] = []
    for row, column in zip(rows, columns, strict=True):
        while len(kept) > 1:
            row0, column0 = kept[-2]
            row1, column1 = kept[-1]
            if (row1 - row0) * (column - column0) > (column1 - column0) * (row - row0):
                break
            kept.pop()
        kept.append((row, column))
    return kept


def _calipers(corners: NDArray[np.int64], edges: NDArray[np.int64]) -> tuple[float, float, float, float]:
    """Long and short side of the minimum-area rectangle, largest and smallest Feret diameter.

    The minimum-area rectangle and the smallest Feret diameter both lie along an edge of the convex hull
    (H. Freeman, R. Shapira, Commun. ACM 18, 409 (1975)), the largest Feret diameter between two of its corners.
    """
    along = edges / np.hypot(edges[:, 0], edges[:, 1])[:, None]
    across = along[:, ::-1] * (1.0, -1.0)
    positions = np.concatenate((along, across)) @ corners.T
    extents = positions.max(axis=1) - positions.min(axis=1)
    lengths, widths = extents[: len(edges)], extents[len(edges) :]
    best = int(np.argmin(lengths * widths))
    short, long = sorted((float(lengths[best]), float(widths[best])))
    between = corners[:, None] - corners
    feret_max = math.sqrt(int(np.einsum("ijk,ijk->ij", between, between).max()))
    return long, short, feret_max, float(widths.min())


def _convex_area(corners: NDArray[np.int64], edges: NDArray[np.int64], box: tuple[int, ...]) -> int:
    """Count the pixels whose centres lie in the convex hull of the mask's pixel centres.

    The hull of the corners is the hull of the centres widened by one unit square: its area is larger by the box's
    height + width - 1, its edge holds 4 more lattice points. Pick's theorem then counts the centres without drawing.
    """
    twice_area = abs(int(corners[:, 0] @ edges[:, 1] - corners[:, 1] @ edges[:, 0]))
    on_edge = int(np.gcd(edges[:, 0], edges[:, 1]).sum())
    return (twice_area + on_edge) // 2 - sum(box)


def _moments(mask: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Centroid and direction of the long axis of the ellipse with the same second moments.

    The direction is in degrees, 0 <= angle < 180, counter-clockwise on the screen from the column axis (0 is
    horizontal, 90 vertical); 0 where no direction is preferred.
    """
    rows, columns = np.nonzero(mask)
    count, row, column = len(rows), int(rows.sum()), int(columns.sum())
    # Whole numbers: rounding would give a disc or a square a direction of its own.
    vertical = count * int(rows @ rows) - row * row
    horizontal = count * int(columns @ columns) - column * column
    rising = row * column - count * int(rows @ columns)
    angle = math.degrees(0.5 * math.atan2(2 * rising, horizontal - vertical))
    return row / count, column / count, angle % 180.0
