"""What the axes of a napari layer are, and what puts another layer on it: without napari, which is only looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError

Layer = Any
"""A layer of napari."""
DROPPED = "-"
"""Letter of an axis of length 1."""


def level_0(layer: Layer) -> Any:
    """The array of a layer in full resolution."""
    return layer.data[0] if layer.multiscale else layer.data


def axes_of(layer: Layer) -> str:
    """One letter for each axis of an image or labels layer (without the colours of RGB): Z, T, C, Y, X or `DROPPED`.

    Axes other than rows and columns (the last two) go by their label and unit: time, or channels of an image, else a
    stack.

    Raises
    ------
    NanosegError
        When more than three axes are longer than 1, or rows and columns are said to lie elsewhere.
    """
    shape, labels = level_0(layer).shape[: layer.ndim], [label.lower() for label in layer.axis_labels]
    if {"y", "x"} <= set(labels) and labels[-2:] != ["y", "x"]:
        raise NanosegError(
            f"The layer '{layer.name}' has the axes {', '.join(labels)}; its rows and columns must be the last two "
            "(z, y, x): reorder its axes."
        )
    letters = [DROPPED] * (len(shape) - 2) + ["Y", "X"]
    leading = [index for index, size in enumerate(shape[:-2]) if size != 1]
    if len(leading) > 1:
        raise NanosegError(
            f"The layer '{layer.name}' has {len(leading) + 2} dimensions ({' x '.join(map(str, shape))}); "
            "take one image, stack or time series out of it."
        )
    for index in leading:
        letters[index] = _leading_axis(labels[index], layer.units[index])
    return "".join(letters)


def plain(layer: Layer) -> bool:
    """Whether a layer is only scaled and moved: not rotated, sheared or transformed in another way."""
    return bool(
        np.allclose(layer.rotate, np.eye(layer.ndim))
        and np.allclose(layer.shear, 0)
        and np.allclose(layer.affine.affine_matrix, np.eye(layer.ndim + 1))
    )


def space_of(calibration: Calibration, axes: str) -> dict[str, Any]:
    """Scale, units, axis labels and translation of a layer with these axes (one small letter each)."""
    sizes = (calibration.pixel_size_nm or ())[-len(axes) :]
    unknown = len(axes) - len(sizes)
    return {
        "scale": (*[1.0] * unknown, *sizes),
        "units": (*["pixel"] * unknown, *["nm"] * len(sizes)),
        "axis_labels": tuple(axes),
        "translate": (0.0,) * len(axes),
    }


def on(layer: Layer, labels: NDArray[Any]) -> tuple[NDArray[Any], dict[str, Any]]:
    """Labels of a layer's image, shaped and placed so that they lie on it.

    Parameters
    ----------
    layer : Image or Labels layer
        Whose image was segmented.
    labels : array
        Rows and columns, or slices, rows and columns, of that image.

    Returns
    -------
    array
        With the layer's axes of length 1 back in their places; channels have no axis.
    dict
        Options of the new layer.
    """
    letters = axes_of(layer)
    kept = [index for index, letter in enumerate(letters) if letter != "C"]
    sizes = iter(labels.shape)
    shape = [1 if letters[index] == DROPPED else next(sizes) for index in kept]
    options: dict[str, Any] = {
        "scale": np.asarray(layer.scale)[kept],
        "translate": np.asarray(layer.translate)[kept],
        "units": tuple(layer.units[index] for index in kept),
        "axis_labels": tuple(layer.axis_labels[index] for index in kept),
    }
    if not plain(layer):
        shears = np.zeros((layer.ndim, layer.ndim))
        shears[np.triu_indices(layer.ndim, 1)] = layer.shear
        homogeneous = [*kept, layer.ndim]
        options |= {
            "rotate": np.asarray(layer.rotate)[np.ix_(kept, kept)],
            "shear": shears[np.ix_(kept, kept)][np.triu_indices(len(kept), 1)],
            "affine": np.asarray(layer.affine.affine_matrix)[np.ix_(homogeneous, homogeneous)],
        }
    return labels.reshape(shape), options


def _leading_axis(label: str, unit: Any) -> str:
    if label.startswith(("t", "frame")) or "[time]" in unit.dimensionality:
        return "T"
    return "C" if label in ("c", "channel", "channels") else "Z"
