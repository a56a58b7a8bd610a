"""How much of a particle an outline can show that is seen from one point inside, as StarDist draws it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.outlines import rasterise

RAYS = 64


def star_share(mask: NDArray[np.bool_]) -> tuple[float, NDArray[np.int64]]:
    """Draw a mask as a star-convex polygon from its innermost pixel.

    Parameters
    ----------
    mask : bool array, shape (Y, X)
        One piece.

    Returns
    -------
    share : float
        Intersection over union of the polygon with the mask.
    centre : int64 array, shape (2,)
        (row, column) of the innermost pixel.
    """
    from scipy.ndimage import distance_transform_edt

    inside = np.pad(mask, 1)
    centre = np.array(np.unravel_index(distance_transform_edt(inside).argmax(), inside.shape))
    angles = np.linspace(0, 2 * np.pi, RAYS, endpoint=False)
    directions = np.stack([np.sin(angles), np.cos(angles)])
    steps = np.arange(0, np.hypot(*inside.shape), 0.5)
    places = np.rint(centre[:, None, None] + directions[:, :, None] * steps).astype(int)
    rows, columns = (np.clip(axis, 0, size - 1) for axis, size in zip(places, inside.shape, strict=True))
    reach = steps[np.argmin(inside[rows, columns], axis=1)]  # the padding ends every ray
    drawn = np.zeros_like(inside)
    polygon, (row, column) = rasterise(centre + (directions * reach).T, inside.shape)
    drawn[row : row + polygon.shape[0], column : column + polygon.shape[1]] = polygon
    share = np.count_nonzero(drawn & inside) / np.count_nonzero(drawn | inside)
    return float(share), centre - 1
