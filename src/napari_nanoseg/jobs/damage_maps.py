"""Maps of damage and packing, written while they are computed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.io.atomic import replace_folder, writing
from napari_nanoseg.io.leftovers import hidden_beside
from napari_nanoseg.io.volumes.ome_zarr import open_levels
from napari_nanoseg.io.volumes.pyramid import create_zarr, full_resolution, write_coarse_levels, write_slab
from napari_nanoseg.io.volumes.writing import write_tiff
from napari_nanoseg.samples import Volume

CHUNK = (1, 1024, 1024)
"""Voxels in one file: slices are written as they come. Those of (8, 512, 512), which have to wait for each other, took
0.5 GB for 2,000 x 2,000."""
SUFFIXES = {"ome-zarr": ".ome.zarr", "tiff": ".tif"}


class MapFiles:
    """Takes maps slab by slab; they get their names when they are whole, and :meth:`close` removes what is not.

    Files have 0 where a window has nothing to divide by, so that viewers and readers need not know NaN.

    Parameters
    ----------
    out : Path
        Folder of the maps.
    depth : int
        Slices of the volume.
    calibration : Calibration
        Of the maps.
    form : {"ome-zarr", "tiff"}
    """

    def __init__(self, out: Path, depth: int, calibration: Calibration, form: Literal["ome-zarr", "tiff"]) -> None:
        self._out, self._depth, self._calibration, self._form = out, depth, calibration, form
        self._parts: dict[str, Path] = {}
        self._targets: dict[str, Any] = {}

    def __call__(self, name: str, start: int, block: NDArray[np.float32]) -> None:
        """Take the slices of a map from `start` on."""
        if name not in self._parts:
            self._parts[name] = part = hidden_beside(self._out / f"{name}.zarr")
            with writing(self._out):
                self._out.mkdir(parents=True, exist_ok=True)
            create_zarr(part, (self._depth, *block.shape[1:]), block.dtype, self._calibration, chunk=CHUNK)
            self._targets[name] = full_resolution(part)
        with writing(self._parts[name]):
            write_slab(self._targets[name], start, np.nan_to_num(block))

    def finish(self) -> dict[str, Path]:
        """Make viewers' coarse copies, or TIFF stacks, and give the maps their names in place of earlier ones."""
        files = {}
        for name, part in list(self._parts.items()):
            target = self._out / f"{name}{SUFFIXES[self._form]}"
            if self._form == "tiff":
                levels, _, _ = open_levels(part)
                write_tiff(target, Volume(levels[0], self._calibration, str(part)))
                shutil.rmtree(part, ignore_errors=True)
            else:
                write_coarse_levels(part)
                replace_folder(part, target)
            del self._parts[name]
            files[name] = target
        return files

    def close(self) -> None:
        """Remove what is not whole."""
        for part in self._parts.values():
            shutil.rmtree(part, ignore_errors=True)
        self._parts.clear()
