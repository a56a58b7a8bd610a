"""The table of particles: one row per object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.arguments import as_calibration, as_instances, as_number, as_pixels, refuse_unknown
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Progress, tell
from napari_nanoseg.instances import Instances
from napari_nanoseg.measurement.shape import Shape, shape_of
from napari_nanoseg.progress import Show, shown
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

STEP = 100
"""Particles measured between two events: about 0.04 s, so that nobody waits for what is no longer wanted."""


def measure(
    instances: Instances | NDArray[Any],
    calibration: Calibration | None = None,
    image: Image | NDArray[Any] | None = None,
    *,
    pixel_size_nm: float | None = None,
    progress: Show = True,
    **unknown: Any,
) -> DataFrame:
    """Measure every particle on its own full mask, overlapped parts included.

    Parameters
    ----------
    instances : Instances or integer array, shape (Y, X) or (Z, Y, X)
        The particles, or a label image (0 is background). In a stack, every slice is measured on its own.
    calibration : Calibration, optional
        Pixel size; taken from `image` when that is an :class:`Image` and this is not given.
    image : Image or array, optional
        The micrograph, for the mean intensity (of all channels): the shape of the labels, channels last.
    pixel_size_nm : float, optional
        The same as ``calibration=Calibration.of(pixel_size_nm)``.
    progress : bool or callable
        True shows a bar in terminals and notebooks, unless the work is short; False nothing; a callable is given
        every event.

    Returns
    -------
    pandas.DataFrame
        One row per particle in the order of `instances`; for a stack, slice by slice, with one row for every slice
        that a particle reaches into. Columns: for a stack ``slice``; ``label``, ``class``, ``score``,
        ``centroid_row``, ``centroid_column``, ``area``, ``equivalent_diameter``, ``rectangle_length``,
        ``rectangle_width``, ``aspect_ratio``, ``feret_max``, ``feret_min``, ``perimeter``, ``circularity``,
        ``solidity``, ``extent``, ``orientation_deg``, ``touches_border``, ``overlapping``; with an image
        ``mean_intensity``; with a known pixel size ``area_nm2``, ``equivalent_diameter_nm``,
        ``rectangle_length_nm``, ``rectangle_width_nm``, ``feret_max_nm``, ``feret_min_nm``, ``perimeter_nm``.
        Lengths without a unit are in pixels.
        ``docs/measuring.md`` defines them all.

    Raises
    ------
    NanosegError
        For labels of more than three dimensions, an image of another shape, pixels that are not square, or arguments
        of a wrong type or name.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> image = ns.read_image(ns.sample_data() / "particles.tif")
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> table = ns.measure(truth, image=image)
    >>> table[["label", "area", "equivalent_diameter_nm"]].round(1).head(3)
       label  area  equivalent_diameter_nm
    0      1  1579                   112.1
    1      2  1592                   112.6
    2      3  1807                   119.9
    """
    refuse_unknown("measure", unknown, ("instances", "calibration", "image", "pixel_size_nm", "progress"))
    if pixel_size_nm is not None:
        if calibration is not None:
            raise NanosegError("measure: both 'calibration' and 'pixel_size_nm' are given; give one of them.")
        calibration = Calibration.of(as_number(pixel_size_nm, "measure: 'pixel_size_nm'"))
    instances = as_instances(instances, "measure: 'instances'")
    calibration = as_calibration(calibration, "measure: 'calibration'")
    if len(instances.shape) not in (2, 3):
        raise NanosegError(f"Labels of shape {instances.shape} cannot be measured; give an image or one stack.")
    if calibration is None:
        calibration = image.calibration if isinstance(image, Image) else Calibration()
    nm_per_pixel = calibration.nm_per_pixel if calibration.known else None
    pixels = None if image is None else as_pixels(image, "measure: 'image'")
    _need_same_shape(instances, pixels)
    with shown(progress):
        return _measured(instances, nm_per_pixel, pixels)


def _measured(instances: Instances, nm_per_pixel: float | None, pixels: Any) -> DataFrame:
    """Measure some particles, or one slice, after the other."""
    from pandas import concat

    tables = []
    if len(instances.shape) == 2:
        pixels = None if pixels is None else np.asarray(pixels)
        overlaps = instances.overlaps
        for start in range(0, max(len(instances), 1), STEP):
            part = slice(start, start + STEP)
            tables.append(_table(instances[part], overlaps[part], nm_per_pixel, pixels))
            tell(Progress(min(start + STEP, len(instances)), len(instances), "particles"))
        return concat(tables, ignore_index=True)
    depth = instances.shape[0]
    for number, plane in enumerate(instances.planes()):
        table = _table(plane, plane.overlaps, nm_per_pixel, None if pixels is None else np.asarray(pixels[number]))
        table.insert(0, "slice", np.int64(number))
        tables.append(table)
        tell(Progress(number + 1, depth, "slices"))
    return concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _table(
    instances: Instances, overlaps: NDArray[np.bool_], nm_per_pixel: float | None, pixels: NDArray[Any] | None
) -> DataFrame:
    """Measure the particles of one plane."""
    from pandas import DataFrame

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
        "overlapping": overlaps,
    }
    if pixels is not None:
        columns["mean_intensity"] = _mean_intensities(instances, pixels)
    if nm_per_pixel is not None:
        for name, power in POWER.items():
            columns[in_nm(name)] = columns[name] * nm_per_pixel**power
    return DataFrame(columns)


def in_nm(name: str) -> str:
    """Name of the calibrated column that belongs to a column in pixels."""
    return f"{name}_nm{POWER[name] if POWER[name] > 1 else ''}"


def _need_same_shape(instances: Instances, pixels: NDArray[Any] | None) -> None:
    shape, ndim = instances.shape, len(instances.shape)
    if pixels is not None and (pixels.shape[:ndim] != shape or pixels.ndim > ndim + 1):
        raise NanosegError(
            f"The image has the shape {pixels.shape} but the labels {shape}; measure the labels of this image."
        )


def _mean_intensities(instances: Instances, pixels: NDArray[Any]) -> NDArray[np.float64]:
    return np.array(
        [
            pixels[row0:row1, column0:column1][mask].mean(dtype=np.float64)
            for (row0, column0, row1, column1), mask in zip(instances.boxes.tolist(), instances.masks, strict=True)
        ],
        dtype=np.float64,
    )
