"""OME-Zarr and plain Zarr, formats 2 and 3, read at full resolution."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.pixel_size import nm_per_unit
from napari_nanoseg.io.volumes.squeezed import squeezed
from napari_nanoseg.samples import Sliceable, Volume

MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
"""Files of which one lies in every Zarr folder."""


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group or array."""
    return any((path / name).is_file() for name in MARKS)


def open_zarr(path: Path, dataset: str | None) -> Volume:
    """Open an image of OME-Zarr at full resolution, or a plain array.

    Raises
    ------
    NanosegError
        When it is damaged, there is no such image, or it is not clear which is meant.
    """
    levels, calibration, _ = open_levels(path, dataset)
    return Volume(levels[0], calibration, str(path) if dataset is None else f"{path}:{dataset}")


def open_levels(path: Path, dataset: str | None = None) -> tuple[list[Sliceable], Calibration, dict[int, str] | None]:
    """Open all resolutions of an image, the full one first.

    Returns
    -------
    levels : list of Sliceable
    calibration : Calibration
        Of the first.
    names : dict of int to str or None
        Names of the values of a label image; None of any other image.

    Raises
    ------
    NanosegError
        As :func:`open_zarr`.
    """
    import zarr

    try:
        node: Any = zarr.open(path, mode="r")
        if dataset is not None and isinstance(node, zarr.Group) and dataset in node:
            node = node[dataset]
        elif dataset is not None:
            raise NanosegError(f"{path} has nothing at '{dataset}'; correct the name of the dataset.")
        if isinstance(node, zarr.Array):
            return [squeezed(node)], Calibration(), None
        attributes: dict[str, Any] = dict(node.attrs)
        metadata = attributes.get("ome", attributes)
        if "multiscales" not in metadata:
            arrays = [array for _, array in node.arrays() if len([size for size in array.shape if size != 1]) == 3]
            if len(arrays) != 1:
                raise NanosegError(
                    f"{path} has {len(arrays) or 'no'} arrays of three axes and does not tell which is the image; name "
                    "it as dataset."
                )
            return [squeezed(arrays[0])], Calibration(), None
        image = metadata["multiscales"][0]
        levels = [squeezed(node[one["path"]]) for one in image["datasets"]]
        return levels, _calibration(image), _names(metadata)
    except NanosegError:
        raise
    except Exception as error:  # zarr fails on damaged metadata with whatever its parsers happen to raise
        raise NanosegError(f"{path} is damaged or not an image of OME-Zarr; copy the whole folder again.") from error


def _calibration(image: Mapping[str, Any]) -> Calibration:
    """Size along Z, Y and X where all three are told with a unit."""
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in image.get("axes", [])]
    sizes = [1.0] * len(axes)
    steps = [*image["datasets"][0].get("coordinateTransformations", []), *image.get("coordinateTransformations", [])]
    for step in steps:
        if step.get("type") == "scale":
            sizes = [size * float(factor) for size, factor in zip(sizes, step["scale"], strict=True)]
    told = {axis["name"]: (size, nm_per_unit(axis.get("unit") or "")) for axis, size in zip(axes, sizes, strict=True)}
    spatial = [told.get(name, (0.0, None)) for name in "zyx"]
    nanometres = tuple(size * unit for size, unit in spatial if unit is not None and size > 0)
    return Calibration(nanometres if len(nanometres) == 3 else None)


def _names(metadata: Mapping[str, Any]) -> dict[int, str] | None:
    """Names of the values of a label image."""
    if "image-label" not in metadata:
        return None
    told = metadata["image-label"].get("properties", [])
    return {int(one["label-value"]): str(one.get("name", one["label-value"])) for one in told}
