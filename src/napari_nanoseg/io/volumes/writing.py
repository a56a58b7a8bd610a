"""Volumes of any size, written slab by slab."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from napari_nanoseg.arguments import as_path
from napari_nanoseg.errors import NanosegError, unsuitable
from napari_nanoseg.events import Progress, tell
from napari_nanoseg.io.atomic import atomic_path, writing
from napari_nanoseg.io.images import LARGEST_CLASSIC_TIFF_BYTES, TIFF_SUFFIXES, tiff_metadata
from napari_nanoseg.io.leftovers import hidden_beside
from napari_nanoseg.io.volumes.pyramid import CHUNK, create_zarr, full_resolution, write_coarse_levels, write_slab
from napari_nanoseg.progress import Show, shown
from napari_nanoseg.samples import Volume


def write_volume(
    path: str | Path, volume: Volume, names: Mapping[int, str] | None = None, *, progress: Show = True
) -> None:
    """Write a volume atomically, a few slices at a time; leaving it early leaves nothing of it.

    Parameters
    ----------
    path : str or Path
        Ends in ``.zarr`` (an image of OME-Zarr 0.5, several resolutions), or ``.tif`` or ``.tiff`` (OME metadata, zlib
        compression, BigTIFF where it is large).
    volume : Volume
    names : mapping of int to str, optional
        Names of the values of a label image (uint8); OME-Zarr keeps them.
    progress : bool or callable
        True shows a bar in terminals and notebooks, unless the work is short; False nothing; a callable is given
        every event.

    Raises
    ------
    NanosegError
        When it cannot be read or written, or there is something at a path that ends in ``.zarr``.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> volume = ns.Volume(np.zeros((8, 32, 32), np.uint8), ns.Calibration.of(0.05, "um", ndim=3))
    >>> ns.write_volume("volume.ome.zarr", volume)
    >>> ns.open_volume("volume.ome.zarr")
    Volume(8 x 32 x 32 px, uint8, ZYX, 50 nm/px, 'volume.ome.zarr')
    """
    if not isinstance(volume, Volume):
        raise unsuitable("write_volume: 'volume'", volume, "a Volume; Volume(array) makes one of an array")
    path = as_path(path, "write_volume: 'path'")
    if path.suffix.lower() not in (*TIFF_SUFFIXES, ".zarr"):
        raise NanosegError(f"{path} ends neither in .ome.zarr nor in .tif; choose one of them for a volume.")
    with shown(progress):
        if path.suffix.lower() == ".zarr":
            _write_zarr(path, volume, names)
        else:
            write_tiff(path, volume)


def write_tiff(path: Path, volume: Volume) -> None:
    """Write a stack atomically, page by page; see :func:`write_volume`."""
    import tifffile

    depth, rows, columns = volume.shape
    dtype = np.dtype(np.uint8) if volume.data.dtype == bool else volume.data.dtype
    metadata, options = tiff_metadata("ZYX", volume.calibration)
    described = tifffile.OmeXml()
    described.addimage(dtype, volume.shape, (depth, 1, 1, rows, columns, 1), **metadata)
    description: str | None = described.tostring(declaration=True)
    big = depth * rows * columns * dtype.itemsize > LARGEST_CLASSIC_TIFF_BYTES
    with atomic_path(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=big) as tif:
        for start in range(0, depth, CHUNK[0]):
            for page in volume.read(start, min(start + CHUNK[0], depth)):
                tif.write(
                    page.astype(dtype, copy=False),
                    description=description,
                    metadata=None,
                    photometric="minisblack",
                    compression="zlib",
                    compressionargs={"level": 1},
                    contiguous=False,
                    **options,
                )
                description = None
            tell(Progress(min(start + CHUNK[0], depth), depth, "slices"))


def _write_zarr(path: Path, volume: Volume, names: Mapping[int, str] | None) -> None:
    if path.exists():
        raise NanosegError(f"There is something at {path} already; choose another name.")
    temporary = hidden_beside(path)
    depth = volume.shape[0]
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        create_zarr(temporary, volume.shape, volume.data.dtype, volume.calibration, names)
        target = full_resolution(temporary)
        for start in range(0, depth, CHUNK[0]):
            slab = volume.read(start, min(start + CHUNK[0], depth))
            with writing(path):
                write_slab(target, start, slab)
            tell(Progress(start + len(slab), depth, "slices"))
        write_coarse_levels(temporary)
        with writing(path):
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
