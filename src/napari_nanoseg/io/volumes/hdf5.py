"""Datasets of HDF5 files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.hdf5_files import need_own_data, own_dataset
from napari_nanoseg.io.volumes.squeezed import squeezed
from napari_nanoseg.samples import Volume

ELEMENT_SIZE = "element_size_um"
"""Attribute of a dataset with the size of a voxel along Z, Y and X, as ImageJ's and ilastik's writers have it."""


def open_hdf5(path: Path, dataset: str | None) -> Volume:
    """Open a dataset, the only one of three axes unless it is named.

    Raises
    ------
    NanosegError
        When the file is damaged or cut off, there is no such dataset, it is not clear which is meant, or its values lie
        in other files.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise NanosegError(f"{path} is damaged or cut off ({error}); copy it again.") from error
    try:
        found: dict[str, Any] = {}

        def look(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and len([size for size in item.shape if size != 1]) == 3:
                found[name] = item

        file.visititems(look)
        chosen = _choose(path, file, found, dataset)
        need_own_data(chosen, path, chosen.name)
    except Exception:
        file.close()
        raise
    return Volume(squeezed(chosen), _calibration(chosen), f"{path}:{chosen.name}")


def _choose(path: Path, file: Any, found: dict[str, Any], dataset: str | None) -> Any:
    names = ", ".join(found)
    if dataset is not None:
        item = own_dataset(file, dataset, path)
        if not hasattr(item, "dtype"):
            raise NanosegError(
                f"{path} has no dataset '{dataset}'; {f'its volumes are {names}' if names else 'it has no volume'}."
            )
        return item
    if not found:
        raise NanosegError(f"{path} has no dataset of three axes; choose another file.")
    if len(found) > 1:
        raise NanosegError(f"{path} has several volumes ({names}); name one of them as dataset.")
    return next(iter(found.values()))


def _calibration(dataset: Any) -> Calibration:
    sizes = dataset.attrs.get(ELEMENT_SIZE)
    if sizes is None or len(sizes) != 3:
        return Calibration()
    return Calibration.of(tuple(float(size) for size in sizes), "um")
