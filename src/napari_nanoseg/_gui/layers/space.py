"""How large the pixels of a layer are, and whether those of two layers lie on each other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from napari.layers import Layer

from napari_nanoseg.calibration import NM_PER_UNIT, Calibration
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.layer_space import axes_of, plain


def calibration_of(layer: Layer) -> Calibration:
    """Pixel size of a layer: per row and column, in a stack with known distances also per slice.

    Raises
    ------
    NanosegError
        When the layer has units but is sheared, so that its pixels are not rectangles.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> from napari.components import ViewerModel
    >>> viewer = ViewerModel()  # in a window: napari.Viewer()
    >>> layer = viewer.add_image(np.zeros((32, 32), np.uint8), scale=(2, 2), units=("nm", "nm"))
    >>> ns.calibration_of(layer).nm_per_pixel
    2.0
    """
    letters = axes_of(layer)
    kept = [index for index, letter in enumerate(letters) if letter in "ZYX"]
    factors = [_nm_per(layer.units[index]) for index in kept]
    if None in factors[-2:]:
        return Calibration()
    if factors[0] is None:
        kept, factors = kept[1:], factors[1:]
    factor = np.array(factors, dtype=float)
    if plain(layer):
        sizes = np.abs(np.asarray(layer.scale)[kept]) * factor
    else:
        steps = np.array([layer.data_to_world(row) for row in np.eye(layer.ndim)])
        steps = (steps - np.array(layer.data_to_world(np.zeros(layer.ndim))))[np.ix_(kept, kept)] * factor
        sizes = np.sqrt((steps**2).sum(axis=1))
        angles = (steps @ steps.T) / np.outer(sizes, sizes)
        if not np.allclose(angles, np.eye(len(kept)), atol=1e-3):
            raise NanosegError(
                f"The layer '{layer.name}' is sheared, so its pixels have no length and width; remove the shear "
                "(layer.shear = 0, or its affine matrix)."
            )
    return Calibration(tuple(float(size) for size in sizes))


def apart(first: Layer, second: Layer) -> float:
    """How many pixels of `first` the first pixels of two layers lie apart, in rows or columns; 0 if not comparable.

    Layers of other pixel sizes or units are not comparable: they have the same pixels all the same.
    """
    scale, other = (np.asarray(layer.scale)[-2:] for layer in (first, second))
    if not np.allclose(scale, other) or [str(u) for u in first.units[-2:]] != [str(u) for u in second.units[-2:]]:
        return 0.0
    shift = np.asarray(first.translate)[-2:] - np.asarray(second.translate)[-2:]
    return float(np.abs(shift / scale).max())


def same_unit(unit: Any, other: Any) -> float:
    """Factor that brings a length in one unit to another; 1 where one of them is no length, as napari draws them."""
    sizes = _nm_per(unit), _nm_per(other)
    return 1.0 if sizes[0] is None or sizes[1] is None else sizes[0] / sizes[1]


def _nm_per(unit: Any) -> float | None:
    """Nanometres in a unit of a layer; None for pixels and other units that are no lengths."""
    known = NM_PER_UNIT.get(str(unit))
    if known is not None or not unit.is_compatible_with("nm"):
        return known
    value = float((1 * unit).to("nm").magnitude)  # with rounding errors: a metre is 999999999.9999999 nm
    return round(value, 12 - math.ceil(math.log10(value)))
