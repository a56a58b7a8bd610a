"""Which kind of volume lies at a path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_nanoseg.arguments import as_path
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.volume import VolumeConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.images import IMAGE_SUFFIXES, check_file
from napari_nanoseg.io.volumes.flat import is_described, open_npy, open_raw
from napari_nanoseg.io.volumes.folder import open_folder
from napari_nanoseg.io.volumes.hdf5 import open_hdf5
from napari_nanoseg.io.volumes.ome_zarr import is_zarr, open_zarr
from napari_nanoseg.io.volumes.tiff import open_tiff
from napari_nanoseg.samples import Volume


def open_volume(path: str | Path, config: VolumeConfig | None = None, **fields: Any) -> Volume:
    """Open a volume of any size; its voxels are read when they are asked for.

    Parameters
    ----------
    path : str or Path
        A TIFF stack (ImageJ, OME, plain, BigTIFF), a folder of slices (any images, in natural order), an HDF5 file,
        an OME-Zarr or Zarr folder (formats 2 and 3), NPY, or raw voxels.
    config : VolumeConfig, optional
        What the file does not tell: the dataset of an HDF5 file, the shape of raw voxels, the voxel size.
    **fields
        Fields of :class:`VolumeConfig`, which override those of `config`.

    Returns
    -------
    Volume
        With the voxel size of the file where it tells all three: OME and ImageJ metadata (with the distance of
        slices), `element_size_um` of HDF5, the scale of OME-Zarr.

    Raises
    ------
    NanosegError
        When there is no such file, it is damaged, cut off, of another kind or size, or no volume. Voxels that are NaN
        or infinite are refused when they are read.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> volume = ns.open_volume(ns.sample_data() / "cathode" / "cathode.tif")
    >>> volume
    Volume(32 x 144 x 144 px, uint8, ZYX, 140 nm/px, 'cathode.tif')
    >>> ns.open_volume(ns.sample_data() / "cathode" / "cathode.tif", voxel_size_nm=(50, 20, 20)).calibration
    Calibration(50 x 20 x 20 nm/px)
    """
    path, config = as_path(path, "open_volume: 'path'"), VolumeConfig.combined(config, fields, "open_volume")
    volume = _open(path, config)
    if config.voxel_size_nm is None:
        return volume
    return replace(volume, calibration=Calibration(config.voxel_size_nm))


def _open(path: Path, config: VolumeConfig) -> Volume:
    if path.is_dir():
        return open_zarr(path, config.dataset) if is_zarr(path) else open_folder(path)
    check_file(path)
    if config.shape is not None:
        return open_raw(path, config)
    with path.open("rb") as file:
        head = file.read(8)
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return open_tiff(path)
    if head == b"\x89HDF\r\n\x1a\n":
        return open_hdf5(path, config.dataset)
    if head.startswith(b"\x93NUMPY"):
        return open_npy(path)
    if is_described(path, config):
        return open_raw(path, config)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise NanosegError(f"{path} is a single image, not a volume; give a stack of slices, or a folder of them.")
    raise NanosegError(
        f"{path} is not a volume that can be read; save it as TIFF, HDF5 or OME-Zarr, or give shape and type of its "
        "raw voxels."
    )
