"""What gives every voxel of a volume a class, slab by slab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.samples import Volume


class SlabPredictor(Protocol):
    """Classes of the voxels of one volume; for one thread."""

    @property
    def ends(self) -> Sequence[int]:
        """Slices at which slabs end best, rising; the last is the depth of the volume."""

    def class_map(self, z0: int, z1: int) -> NDArray[np.uint8]:
        """Give the slices `z0` to `z1` (not included) their classes; ``Progress`` counts parts of this slab.

        Slabs may come in any order and have any ends: the result is the same.

        Returns
        -------
        uint8 array, shape (z1 - z0, Y, X)
            0 where there is none of the classes.
        """


class Predictor(Protocol):
    """A model with all that was found out about a volume as a whole, such as its grey values.

    It can be pickled and hashed, and weights are loaded where it is used: workers of a cluster get it.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; class i has the value i + 1."""

    @property
    def device(self) -> str:
        """What it computes on here."""

    def on(self, volume: Volume) -> SlabPredictor:
        """Apply it to the volume that it was made for."""
