"""A U-Net on volumes of any size: any range of slices, independent of all others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.device import choose_device, out_of_memory
from napari_nanoseg.engines.unet.grey import Grey
from napari_nanoseg.engines.unet.model import UNetModel
from napari_nanoseg.engines.unet.predict import Probabilities, Sink, Sweep, class_map
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.samples import Volume


def find_grey(model: UNetModel, volume: Volume, config: SegmentConfig | None = None) -> Grey | None:
    """Find out once for a whole volume which grey values its network sees as 0 and 1, from a part of it.

    Returns
    -------
    Grey or None
        What every :class:`VolumePredictor` of this volume is given, in whatever process. None when all that was looked
        at is of one value, so that there is no class anywhere.

    Raises
    ------
    NanosegError
        When the network sees several slices and there is one only, or the volume cannot be read or has NaN voxels.
    """
    config = config or SegmentConfig()
    model.need_slices(volume.shape[0], volume.source)
    model.check_size(volume.calibration, volume.source)
    return model.find_grey(volume, config, choose_device(config.device)[0])


class VolumePredictor:
    """Classes of a volume, slab by slab; no slab changes what is found in another.

    Memory is that of one window and of the sums of the windows of a row; in three dimensions also that of the slices
    that two windows share. Slabs in order that end at some of :attr:`ends` cost nothing extra; any others cost, in
    three dimensions, the windows that reach into their neighbours a second time.

    Parameters
    ----------
    model : UNetModel
    volume : Volume
    grey : Grey
        From :func:`find_grey`.
    config : SegmentConfig, optional
        `probability`, `border`, `tile` and `device` count.
    """

    def __init__(self, model: UNetModel, volume: Volume, grey: Grey, config: SegmentConfig | None = None):
        config = config or SegmentConfig()
        self.model, self.volume = model, volume
        self._device, _ = choose_device(config.device)
        self._least = model.least(config)
        grid = model.grid(volume.shape, config, self._device)
        self._sweep = Sweep(model.ready_on(self._device), volume, grid, grey, self._device)
        self.ends = self._sweep.ends()

    def class_map(self, z0: int, z1: int) -> NDArray[np.uint8]:
        """Find the class of every voxel of the slices `z0` to `z1` (not included).

        Returns
        -------
        uint8 array, shape (z1 - z0, Y, X)
            0 is background, i + 1 class i of the model.

        Raises
        ------
        NanosegError
            When the volume cannot be read, or the memory of the device is used up.
        """
        values = np.zeros((z1 - z0, *self.volume.shape[1:]), np.uint8)

        def put(slices: slice, rows: slice, probabilities: Probabilities) -> None:
            values[slices.start - z0 : slices.stop - z0, rows] = class_map(probabilities, self._least)

        self._run(z0, z1, put)
        return values

    def probabilities(self, z0: int, z1: int) -> Probabilities:
        """Find the probabilities of the classes; see :meth:`class_map`.

        Returns
        -------
        uint8 array, shape (C, z1 - z0, Y, X)
            255 means 1.
        """
        found = np.zeros((len(self.model.classes), z1 - z0, *self.volume.shape[1:]), np.uint8)

        def put(slices: slice, rows: slice, probabilities: Probabilities) -> None:
            found[:, slices.start - z0 : slices.stop - z0, rows] = probabilities

        self._run(z0, z1, put)
        return found

    def _run(self, z0: int, z1: int, put: Sink) -> None:
        try:
            self._sweep.run(z0, z1, put)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            raise NanosegError(
                f"{self.volume.source}: the memory of the device '{self._device}' is used up; choose smaller tiles or "
                "another device."
            ) from error
