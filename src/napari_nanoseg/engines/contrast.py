"""Grey values before a network sees them: whether there is anything to see, and the percentiles they are brought to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.samples import Image
from napari_nanoseg.scaling import ScaledView

STRIP = 2**24
"""Pixels looked at together, so that nothing as large as the image is made."""
EXTREME = 2.0  # how far beyond the percentiles a pixel may be, in spans between them
SAMPLED_PIXELS = 16_000_000  # above this, percentiles come from evenly spaced pixels

Normalisation = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Subtracted from and multiplied to each channel."""


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


def between_percentiles(
    view: ScaledView, percentiles: tuple[float, float], *, clip: bool
) -> tuple[ScaledView, Normalisation]:
    """What brings two percentiles of a view to 0 and 1 (as csbdeep), and the view, on request without extreme pixels.

    Parameters
    ----------
    view : ScaledView
    percentiles : tuple of float
    clip : bool
        Clip pixels far beyond them.
    """
    pixels = view.sampled(SAMPLED_PIXELS)
    low, high = np.percentile(pixels, percentiles, axis=(0, 1))
    if np.any(low == high):  # nearly all of the image is of one value
        low, high = pixels.min(axis=(0, 1)), pixels.max(axis=(0, 1))
    offset, span = np.asarray(low, np.float32), np.asarray(high - low, np.float32)
    factor = np.asarray(1 / (span + np.float32(1e-20)), np.float32)
    if not clip:
        return view, (offset, factor)
    return view.clipped(offset - EXTREME * span, offset + (1 + EXTREME) * span), (offset, factor)


def inverted(normalisation: Normalisation) -> Normalisation:
    """Normalisation after which 0 and 1 are exchanged."""
    offset, factor = normalisation
    return np.asarray(offset + 1 / factor, np.float32), -factor
