"""How cracked every single particle is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.damage import DamageConfig
from napari_nanoseg.measurement.damage.cracks import located
from napari_nanoseg.measurement.damage.phases import Slab
from napari_nanoseg.measurement.damage.pieces import Pieces, Tracker, labelled
from napari_nanoseg.measurement.damage.units import Lengths

if TYPE_CHECKING:
    from pandas import DataFrame


class Labels:
    """Sums over the voxels of every label, slab by slab."""

    def __init__(self, smallest: int, *, per_slice: bool) -> None:
        self._smallest, self._per_slice = smallest, per_slice
        self._ids = np.zeros(0, np.int64)
        self._pieces = Pieces.none()
        self._done: list[tuple[NDArray[np.int64], Pieces]] = []

    def add(self, labels: NDArray[Any], start: int, marked: NDArray[np.bool_]) -> None:
        """Take the next slab, whose first slice has the number `start`."""
        if not self._per_slice:
            self._join(*_present(labels, start, marked))
            return
        for number, (plane, marks) in enumerate(zip(labels, marked, strict=True), start):
            self._done.append(_present(plane[None], number, marks[None]))

    def _join(self, ids: NDArray[np.int64], pieces: Pieces) -> None:
        both, numbers = np.unique(np.concatenate((self._ids, ids)), return_inverse=True)
        self._ids, self._pieces = both, Pieces.joined([self._pieces, pieces]).merged(numbers, len(both))

    def finish(self) -> tuple[NDArray[np.int64], Pieces, int]:
        """Labels, their sums, and how many were too small."""
        done = self._done or [(self._ids, self._pieces)]
        ids = np.concatenate([one[0] for one in done])
        pieces = Pieces.joined([one[1] for one in done])
        large = pieces.voxels >= self._smallest
        return ids[large], pieces[large], int(np.count_nonzero(~large))


class Particles:
    """Particles one by one: those of a label volume, else connected pieces of what is particle or crack."""

    def __init__(self, config: DamageConfig, lengths: Lengths, shape: tuple[int, int, int], *, labels: bool) -> None:
        self._config, self._lengths, self._shape = config, lengths, shape
        self._found: Labels | Tracker = (Labels if labels else Tracker)(config.smallest, per_slice=config.per_slice)
        self.small = 0
        """Particles that are too small for the table."""

    def add(self, slab: Slab) -> None:
        """Take the next slab."""
        if isinstance(self._found, Labels):
            assert slab.labels is not None
            self._found.add(slab.labels, slab.start, slab.crack)
        else:
            assert slab.particle is not None
            self._found.add(slab.particle, slab.start, slab.crack)

    def finish(self) -> DataFrame:
        """One row for each particle that is not too small."""
        ids: NDArray[np.int64] | None = None
        if isinstance(self._found, Labels):
            ids, pieces, self.small = self._found.finish()
        else:
            pieces = self._found.finish()
            self.small = self._found.small
        table = located(pieces, self._shape, self._lengths, "particle")
        if ids is not None:
            table["particle"] = ids
        depth, row, column = self._lengths.voxel
        if self._config.per_slice:
            table = table.rename(columns={"voxels": "area"}).drop(
                columns=self._lengths.named("volume", 3), errors="ignore"
            )
            sizes = pieces.voxels * row * column
            if self._lengths.unit:
                table.insert(2, self._lengths.named("area", 2), sizes)
            diameters = np.sqrt(4 / np.pi * sizes)
            inside = (pieces.starts[:, 1:] == 0).any(axis=1) | (pieces.stops[:, 1:] == self._shape[1:]).any(axis=1)
            table["touches_border"] = inside
        else:
            diameters = np.cbrt(6 / np.pi * pieces.voxels * depth * row * column)
        place = list(table.columns).index("centroid_slice")
        table.insert(place, self._lengths.named("equivalent_diameter"), diameters)
        table.insert(place + 1, "crack_voxels", pieces.marked)
        table.insert(place + 2, "crack_fraction", pieces.marked / pieces.voxels)
        return table


def _present(labels: NDArray[Any], start: int, marked: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Pieces]:
    """The labels of a slab and their sums."""
    where = labels > 0
    ids, numbers = np.unique(labels[where], return_inverse=True)
    small = np.zeros(labels.shape, np.int32)
    small[where] = numbers + 1
    return ids.astype(np.int64), labelled(small, len(ids), start, marked)
