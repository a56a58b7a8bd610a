"""Voxels that stay on the disk until they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray


class LazyVoxels(ABC):
    """An array of three axes that is read slice by slice.

    Parameters
    ----------
    shape : tuple of int
        Slices, rows and columns.
    dtype : dtype
        Of what reading gives; in the machine's own byte order.
    """

    ndim = 3

    def __init__(self, shape: tuple[int, int, int], dtype: np.dtype[Any]):
        self.shape, self.dtype = shape, dtype.newbyteorder("=")

    @abstractmethod
    def _rows(self, number: int, start: int, stop: int) -> NDArray[Any]:
        """Read rows `start` to `stop` (not included) of a slice: an array of shape (stop - start, columns)."""

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in keys:
            place = keys.index(Ellipsis)
            keys[place : place + 1] = [slice(None)] * (self.ndim + 1 - len(keys))
        keys += [slice(None)] * (self.ndim - len(keys))
        slices, rows, columns = (_chosen(one, size) for one, size in zip(keys, self.shape, strict=True))
        voxels = np.empty((len(slices), len(rows), len(columns)), self.dtype)
        if voxels.size:
            low, high = min(rows[0], rows[-1]), max(rows[0], rows[-1]) + 1
            for place, number in enumerate(slices):
                read = self._rows(number, low, high)
                whole = rows.step == 1 and columns == range(self.shape[2])
                voxels[place] = read if whole else read[np.ix_(np.array(rows) - low, np.array(columns))]
        single = tuple(0 if isinstance(one, (int, np.integer)) else slice(None) for one in keys)
        chosen: NDArray[Any] = voxels[single]
        return chosen

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)


def _chosen(key: Any, size: int) -> range:
    """The indices that a slice or a number chooses on an axis."""
    if isinstance(key, slice):
        return range(size)[key]
    number = range(size)[key]
    return range(number, number + 1)
