"""Whether there is anything to see in an image."""

from __future__ import annotations

import numpy as np

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.samples import Image

STRIP = 2**24
"""Pixels looked at together, so that nothing as large as the image is made."""


def is_flat(plane: Image) -> bool:
    """Whether all pixels of a plane are the same.

    Raises
    ------
    NanosegError
        When a pixel is NaN or infinite.
    """
    high = max(1, STRIP // plane.data[0].size)
    strips = [plane.data[top : top + high] for top in range(0, len(plane.data), high)]
    if plane.data.dtype.kind == "f" and not all(np.isfinite(strip).all() for strip in strips):
        raise NanosegError(f"{plane.source}: the image has NaN or infinite pixels; replace them first.")
    return bool(plane.data.min() == plane.data.max())
