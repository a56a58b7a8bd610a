"""Tell a grey micrograph from labels, where one was given in place of the other.

The values of a micrograph change from pixel to pixel or step by step, and each of them lies in many pieces; a label
changes only at the edge of its object, into any other label. All limits lie between what was measured on real images
and masks (EMPS, cracks in solar cells, nanowires), also after smoothing, with fewer bits, saturated and with a
background of 0, and on the generators' labels; ``tests/test_greyness.py`` checks both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.errors import NanosegError

WINDOW = 512
"""Rows and columns of the part that is looked at: where the most neighbours differ."""
SEARCHED_ROWS = 4
"""Every fourth row is searched for that part: 10 ms for 4096 x 4096 labels."""
SLICES = 3
"""Slices of a volume that are looked at."""
FEWEST_PAIRS = 500
"""Pairs of neighbours that are not 0, below which nothing is certain: an image of 16 x 16 pixels has 480."""
FEWEST_VALUES = 8
"""Below are masks and class maps. Images of 4 bits have 7 to 15 values."""
LEAST_DIFFERING = 0.02
"""Fraction of neighbours that differ: in EMPS, up to 0.018 of the labels and from 0.18 of the images."""
LEAST_GREY = 0.01
"""Smoothed, enlarged and JPEG-compressed masks have up to 0.007, micrographs from 0.79, saturated ones from 0.016."""


@dataclass(frozen=True)
class Neighbours:
    """How the values of a plane lie beside each other; 0 is left out.

    Parameters
    ----------
    values : int
        Number of different values.
    differing : float
        Fraction of the neighbours that have different values.
    near, stepwise : float
        Fraction of those that are at most an eighth of all values (or 3) apart, or a sixty-fourth (from 1 to 3).
    chain : float
        Fraction of the values that touch the next larger one somewhere.
    pieces : float
        Mean number of connected pieces of a value.
    """

    values: int
    differing: float
    near: float
    stepwise: float
    chain: float
    pieces: float

    @property
    def grey(self) -> bool:
        """Whether these are grey values rather than labels, class numbers or the soft edges of a mask."""
        if self.differing >= 0.85 and self.pieces > 1:  # densely packed labels of 4 pixels: 0.54; of 1 pixel: 1, and 1
            return True
        smooth = self.stepwise >= 0.9 and self.chain >= 0.9  # touching cells numbered in rows: 0.5 and up to 0.97
        if self.values < 32:
            several = 4 if self.values >= 16 and smooth else 20 if self.differing >= 0.2 else 60
            return self.near >= 0.8 and self.chain >= 0.85 and self.pieces >= several
        if smooth and (self.pieces >= 2 or (self.values >= 64 and self.differing >= 0.05)):  # the latter: a gradient
            return True
        if self.near >= 0.6:  # 0.25 for classes and for labels in any order, up to 0.52 for crossing wires
            if self.chain >= 0.4 and self.pieces >= 50:
                return True
            if self.pieces >= 4 and self.differing >= (0.3 if self.chain >= 0.4 else 0.45):
                return True
        return self.values >= 64 and self.pieces >= 40 and self.differing >= 0.3  # crossing wires: 15 pieces


def refuse_grey(labels: Any, where: str) -> None:
    """Refuse a grey micrograph given as labels, a mask or a class map.

    Parameters
    ----------
    labels : integer array, shape (Y, X) or (Z, Y, X)
        Or anything that slices as an array does; of a volume, :data:`SLICES` slices are read. Other arrays pass.
    where : str
        The file, the layer or the argument, for the message.

    Raises
    ------
    NanosegError
        When it is certain. Masks, class maps and labels of any size, number and order pass, and so do images of fewer
        than :data:`FEWEST_VALUES` grey values.
    """
    shape = labels.shape
    if len(shape) not in (2, 3) or labels.dtype.kind not in "iu" or 0 in shape:
        return
    planes = [labels]
    if len(shape) == 3:
        depth = shape[0]
        numbers = sorted({(2 * part + 1) * depth // (2 * SLICES) for part in range(SLICES)})
        planes = [labels[number : number + 1, :, :][0] for number in numbers]
    for plane in planes:
        window = _window(np.asarray(plane))
        found = neighbours(window)
        if found is not None and found.grey and greyness(window) >= LEAST_GREY:
            raise NanosegError(
                f"{where} looks like a grey image, not like labels ({found.values} values in {window.shape[0]} x "
                f"{window.shape[1]} pixels, and {found.differing:.0%} of the neighbouring pixels differ); choose the "
                "labels, and check whether images and labels are swapped."
            )


def looks_numbered(image: NDArray[Any]) -> bool:
    """Whether an image is certainly a label image: its values are 0 and nearly all of 1 to N, each in one piece.

    Parameters
    ----------
    image : array, shape (Y, X)
        Arrays of other shapes, and of fewer than :data:`FEWEST_VALUES` values besides 0, are never certain.
    """
    from skimage.measure import label

    if image.ndim != 2 or image.dtype.kind not in "iu" or image.size == 0 or image.min() != 0:
        return False
    if not FEWEST_VALUES <= image.max() <= image.size:
        return False
    used = int(np.count_nonzero(np.bincount(image.ravel())[1:]))
    if used < max(FEWEST_VALUES, 0.9 * int(image.max())):
        return False
    window = _window(image)
    found = np.unique(window[window != 0])
    pieces = len(np.unique(label(window.astype(np.int32), connectivity=2))) - 1  # less that of the background
    return found.size >= FEWEST_VALUES and pieces <= 1.2 * found.size


def neighbours(plane: NDArray[Any]) -> Neighbours | None:
    """Look at how the values of a plane lie beside each other; None where there is too little to tell grey values.

    Parameters
    ----------
    plane : integer array, shape (Y, X)
    """
    from skimage.measure import label

    filled = plane != 0
    pairs = [(plane[one], plane[other], filled[one] & filled[other]) for one, other in _BESIDE]
    count = sum(np.count_nonzero(both) for *_, both in pairs)
    differing = sum(np.count_nonzero((one != other) & both) for one, other, both in pairs)
    if count < FEWEST_PAIRS or differing < LEAST_DIFFERING * count:
        return None
    found, inverse = np.unique(plane, return_inverse=True)
    values = int(np.count_nonzero(found))
    if values < FEWEST_VALUES:
        return None
    ranks = inverse.reshape(plane.shape).astype(np.int32)
    steps, lower = [], []
    for one, other in _BESIDE:
        both = filled[one] & filled[other]
        first, second = ranks[one][both], ranks[other][both]
        step = np.abs(first - second)
        steps.append(step[step > 0])
        lower.append(np.minimum(first, second)[step == 1])
    apart = np.concatenate(steps)
    pieces = len(np.unique(label(ranks + 1, connectivity=1)[filled]))
    return Neighbours(
        values=values,
        differing=differing / count,
        near=float(np.mean(apart <= max(3, values // 8))),
        stepwise=float(np.mean(apart <= min(max(values // 64, 1), 3))),
        chain=len(np.unique(np.concatenate(lower))) / (values - 1),
        pieces=pieces / values,
    )


def greyness(plane: NDArray[Any]) -> float:
    """Fraction of the pixels that lie more than 4 pixels from what is evenly dark or bright, as no soft edge does.

    Dark and bright are the lowest and the highest tenth of the range of values, but only where a quarter of such pixels
    has one and the same value, as in a background or a saturated image.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    low, high = float(np.percentile(plane, 0.5)), float(np.percentile(plane[plane != 0], 99.5))
    tenth = 0.1 * (high - low)
    solid = np.zeros(plane.shape, bool)
    for even in (plane <= low + tenth, plane >= high - tenth):
        alike = np.unique(plane[even], return_counts=True)[1]
        if alike.max() >= 0.25 * alike.sum():
            solid |= minimum_filter(even, 3)
    return 1 - float(maximum_filter(solid, 9).mean())


_BESIDE = ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1]))


def _window(plane: NDArray[Any]) -> NDArray[Any]:
    """The part of a plane in which the most neighbours differ."""
    rows, columns = plane.shape
    if max(rows, columns) <= WINDOW:
        return plane
    some = plane[::SEARCHED_ROWS]
    one, other = some[:, 1:], some[:, :-1]
    differ = (one != other) & (one != 0) & (other != 0)
    starts = [
        (row, column)
        for row in range(0, max(rows - WINDOW // 2, 1), WINDOW // 2)
        for column in range(0, max(columns - WINDOW // 2, 1), WINDOW // 2)
    ]
    size = WINDOW // SEARCHED_ROWS
    row, column = max(
        starts,
        key=lambda start: np.count_nonzero(differ[start[0] // SEARCHED_ROWS :][:size, start[1] : start[1] + WINDOW]),
    )
    return plane[row : row + WINDOW, column : column + WINDOW]
