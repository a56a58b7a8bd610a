"""The table of particles: one row per object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances
from napari_nanoseg.measurement.shape import Shape, shape_of
from napari_nanoseg.samples import Image

if TYPE_CHECKING:
    from pandas import DataFrame

POWER = {
    "area": 2,
    "equivalent_diameter": 1,
    "rectangle_length": 1,
    "rectangle_width": 1,
    "feret_max": 1,
    "feret_min": 1,
    "perimeter": 1,
}
"""Columns in pixels that also come in nanometres, and the power of the pixel size they are multiplied with."""


def measure(
    instances: Instances | NDArray[Any],
    calibration: Calibration | None = None,
    image: Image | NDArray[Any] | None = None,
) -> DataFrame:
    """Measure every particle on its own full mask, overlapped parts included.

    Parameters
    ----------
    instances : Instances or integer array, shape (Y, X)
        The particles, or a label image (0 is background).
    calibration : Calibration, optional
        Pixel size; taken from `image` when that is an :class:`Image` and this is not given.
    image : Image or array, shape (Y, X) or (Y, X, C), optional
        The micrograph, for the mean intensity (of all channels).

    Returns
    -------
    pandas.DataFrame
        One row per particle in the order of `instances`. Columns: ``label``, ``class``, ``score``,
        ``centroid_row``, ``centroid_column``, ``area``, ``equivalent_diameter``, ``rectangle_length``,
        ``rectangle_width``, ``aspect_ratio``, ``feret_max``, ``feret_min``, ``perimeter``, ``circularity``,
        ``solidity``, ``extent``, ``orientation_deg``, ``touches_border``; with an image ``mean_intensity``; with a
        known pixel size ``area_nm2``, ``equivalent_diameter_nm``, ``rectangle_length_nm``, ``rectangle_width_nm``,
        ``feret_max_nm``, ``feret_min_nm``, ``perimeter_nm``. Lengths without a unit are in pixels.
        ``docs/measuring.md`` defines them all.

    Raises
    ------
    NanosegError
        For a volume, an image of another shape, or pixels that are not square.
    """
    from pandas import DataFrame

    if not isinstance(instances, Instances):
        instances = Instances.from_labels(np.asarray(instances))
    if len(instances.shape) != 2:
        raise NanosegError(f"Labels of shape {instances.shape} are a stack; measure its slices one by one.")
    if calibration is None:
        calibration = image.calibration if isinstance(image, Image) else Calibration()
    nm_per_pixel = calibration.nm_per_pixel if calibration.known else None

    corners = instances.boxes[:, :2]
    shapes = np.array([shape_of(mask) for mask in instances.masks], dtype=np.float64)
    found = dict(zip(Shape._fields, shapes.reshape(-1, len(Shape._fields)).T, strict=True))
    area, perimeter = found["area"], found["perimeter"]
    columns: dict[str, NDArray[Any]] = {
        "label": instances.ids,
        "class": instances.classes,
        "score": instances.scores,
        "centroid_row": found["centroid_row"] + corners[:, 0],
        "centroid_column": found["centroid_column"] + corners[:, 1],
        "area": area.astype(np.int64),
        "equivalent_diameter": np.sqrt(4 * area / np.pi),
        "rectangle_length": found["rectangle_length"],
        "rectangle_width": found["rectangle_width"],
        "aspect_ratio": found["rectangle_length"] / found["rectangle_width"],
        "feret_max": found["feret_max"],
        "feret_min": found["feret_min"],
        "perimeter": perimeter,
        "circularity": np.minimum(4 * np.pi * area / perimeter**2, 1.0),
        "solidity": area / found["convex_area"],
        "extent": area / np.prod(instances.boxes[:, 2:] - corners, axis=1),
        "orientation_deg": found["orientation_deg"],
        "touches_border": instances.touches_border,
    }
    if image is not None:
        columns["mean_intensity"] = _mean_intensities(instances, image)
    if nm_per_pixel is not None:
        for name, power in POWER.items():
            columns[in_nm(name)] = columns[name] * nm_per_pixel**power
    return DataFrame(columns)


def in_nm(name: str) -> str:
    """Name of the calibrated column that belongs to a column in pixels."""
    return f"{name}_nm{POWER[name] if POWER[name] > 1 else ''}"


def _mean_intensities(instances: Instances, image: Image | NDArray[Any]) -> NDArray[np.float64]:
    data = np.asarray(image.data if isinstance(image, Image) else image)
    if data.shape[:2] != instances.shape or data.ndim > 3:
        raise NanosegError(
            f"The image has the shape {data.shape} but the labels {instances.shape}; measure the labels of this image."
        )
    return np.array(
        [
            data[row0:row1, column0:column1][mask].mean(dtype=np.float64)
            for (row0, column0, row1, column1), mask in zip(instances.boxes.tolist(), instances.masks, strict=True)
        ],
        dtype=np.float64,
    )
