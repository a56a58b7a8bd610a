"""Voxels one after the other in a file: raw, NPY, and TIFF stacks without compression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.volume import VolumeConfig
from napari_nanoseg.documents import read_yaml
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.volumes.lazy import LazyVoxels
from napari_nanoseg.samples import Volume

DESCRIPTIONS = (".yaml", ".yml", ".json")
"""Suffixes of a description beside raw voxels, in place of theirs or after it."""


class FlatVoxels(LazyVoxels):
    """Voxels in C order in a file. They are read, not mapped: mapped pages would count as this process's memory.

    Parameters
    ----------
    path : Path
    offset : int
        Bytes before the first voxel.
    shape : tuple of int
    dtype : dtype
        With the file's byte order.
    """

    def __init__(self, path: Path, offset: int, shape: tuple[int, int, int], dtype: np.dtype[Any]):
        super().__init__(shape, dtype)
        self._path, self._offset, self._stored = path, offset, dtype

    def _rows(self, number: int, start: int, stop: int) -> NDArray[Any]:
        _, rows, columns = self.shape
        first = self._offset + (number * rows + start) * columns * self._stored.itemsize
        count = (stop - start) * columns
        read = np.fromfile(self._path, self._stored, count, offset=first)
        if len(read) < count:
            raise NanosegError(f"{self._path} was cut off while it was read; copy it again.")
        return read.reshape(stop - start, columns)


def is_described(path: Path, config: VolumeConfig) -> bool:
    """Whether something tells the shape of raw voxels: the config, or a file beside them."""
    return config.shape is not None or _description(path) is not None


def open_raw(path: Path, config: VolumeConfig) -> Volume:
    """Open raw voxels.

    Raises
    ------
    NanosegError
        When shape or type are not told, the description is bad, or the file has another size.
    """
    told = _description(path)
    values = {} if told is None else read_yaml(told)
    if not isinstance(values, dict):
        raise NanosegError(
            f"{told}: this does not describe a volume; write one field per line, such as 'dtype: uint8'."
        )
    given = {name: value for name, value in config.model_dump().items() if value is not None}
    layout = VolumeConfig.parse(values | given, str(told or path))
    if layout.shape is None or layout.dtype is None:
        raise NanosegError(
            f"{path}: {'shape' if layout.shape is None else 'dtype'} of the raw voxels is not told; give it."
        )
    dtype = np.dtype(layout.dtype).newbyteorder("<" if layout.byte_order in (None, "little") else ">")
    offset = layout.offset or 0
    needed, there = offset + int(np.prod(layout.shape, dtype=np.int64)) * dtype.itemsize, path.stat().st_size
    if needed != there:
        raise NanosegError(
            f"{path} has {there} bytes, but {' x '.join(map(str, layout.shape))} voxels of {layout.dtype} "
            f"{f'after {offset} bytes ' if offset else ''}need {needed}; correct the description or copy the file."
        )
    voxels = FlatVoxels(path, offset, layout.shape, dtype)
    return Volume(voxels, Calibration(layout.voxel_size_nm), str(path))


def open_npy(path: Path) -> Volume:
    """Open an array of NumPy.

    Raises
    ------
    NanosegError
        When it is damaged, cut off or no volume.
    """
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise NanosegError(f"{path} is damaged, cut off or no array of numbers; save or copy it again.") from error
    volume = Volume(mapped, source=str(path))
    if not mapped.flags.c_contiguous:
        return volume
    return Volume(FlatVoxels(path, mapped.offset, volume.shape, mapped.dtype), source=str(path))


def _description(path: Path) -> Path | None:
    """The file that describes raw voxels, if there is one."""
    places = [place for suffix in DESCRIPTIONS for place in (path.with_suffix(suffix), Path(f"{path}{suffix}"))]
    return next((place for place in places if place != path and place.is_file()), None)
