"""Electron microscopists' own formats, read by rosettasciio when it is installed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.pixel_size import nm_per_unit

VENDOR_PLUGINS = {
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".emd": "emd",
    ".ser": "tia",
    ".hspy": "hspy",
}
"""File suffix to the module of rosettasciio that reads it."""

VENDOR_SUFFIXES = tuple(VENDOR_PLUGINS)


def read_vendor(path: Path) -> tuple[NDArray[Any], str, Calibration]:
    """Read the first image of a file: its array, axes and pixel size.

    Raises
    ------
    NanosegError
        When rosettasciio is not installed or the file holds no image.
    """
    try:
        plugin = import_module(f"rsciio.{VENDOR_PLUGINS[path.suffix.lower()]}")
    except ImportError as error:
        raise NanosegError(
            f"{path} needs a further package: run 'pip install napari-nanoseg[microscopy]', or save it as TIFF."
        ) from error
    for signal in plugin.file_reader(str(path)):
        data = np.asarray(signal["data"])
        if data.ndim in (2, 3) and min(data.shape[-2:]) > 1 and data.dtype.kind in "buif":
            factors = [(nm_per_unit(str(axis.get("units"))), float(axis["scale"])) for axis in signal["axes"]]
            sizes = tuple(abs(scale) * factor for factor, scale in factors[-2:] if factor and scale)
            return data, "ZYX"[-data.ndim :], Calibration(sizes if len(sizes) == 2 else None)
    raise NanosegError(f"{path} holds no image; export the micrograph from the microscope's program as TIFF.")
