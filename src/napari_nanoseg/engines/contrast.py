"""Grey values before a network sees them: whether there is anything to see, and the percentiles they are brought to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import checkpoint
from napari_nanoseg.samples import Image
from napari_nanoseg.scaling import FloatImage, ScaledView

STRIP = 2**22
"""Numbers looked at together, so that nothing as large as the image is made and none takes 0.1 s."""
EXTREME = 2.0  # how far beyond the percentiles a pixel may be, in spans between them
SAMPLED_PIXELS = 16_000_000  # above this, percentiles come from evenly spaced pixels

Normalisation = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Subtracted from and multiplied to each channel."""


def is_flat(plane: Image) -> bool:
    """Find out whether all pixels of a plane are the same, strip by strip.

    Raises
    ------
    NanosegError
        When a pixel is NaN or infinite.
    """
    first, flat = plane.data.flat[0], True
    for rows in strips(plane):
        strip = plane.data[rows]
        if strip.dtype.kind == "f" and not np.isfinite(strip).all():
            raise NanosegError(f"{plane.source}: the image has NaN or infinite pixels; replace them first.")
        flat = flat and bool((strip == first).all())
        if not flat and strip.dtype.kind != "f":
            break
        checkpoint()
    return flat


def strips(plane: Image) -> list[slice]:
    """Rows of a plane, few enough at a time that looking at them cannot be waited for."""
    high = max(1, STRIP // plane.data[0].size)
    return [slice(top, min(top + high, len(plane.data))) for top in range(0, len(plane.data), high)]


def to_grey(plane: Image) -> NDArray[Any]:
    """Pixels of one channel: of several, their mean (float32), strip by strip."""
    if not plane.axes.endswith("C"):
        return plane.data
    grey = np.empty(plane.plane_shape, np.float32)
    for rows in strips(plane):
        plane.data[rows].mean(axis=-1, dtype=np.float32, out=grey[rows])
        checkpoint()
    return grey


def normalise(view: ScaledView, percentiles: tuple[float, float], *, clip: bool) -> tuple[ScaledView, Normalisation]:
    """What brings two percentiles of a view to 0 and 1 (as csbdeep), and the view, on request without extreme pixels.

    Parameters
    ----------
    view : ScaledView
    percentiles : tuple of float
    clip : bool
        Clip pixels far beyond them.
    """
    pixels = view.sampled(SAMPLED_PIXELS)
    checkpoint()
    low, high = _percentiles(pixels, percentiles)
    if np.any(low == high):  # nearly all of the image is of one value
        low, high = pixels.min(axis=(0, 1)), pixels.max(axis=(0, 1))
    offset, span = np.asarray(low, np.float32), np.asarray(high - low, np.float32)
    factor = np.asarray(1 / (span + np.float32(1e-20)), np.float32)
    if not clip:
        return view, (offset, factor)
    return view.clipped(offset - EXTREME * span, offset + (1 + EXTREME) * span), (offset, factor)


def _percentiles(pixels: FloatImage, percentiles: tuple[float, float]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two percentiles of the pixels, of each channel for itself."""
    channels = pixels.reshape(*pixels.shape[:2], -1)
    found = []
    for channel in range(channels.shape[-1]):
        found.append(np.percentile(channels[..., channel], percentiles))
        checkpoint()
    low, high = np.stack(found, axis=-1).reshape(2, *pixels.shape[2:])
    return np.asarray(low), np.asarray(high)


def inverted(normalisation: Normalisation) -> Normalisation:
    """Normalisation after which 0 and 1 are exchanged."""
    offset, factor = normalisation
    return np.asarray(offset + 1 / factor, np.float32), -factor
