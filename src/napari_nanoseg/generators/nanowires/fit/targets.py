"""Real images as the fit takes them: grey, without the microscope's data bar, in windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.samples import Image

SMALLEST = 64
"""Sides (px) below this hold too few blocks to tell noise from content."""
SIDE = 384
"""Largest side (px) of the windows that are compared."""
MOST = 3
"""Windows along each side of an image, at most."""
IN_BAR = 0.4
"""Fraction of black and white pixels from which on a row at the edge belongs to a data bar."""


@dataclass(frozen=True, eq=False)
class Target:
    """One real image: windows of its grey values and the number of rows of its data bar.

    Whole numbers are divided by their type's white, so that they run from 0 to 1; ``white`` is what 1 stands for.
    """

    windows: tuple[NDArray[np.float32], ...]
    dtype: str
    white: float
    bar: int


def target_of(image: Image, grey: bool) -> Target:
    """Take an image as a target; `grey` says whether the look is one that runs from black to white.

    Raises
    ------
    NanosegError
        When it has colours, is a stack, is too small, has one value only, or holds grey values of no known white.
    """
    where = image.source
    if image.axes != "YX":
        what = "has colours" if image.axes.endswith("C") else "is a stack"
        raise NanosegError(f"{where} {what}; save it as one grey image to fit the generator to it.")
    pixels = np.asarray(image.loaded().data)
    if not np.isfinite(pixels).all():
        raise NanosegError(f"{where} has pixels that are NaN or infinite; replace them and save it again.")
    dtype = {"uint8": "uint8", "uint16": "uint16"}.get(pixels.dtype.name, "float32")
    white = 1.0 if dtype == "float32" else float(np.iinfo(dtype).max)
    values = pixels.astype(np.float32) / np.float32(white)
    rows, bar = _above_bar(values)
    values = values[:rows]
    if min(values.shape) < SMALLEST:
        raise NanosegError(
            f"{where} has {values.shape[0]} x {values.shape[1]} px; a fit needs at least {SMALLEST} x {SMALLEST}."
        )
    if np.ptp(values) == 0:
        raise NanosegError(f"{where} has the same value {pixels.flat[0]} everywhere; choose an image with content.")
    if dtype == "float32" and grey and not (values.min() >= 0 and values.max() <= 1):
        raise NanosegError(
            f"{where} holds numbers from {values.min():g} to {values.max():g}; SEM and TEM images as floating-point "
            "numbers must run from 0 (black) to 1 (white): save it with 8 or 16 bits."
        )
    return Target(tuple(_windows(values)), dtype, white, bar)


def _above_bar(values: NDArray[np.float32]) -> tuple[int, int]:
    """Rows above a data bar at the lower edge, and of the bar."""
    extreme = (values == values.min()) | (values == values.max())
    inside = extreme.mean(1) > IN_BAR
    if not inside[-1] or inside.all():
        return len(values), 0
    top = int(np.flatnonzero(~inside)[-1]) + 1
    return top, len(values) - top


def _windows(values: NDArray[Any]) -> list[NDArray[np.float32]]:
    sides = [min(side, SIDE) for side in values.shape]
    starts = []
    for side, most in zip(sides, values.shape, strict=True):
        count = min(MOST, max(1, most // side))
        starts.append(np.linspace(0, most - side, count).astype(int))
    return [
        np.ascontiguousarray(values[row : row + sides[0], column : column + sides[1]])
        for row in starts[0]
        for column in starts[1]
    ]
