"""Giving layers the pixel size that the user knows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from napari.layers import Layer


def set_pixel_size(layers: Iterable[Layer], like: Layer, pixel_size_nm: float) -> list[Layer]:
    """Give layers another pixel size, so that those that lie on each other still do.

    Parameters
    ----------
    layers : iterable of layers
        Those with the same scale and units in rows and columns as `like` are changed.
    like : layer
        The layer whose pixel size was wrong or missing.
    pixel_size_nm : float
        Nanometres per pixel.

    Returns
    -------
    list of layers
        Those that were changed.
    """
    before, units = np.array(like.scale[-2:]), _units(like)
    changed = [layer for layer in layers if np.allclose(layer.scale[-2:], before) and _units(layer) == units]
    for layer in changed:
        translate = np.array(layer.translate)
        translate[-2:] *= pixel_size_nm / before
        layer.scale = (*layer.scale[:-2], pixel_size_nm, pixel_size_nm)
        layer.translate = translate
        layer.units = (*layer.units[:-2], "nm", "nm")
    return changed


def _units(layer: Layer) -> list[str]:
    return [str(unit) for unit in layer.units[-2:]]
