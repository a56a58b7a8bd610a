"""Arrays with further axes of length one as volumes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.samples import Sliceable


class SqueezedVoxels:
    """An array of h5py or zarr without its axes of length one.

    Parameters
    ----------
    data : Sliceable
    kept : tuple of int
        The axes that stay.
    """

    ndim = 3

    def __init__(self, data: Sliceable, kept: tuple[int, ...]):
        self._data, self._kept = data, kept
        self.shape, self.dtype = tuple(data.shape[axis] for axis in kept), data.dtype

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        keys = key if isinstance(key, tuple) else (key,)
        full: list[Any] = [0] * len(self._data.shape)
        for axis, one in zip(self._kept, (*keys, *[slice(None)] * (3 - len(keys))), strict=True):
            full[axis] = one
        return np.asarray(self._data[tuple(full)])


def squeezed(data: Sliceable) -> Sliceable:
    """The array itself when it has three axes, or a view of it without those of length one."""
    kept = tuple(axis for axis, size in enumerate(data.shape) if size != 1)
    return data if len(data.shape) == 3 or len(kept) != 3 else SqueezedVoxels(data, kept)
