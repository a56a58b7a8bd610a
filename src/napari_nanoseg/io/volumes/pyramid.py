"""Writing OME-Zarr: the voxels slab by slab, then ever coarser copies of them for viewers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.events import Progress, tell
from napari_nanoseg.io.atomic import write_bytes, writing

VERSION = "0.5"
"""Of OME-Zarr; it goes with format 3 of Zarr."""
CHUNK = (8, 512, 512)
"""Voxels in one file of a class map; slabs start at multiples of its depth, so that no two write the same file."""
COARSEST = 512
"""The last copy has at most so many rows and columns."""

Factors = tuple[int, int, int]


def create_zarr(
    folder: Path,
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    calibration: Calibration,
    names: Mapping[int, str] | None = None,
    *,
    chunk: tuple[int, int, int] = CHUNK,
) -> None:
    """Make an image of OME-Zarr without voxels: the array ``0`` at full resolution and ``1``, ``2``, ... of zeros.

    Parameters
    ----------
    folder : Path
        There is nothing yet.
    shape : tuple of int
        Slices, rows and columns.
    dtype : dtype
    calibration : Calibration
        Along three axes, or not known.
    names : mapping of int to str, optional
        Names of the values of a label image: its coarse copies show the lowest value of every block that is not 0.
    chunk : tuple of int
        Voxels in one file.

    Raises
    ------
    NanosegError
        When the disk does not take it.
    """
    import zarr

    sizes = calibration.pixel_size_nm or (1.0, 1.0, 1.0)
    documents: dict[str, Any] = {}  # Zarr writes several at once, and those after one that fails complain later
    with writing(folder):
        group = zarr.create_group(zarr.storage.MemoryStore(documents), zarr_format=3)
        datasets = []
        for number, factors in enumerate(levels(shape, sizes)):
            coarse = tuple(-(-length // factor) for length, factor in zip(shape, factors, strict=True))
            chunks = tuple(map(min, chunk, coarse))
            group.create_array(
                str(number), shape=coarse, dtype=dtype, chunks=chunks, dimension_names=("z", "y", "x"), fill_value=0
            )
            scale = [size * factor for size, factor in zip(sizes, factors, strict=True)]
            middle = [size * (factor - 1) / 2 for size, factor in zip(sizes, factors, strict=True)]
            steps = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": middle}]
            datasets.append({"path": str(number), "coordinateTransformations": steps})
        unit = {"unit": "nanometer"} if calibration.known else {}
        axes = [{"name": name, "type": "space", **unit} for name in "zyx"]
        metadata: dict[str, Any] = {"version": VERSION, "multiscales": [{"axes": axes, "datasets": datasets}]}
        if names is not None:
            told = [{"label-value": value, "name": name} for value, name in names.items()]
            metadata["image-label"] = {"properties": told}
        group.attrs["ome"] = metadata
        for name, document in documents.items():
            write_bytes(folder / name, document.to_bytes())


def full_resolution(folder: Path) -> Any:
    """The array of an image of :func:`create_zarr`, to write slabs into."""
    import zarr

    return zarr.open_array(folder / "0", mode="r+")


def write_slab(array: Any, start: int, block: NDArray[Any]) -> None:
    """Write the slices of an array from `start` on, where a file begins, one file after the other.

    Of several that are written at once, others would go on after one has failed.
    """
    for place in _blocks(block.shape, array.chunks):
        there = slice(start + place[0].start, start + place[0].stop)
        array[there, *place[1:]] = block[place]


def write_coarse_levels(folder: Path) -> None:
    """Fill the coarse copies from the full resolution, block by block.

    Raises
    ------
    NanosegError
        When the disk does not take them.
    """
    import zarr

    group = zarr.open_group(folder, mode="r+")
    metadata: Any = group.attrs["ome"]
    arrays: list[Any] = [group[one["path"]] for one in metadata["multiscales"][0]["datasets"]]
    blocks = [list(_blocks(array.shape, array.chunks)) for array in arrays[1:]]
    done, total = 0, sum(map(len, blocks))
    for fine, coarse, places in zip(arrays, arrays[1:], blocks, strict=False):
        factors = tuple(-(-length // few) for length, few in zip(fine.shape, coarse.shape, strict=True))
        for place in places:
            source = tuple(
                slice(one.start * factor, one.stop * factor) for one, factor in zip(place, factors, strict=True)
            )
            reduced = reduce(fine[source], factors, labels="image-label" in metadata)
            with writing(folder):
                coarse[place] = reduced
            done += 1
            tell(Progress(done, total, "blocks"))


def levels(shape: Sequence[int], sizes: Sequence[float]) -> list[Factors]:
    """By how much each copy is reduced along Z, Y and X: voxels become cubes first, then all axes are halved."""
    found = [(1, 1, 1)]
    while max(-(-length // factor) for length, factor in list(zip(shape, found[-1], strict=True))[1:]) > COARSEST:
        now = [size * factor for size, factor in zip(sizes, found[-1], strict=True)]
        halved = [
            factor * 2 if size < 2 * min(now) and length > factor else factor
            for size, factor, length in zip(now, found[-1], shape, strict=True)
        ]
        found.append((halved[0], halved[1], halved[2]))
    return found


def reduce(block: NDArray[Any], factors: Sequence[int], *, labels: bool) -> NDArray[Any]:
    """Reduce a block: the mean, or of labels the lowest value that is not 0, so that a thin crack stays visible.

    Parameters
    ----------
    block : array, shape (Z, Y, X)
    factors : sequence of int
        1 or 2 for each axis; where a length is no multiple, the last voxels are fewer.
    labels : bool
        Of uint8.

    Returns
    -------
    array, of the same dtype
    """
    rest = [(0, -length % factor) for length, factor in zip(block.shape, factors, strict=True)]
    if labels:  # 0 becomes 255, the last to be taken
        lowest: NDArray[Any] = _split(np.pad(block, rest) - np.uint8(1), factors).min(axis=(1, 3, 5)) + np.uint8(1)
        return lowest
    mean = _split(np.pad(block, rest, mode="edge").astype(np.float64), factors).mean(axis=(1, 3, 5))
    rounded: NDArray[Any] = (mean if block.dtype.kind == "f" else np.rint(mean)).astype(block.dtype)
    return rounded


def _split(block: NDArray[Any], factors: Sequence[int]) -> NDArray[Any]:
    """The same with every axis split into what is reduced and what stays."""
    parts = ((length // factor, factor) for length, factor in zip(block.shape, factors, strict=True))
    split: NDArray[Any] = np.reshape(block, [length for part in parts for length in part])
    return split


def _blocks(shape: Sequence[int], chunks: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """The parts of an array that are one file each."""
    starts = (range(0, length, chunk) for length, chunk in zip(shape, chunks, strict=True))
    for corner in product(*starts):
        yield tuple(
            slice(start, min(start + chunk, length)) for start, chunk, length in zip(corner, chunks, shape, strict=True)
        )
