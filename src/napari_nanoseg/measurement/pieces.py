"""Pieces of one label, fragments that slipped in, and an annotation without either."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.instances import Instances

SMALLEST = 9
"""Pixels; nothing has a shape below."""
TINY = 0.05
"""Share of the median area: a particle of less than a quarter of the median diameter is hardly one of the same kind."""


class Pieces:
    """What a mask consists of.

    Parameters
    ----------
    mask : bool array, shape (Y, X)
        With at least one pixel, in its tight bounding box.

    Attributes
    ----------
    areas : int64 array, shape (N,)
        Pixels of each piece; pieces that meet at a corner are one.
    numbers : integer array, shape of the mask
        1 to N in the pieces, 0 elsewhere.
    holes : int
        Number of holes.
    """

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        from scipy.ndimage import label

        self._background: NDArray[np.int32] | None = None
        self.holes = 0
        if _is_plain(mask):
            self.numbers, count = mask.view(np.int8), 1
        else:
            self.numbers, count = label(mask, np.ones((3, 3)))
            self._background, regions = label(np.pad(~mask, 1, constant_values=True))
            self.holes = regions - 1
        self.areas: NDArray[np.int64] = np.bincount(self.numbers.ravel(), minlength=count + 1)[1:]

    def position(self, number: int) -> NDArray[np.int64]:
        """(row, column) of the pixel of piece `number` (from 1) that is nearest to its centre of gravity."""
        return _middle(self.numbers == number)

    def hole(self) -> NDArray[np.int64]:
        """(row, column) of a pixel of the largest hole; there must be one."""
        assert self._background is not None
        areas = np.bincount(self._background.ravel())
        areas[[0, self._background[0, 0]]] = 0
        return _middle(self._background == areas.argmax()) - 1


def fragment_limit(areas: NDArray[np.int64]) -> float:
    """Area in pixels below which an object is a fragment among objects of these areas.

    Nine pixels or 5 % of the median, whichever is more; but never more than a quarter of the median, so that images
    of tiny particles keep them.
    """
    median = float(np.median(areas))
    return min(max(SMALLEST, TINY * median), median / 4)


def mended(labels: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Give pieces of one label labels of their own and remove fragments.

    Parameters
    ----------
    labels : integer array, shape (Y, X)
        0 and negative numbers are background.

    Returns
    -------
    labels : array of the same shape and dtype
        A new array. The largest piece keeps its label; others get the numbers after the largest label.
    done : str
        What was done, in one sentence.

    Notes
    -----
    A fragment is defined by :func:`fragment_limit` of the largest piece of each label.
    """
    instances, result = Instances.from_labels(labels), labels.copy()
    found = [Pieces(mask) for mask in instances.masks]
    if not found:
        return result, "There is nothing to mend."
    limit = fragment_limit(np.array([pieces.areas.max() for pieces in found]))
    following, removed, parted = int(labels.max()) + 1, 0, 0
    for (row, column, row_stop, column_stop), pieces in zip(instances.boxes.tolist(), found, strict=True):
        crop = result[row:row_stop, column:column_stop]
        keeper = int(pieces.areas.argmax()) + 1
        for number, area in enumerate(pieces.areas, start=1):
            if area < limit:
                crop[pieces.numbers == number] = 0
                removed += 1
            elif number != keeper:
                crop[pieces.numbers == number] = following
                following, parted = following + 1, parted + 1
    return result, _told(parted, removed)


def _is_plain(mask: NDArray[np.bool_]) -> bool:
    """Whether every row is one run that meets the next row's, so that there is one piece without a hole.

    True of all convex particles, and ten times faster than to number the pieces.
    """
    if not mask.any(axis=1).all() or np.count_nonzero(mask[:, 1:] > mask[:, :-1]) + np.count_nonzero(mask[:, 0]) != len(
        mask
    ):
        return False
    first = mask.argmax(axis=1)
    last = first + np.count_nonzero(mask, axis=1) - 1
    return bool((first[1:] <= last[:-1] + 1).all() and (first[:-1] <= last[1:] + 1).all())


def _told(parted: int, removed: int) -> str:
    done = []
    if parted:
        done.append(f"{parted} piece{'s' * (parted > 1)} got {'labels' if parted > 1 else 'a label'} of "
                    f"{'their' if parted > 1 else 'its'} own")  # fmt: skip
    if removed:
        done.append(f"{removed} fragment{'s were' if removed > 1 else ' was'} removed")
    return " and ".join(done).capitalize() + "." if done else "There is nothing to mend."


def _middle(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The pixel of a mask nearest to its centre of gravity."""
    places = np.argwhere(mask)
    middle: NDArray[np.int64] = places[((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return middle
