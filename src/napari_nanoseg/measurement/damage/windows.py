"""Counts of pixels in windows: moving ones for maps, ones side by side for statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.damage import DamageConfig
from napari_nanoseg.errors import NanosegError

Counts = NDArray[np.int64]


def window_size(config: DamageConfig, calibration: Calibration) -> tuple[int, int]:
    """Rows and columns of the window: as many as there are pixels in its physical side, at least one.

    Raises
    ------
    NanosegError
        When it is physical and the pixel size is not known.
    """
    if config.window_um is None:
        return config.window, config.window
    if calibration.pixel_size_nm is None:
        raise NanosegError(
            f"The window is {config.window_um:g} µm wide but the pixel size is not known; give the pixel size, or the "
            "window in pixels."
        )
    row, column = calibration.pixel_size_nm[-2:]
    return max(1, round(1000 * config.window_um / row)), max(1, round(1000 * config.window_um / column))


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one slice, one for every pair of a span of rows and a span of columns.

    Parameters
    ----------
    rows, columns : pair of int64 arrays, shape (R,) and (C,)
        First pixel of every span, and the one after its last; cut where the slice ends.
    """

    rows: tuple[Counts, Counts]
    columns: tuple[Counts, Counts]

    @classmethod
    def moving(cls, shape: tuple[int, int], window: tuple[int, int], stride: int = 1) -> Windows:
        """Windows around the pixels ``stride // 2``, ``stride // 2 + stride``, ... of both axes.

        That around pixel p has the pixels ``p - side // 2`` to ``p - side // 2 + side - 1``, as those of
        ``scipy.ndimage.uniform_filter``, without what lies beyond the slice.
        """
        return cls(*(_spans(_centres(n, stride) - side // 2, side, n) for n, side in zip(shape, window, strict=True)))

    @classmethod
    def tiled(cls, shape: tuple[int, int], window: tuple[int, int]) -> Windows:
        """Windows side by side, which have no pixel in common; the last of each axis may be smaller."""
        return cls(*(_spans(np.arange(0, n, side), side, n) for n, side in zip(shape, window, strict=True)))

    @classmethod
    def stepped(cls, shape: tuple[int, int], window: tuple[int, int], overlap: float) -> Windows:
        """Whole windows that share a part of their side with the next; one that is cut where the slice is smaller."""
        spans = []
        for size, side in zip(shape, window, strict=True):
            step = max(1, round(side * (1 - overlap)))
            spans.append(_spans(np.arange(0, max(size - side, 0) + 1, step), side, size))
        return cls(*spans)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of windows along rows and columns."""
        return len(self.rows[0]), len(self.columns[0])

    @property
    def areas(self) -> Counts:
        """Pixels in every window, (R, C)."""
        return np.asarray(np.multiply.outer(self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]))

    def counts(self, mask: NDArray[np.bool_]) -> Counts:
        """Pixels of a mask (Y, X) in every window, (R, C): exact, and as fast for large windows as for small ones."""
        exact = np.int32 if mask.size < 2**31 else np.int64
        for axis, (starts, stops) in enumerate((self.rows, self.columns)):
            sums = np.cumsum(mask, axis=axis, dtype=exact)
            sums = np.concatenate((np.zeros_like(np.take(sums, [0], axis)), sums), axis=axis)
            mask = np.take(sums, stops, axis) - np.take(sums, starts, axis)
        return np.asarray(mask, np.int64)


def _centres(size: int, stride: int) -> Counts:
    return np.arange(min(stride // 2, size - 1), size, stride)


def _spans(starts: Counts, side: int, size: int) -> tuple[Counts, Counts]:
    return np.maximum(starts, 0), np.minimum(starts + side, size)


def ratio(part: Counts, whole: Counts) -> NDArray[np.float64]:
    """`part` / `whole`; NaN where there is no whole."""
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))
