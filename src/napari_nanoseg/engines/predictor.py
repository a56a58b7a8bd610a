"""What gives every voxel of a slab a class."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.events import Event
from napari_nanoseg.samples import Volume


class Predictor(Protocol):
    """Classes of voxels, slab by slab, the same whatever the slabs.

    It can be pickled, for workers of a cluster: what is large (weights) is loaded where it is used. What depends on the
    whole volume (a threshold, a normalisation) is fixed when it is made.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; class i has the value i + 1."""

    @property
    def halo(self) -> int:
        """How many slices on either side of a slab it looks at."""

    def predict(self, volume: Volume, z0: int, z1: int) -> Generator[Event, None, NDArray[np.uint8]]:
        """Give the voxels of a slab their classes, yielding often; closing the generator cancels.

        Parameters
        ----------
        volume : Volume
            In memory; with `halo` slices before and after the slab, fewer only where the whole volume ends.
        z0, z1 : int
            The slab: its first slice in `volume`, and the one after its last.

        Returns
        -------
        uint8 array, shape (z1 - z0, Y, X)
            0 where there is none of the classes. ``Progress`` on the way counts parts of this slab.
        """
