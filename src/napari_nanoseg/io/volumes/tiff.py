"""Stacks of TIFF pages, read page by page."""

from __future__ import annotations

from pathlib import Path
from struct import calcsize, iter_unpack, unpack
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.pixel_size import tiff_calibration
from napari_nanoseg.io.volumes.flat import FlatVoxels
from napari_nanoseg.io.volumes.lazy import LazyVoxels
from napari_nanoseg.samples import Sliceable, Volume

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries


class TiffVoxels(LazyVoxels):
    """Pages of a TIFF file, each decoded when it is asked for; any thread may ask.

    Parameters
    ----------
    tif : tifffile.TiffFile
        Stays open as long as this is there.
    series : tifffile.TiffPageSeries
        Its pages are the slices.
    shape : tuple of int
    """

    def __init__(self, tif: TiffFile, series: TiffPageSeries, shape: tuple[int, int, int]):
        super().__init__(shape, series.dtype)
        self._pages: Any = series.pages
        self._lock = Lock()
        finalize(self, tif.close)

    def _rows(self, number: int, start: int, stop: int) -> NDArray[Any]:
        with self._lock:
            page = self._pages[number].asarray()
        return np.reshape(page, self.shape[1:])[start:stop]


def open_tiff(path: Path) -> Volume:
    """Open a stack.

    Raises
    ------
    NanosegError
        When it is damaged, cut off, or not one stack of grey slices.
    """
    import tifffile

    tif = None
    try:
        tif = tifffile.TiffFile(path)
        _need_all_pages(path, tif)
        series = tif.series[0]
        _need_one_stack(path, series, len(tif.series))
        _need_all_voxels(path, series)
        calibration = tiff_calibration(tif, "ZYX")
        voxels = _voxels(path, tif, series)
    except NanosegError:
        _close(tif)
        raise
    except Exception as error:  # tifffile fails on damaged files with whatever its parsers happen to raise
        _close(tif)
        raise NanosegError(f"{path} is damaged, cut off or not a TIFF file; save or copy it again.") from error
    if isinstance(voxels, FlatVoxels):
        tif.close()
    sizes = calibration.pixel_size_nm
    return Volume(voxels, calibration if sizes is None or len(sizes) == 3 else Calibration(), str(path))


def _close(tif: TiffFile | None) -> None:
    if tif is not None:
        tif.close()


def _need_one_stack(path: Path, series: TiffPageSeries, count: int) -> None:
    """Refuse single images, colours, slices that differ, and more axes than three."""
    axes = [(axis, size) for axis, size in zip(series.axes, series.shape, strict=True) if axis in "YX" or size != 1]
    names = "".join(axis for axis, _ in axes)
    if "S" in names:
        raise NanosegError(f"{path} holds colours, not grey values; save the stack in grey.")
    if names == "YX" and count > 1:
        raise NanosegError(f"{path} has slices of different sizes; save those of one size as a stack.")
    if names == "YX":
        raise NanosegError(f"{path} is a single image, not a volume; give a stack of slices, or a folder of them.")
    if len(axes) != 3 or names[1:] != "YX":
        raise NanosegError(f"{path} has {len(axes)} dimensions ({names}); save one stack of grey slices of it.")


def _need_all_pages(path: Path, tif: TiffFile) -> None:
    """Refuse a file whose last page that can be read says that there is a further one, or that lost a description.

    tifffile leaves such pages and tags out.
    """
    import tifffile

    handle, form = tif.filehandle, tif.tiff
    handle.seek(tif.pages.first.offset)
    (count,) = unpack(form.tagnoformat, handle.read(form.tagnosize))
    entries = iter_unpack(f"{tif.byteorder}HH{2 * form.offsetformat[1:]}", handle.read(count * form.tagsize))
    for _, kind, length, place in entries:
        taken = length * calcsize(tifffile.TIFF.DATA_FORMATS.get(kind, "B"))
        if taken > form.offsetsize and place + taken > handle.size:
            raise _cut_off(path)
    len(tif.pages)  # reads all of them
    handle.seek(tif.pages.next_page_offset or 0)
    if any(handle.read(form.offsetsize)):
        raise _cut_off(path)


def _need_all_voxels(path: Path, series: TiffPageSeries) -> None:
    """Refuse a file that ends before its voxels do."""
    for page in series.pages:
        if page is None:
            raise _cut_off(path)
        there = page.parent.filehandle.size
        if series.dataoffset is not None:
            end = series.dataoffset + series.nbytes
        else:
            end = max(map(int.__add__, page.dataoffsets, page.databytecounts), default=0)
        if end > there:
            raise _cut_off(path)


def _cut_off(path: Path) -> NanosegError:
    return NanosegError(f"{path} is cut off: it ends before its last slice does; copy it again.")


def _voxels(path: Path, tif: TiffFile, series: TiffPageSeries) -> Sliceable:
    depth, rows, columns = (
        size for axis, size in zip(series.axes, series.shape, strict=True) if size != 1 or axis in "YX"
    )
    shape = depth, rows, columns
    if series.dataoffset is not None and not series.is_multifile:
        return FlatVoxels(path, series.dataoffset, shape, series.dtype.newbyteorder(tif.byteorder))
    if len(series.pages) != depth:
        raise NanosegError(f"{path} does not hold one slice per page; save it as a stack of slices.")
    return TiffVoxels(tif, series, shape)
