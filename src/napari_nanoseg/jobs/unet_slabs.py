"""A U-Net and what it needs to know of a volume, as workers anywhere get it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.engines.predictor import SlabPredictor
from napari_nanoseg.engines.unet.grey import Grey
from napari_nanoseg.engines.unet.model import UNetModel
from napari_nanoseg.engines.unet.volume import VolumePredictor, find_grey
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, checkpoint, tell
from napari_nanoseg.samples import Volume


@dataclass(frozen=True)
class UNetPredictor:
    """A U-Net for one volume; see :class:`~napari_nanoseg.engines.predictor.Predictor`.

    Parameters
    ----------
    path : Path
        Of the model.
    classes : tuple of str
    device : str
    grey : Grey or None
        What the volume is for the network; None: all of it is the same.
    config : SegmentConfig
    """

    path: Path
    classes: tuple[str, ...]
    device: str
    grey: Grey | None
    config: SegmentConfig

    def on(self, volume: Volume) -> SlabPredictor:
        """Load the model, once per process."""
        if self.grey is None:
            return _Nothing(volume)
        return VolumePredictor(_loaded(self.path), volume, self.grey, self.config)


@dataclass(frozen=True)
class _Nothing:
    """Of a volume of one value: no class anywhere."""

    volume: Volume

    @property
    def ends(self) -> Sequence[int]:
        return range(1, self.volume.shape[0] + 1)

    def class_map(self, z0: int, z1: int) -> NDArray[np.uint8]:
        checkpoint()
        return np.zeros((z1 - z0, *self.volume.shape[1:]), np.uint8)


def prepare_unet(path: Path, volume: Volume, config: SegmentConfig) -> UNetPredictor:
    """Load a U-Net and look at a volume as a whole.

    Raises
    ------
    NanosegError
        When it is no U-Net or does not suit the volume, or this cannot be read.
    """
    model = _loaded(path)
    device, reason = model.runs_on(config.device)
    tell(Notice(reason))
    grey = find_grey(model, volume, config)
    return UNetPredictor(path, model.classes, device, grey, config)


@lru_cache(maxsize=1)
def _loaded(path: Path) -> UNetModel:
    model = load_model(path)
    if not isinstance(model, UNetModel):
        raise NanosegError(f"{path} is no model for the voxels of a volume; choose a U-Net, or 'threshold'.")
    return model
