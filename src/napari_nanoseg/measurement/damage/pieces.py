"""Connected pieces of a volume of any depth, found slab by slab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

SPACE = np.ones((3, 3, 3), bool)
"""Voxels that share a face, an edge or a corner belong together."""
PLANES = np.pad(np.ones((1, 3, 3), bool), ((1, 1), (0, 0), (0, 0)))
"""The same in every slice alone."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """Objects of a volume and sums over their voxels.

    Parameters
    ----------
    voxels, marked : int64 array, shape (N,)
        Voxels, and those of them that are marked.
    sums : int64 array, shape (N, 3)
        Sums of slices, rows and columns.
    starts, stops : int64 array, shape (N, 3)
        First slice, row and column, and those after the last.
    firsts : int64 array, shape (N,)
        Index of the first voxel in the flattened volume.
    """

    voxels: Counts
    marked: Counts
    sums: Counts
    starts: Counts
    stops: Counts
    firsts: Counts

    def __len__(self) -> int:
        return len(self.voxels)

    def __getitem__(self, index: NDArray[np.bool_] | Counts) -> Self:
        return type(self)(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})

    @classmethod
    def none(cls) -> Self:
        """No object."""
        one, three = np.zeros(0, np.int64), np.zeros((0, 3), np.int64)
        return cls(one, one, three, three, three, one)

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """All objects of several lists."""
        parts = parts or [cls.none()]
        return cls(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__}
        )

    def merged(self, numbers: Counts, count: int) -> Self:
        """Join the objects that have the same number, 0 to `count` - 1."""
        large = np.iinfo(np.int64).max
        added = [np.zeros((count, *getattr(self, name).shape[1:]), np.int64) for name in ("voxels", "marked", "sums")]
        for total, values in zip(added, (self.voxels, self.marked, self.sums), strict=True):
            np.add.at(total, numbers, values)
        starts, stops = np.full((count, 3), large), np.zeros((count, 3), np.int64)
        np.minimum.at(starts, numbers, self.starts)
        np.maximum.at(stops, numbers, self.stops)
        firsts = np.full(count, large)
        np.minimum.at(firsts, numbers, self.firsts)
        voxels, marked, sums = added
        return type(self)(voxels, marked, sums, starts, stops, firsts)

    def ordered(self) -> Self:
        """In the order of their first voxels, which is that of ``scipy.ndimage.label``."""
        return self[np.argsort(self.firsts, kind="stable")]


def labelled(labels: NDArray[np.integer], count: int, start: int, marked: NDArray[np.bool_] | None = None) -> Pieces:
    """Sum up the objects of a slab.

    Parameters
    ----------
    labels : integer array, shape (Z, Y, X)
        1 to `count`; 0 and less is no object.
    count : int
    start : int
        Number of the slab's first slice.
    marked : bool array of the same shape, optional

    Returns
    -------
    Pieces
        One for each of 1 to `count`; without voxels where a label does not occur.
    """
    flat = np.flatnonzero(labels > 0)
    found = labels.ravel()[flat] - 1
    _, rows, columns = labels.shape
    voxels = np.bincount(found, minlength=count)
    marks = np.zeros(count, np.int64) if marked is None else np.bincount(found[marked.ravel()[flat]], minlength=count)
    places = [flat // (rows * columns) + start, flat // columns % rows, flat % columns]
    # exact: sums of whole numbers stay far below 2^53
    sums = np.stack([np.bincount(found, place, count) for place in places], axis=1).astype(np.int64)
    starts, stops = np.full((count, 3), np.iinfo(np.int64).max), np.zeros((count, 3), np.int64)
    for axis, place in enumerate(places):
        np.minimum.at(starts[:, axis], found, place)
        np.maximum.at(stops[:, axis], found, place + 1)
    firsts = np.full(count, np.iinfo(np.int64).max)
    firsts[found[::-1]] = flat[::-1] + start * rows * columns
    return Pieces(voxels, marks, sums, starts, stops, firsts)


class Tracker:
    """Follows connected pieces through the slabs of a volume; only those that reach into the next slab stay open.

    Parameters
    ----------
    smallest : int
        Pieces of fewer voxels are only counted.
    per_slice : bool
        Whether slices have nothing to do with each other.
    """

    def __init__(self, smallest: int = 1, *, per_slice: bool = False) -> None:
        self._smallest, self._per_slice = smallest, per_slice
        self._open = Pieces.none()
        self._edge: NDArray[np.int64] | None = None
        self._closed: list[Pieces] = []
        self.small = 0
        """Pieces that were too small, so far."""

    def add(self, mask: NDArray[np.bool_], start: int, marked: NDArray[np.bool_] | None = None) -> None:
        """Take the next slab, whose first slice has the number `start`."""
        from scipy.ndimage import label
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        labels, count = label(mask, PLANES if self._per_slice else SPACE)
        here = labelled(labels, count, start, marked)
        if self._per_slice:
            self._close(here)
            return
        before = len(self._open)
        pairs = np.zeros((2, 0), np.int64) if self._edge is None else _touching(self._edge, labels[0])
        links = coo_array(
            (np.ones(pairs.shape[1], bool), (pairs[0] - 1, pairs[1] - 1 + before)), shape=(before + count,) * 2
        )
        number, joined = connected_components(links, directed=False)
        pieces = Pieces.joined([self._open, here]).merged(joined, number)
        last = labels[-1]
        reached = np.zeros(number, bool)
        reached[joined[before + np.unique(last[last > 0]) - 1]] = True
        self._close(pieces[~reached])
        self._open = pieces[reached]
        following = np.concatenate(([0], np.cumsum(reached)[joined[before:]]))
        self._edge = following[last]

    def finish(self) -> Pieces:
        """All pieces, in the order of ``scipy.ndimage.label``, once every slab was taken."""
        self._close(self._open)
        self._open, self._edge = Pieces.none(), None
        return Pieces.joined(self._closed).ordered()

    def _close(self, pieces: Pieces) -> None:
        large = pieces.voxels >= self._smallest
        self.small += int(np.count_nonzero(~large))
        if large.any():
            self._closed.append(pieces[large])


def _touching(above: NDArray[np.int64], below: NDArray[np.integer]) -> Counts:
    """Pairs of labels, (2, N), that touch where one slice lies on the next, at faces, edges or corners."""
    rows, columns = above.shape
    padded = np.pad(above, 1)
    base = int(below.max()) + 1
    found = []
    for down in range(3):
        for right in range(3):
            upper = padded[down : down + rows, right : right + columns]
            both = (upper > 0) & (below > 0)
            keys = upper[both] * base + below[both]
            # neighbours mostly say the same: without repeats, there is little to sort
            found.append(np.unique(keys[np.concatenate(([True], keys[1:] != keys[:-1]))]) if len(keys) else keys)
    keys = np.unique(np.concatenate(found))
    return np.stack([keys // base, keys % base])
