"""A folder of slices, one image file each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.images import TIFF_SUFFIXES, list_images, read_image
from napari_nanoseg.io.volumes.lazy import LazyVoxels
from napari_nanoseg.samples import Volume


class SliceFiles(LazyVoxels):
    """Image files of one size and type, the slices of a volume."""

    def __init__(self, files: list[Path], plane: NDArray[Any]):
        super().__init__((len(files), *plane.shape), plane.dtype)
        self._files = files

    def _rows(self, number: int, start: int, stop: int) -> NDArray[Any]:
        plane = read_image(self._files[number], flat=True).data
        _need_same(self._files[number], plane.shape, self._files[0], self.shape[1:])
        if plane.dtype != self.dtype:
            raise NanosegError(
                f"{self._files[number]} has pixels of type {plane.dtype}, but {self._files[0].name} of {self.dtype}; "
                "save all slices with one type."
            )
        return plane[start:stop]


def open_folder(folder: Path) -> Volume:
    """Open a folder of slices, in the natural order of their names (2 before 10).

    Raises
    ------
    NanosegError
        When there are fewer than two images, or they differ in size.
    """
    files = sorted(list_images(folder), key=natural)
    if len(files) < 2:
        raise NanosegError(f"{folder} has {'no image' if not files else 'one image'}; a volume needs several slices.")
    first = read_image(files[0], flat=True)
    if first.axes != "YX":
        raise NanosegError(f"{files[0]} is not one grey slice (its axes are {first.axes}); save slices as grey images.")
    for file in files[1:]:
        _need_same(file, _size(file), files[0], first.data.shape)
    return Volume(SliceFiles(files, first.data), source=str(folder))


def natural(path: Path) -> list[tuple[int, str]]:
    """Sorting key of names in which numbers count as numbers."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _need_same(file: Path, size: tuple[int, ...], first: Path, wanted: tuple[int, ...]) -> None:
    if size != wanted:
        raise NanosegError(
            f"{file} has {' x '.join(map(str, size))} pixels, but {first.name} {' x '.join(map(str, wanted))}; "
            "all slices of a volume need the same size."
        )


def _size(file: Path) -> tuple[int, ...]:
    """Rows and columns of an image, from its header where there is one that can be read alone."""
    import tifffile
    from PIL import Image, UnidentifiedImageError

    try:
        if file.suffix.lower() in TIFF_SUFFIXES:
            with tifffile.TiffFile(file) as tif:
                series = tif.series[0]
                sizes = zip(series.axes, series.shape, strict=True)
                return tuple(size for axis, size in sizes if axis in "YX" or size != 1)
        with Image.open(file) as picture:
            return picture.height, picture.width
    except UnidentifiedImageError:
        return read_image(file, flat=True).data.shape
    except (tifffile.TiffFileError, OSError, IndexError) as error:
        raise NanosegError(f"{file} is damaged, cut off or not an image; save or copy it again.") from error
