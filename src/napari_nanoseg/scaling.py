"""An image seen at another scale, window by window, so that memory never holds the whole of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.errors import NanosegError

FloatImage = NDArray[np.float32]
LIMITS = (1 / 500, 20.0)  # factors for particles of 16,000 and of 1.6 px; beyond, a diameter is a typing error


class ScaledView:
    """A 2-D image (optionally with channels last) enlarged or reduced by one factor.

    Every pixel of the scaled image is linear interpolation of the source at its centre, after a Gaussian filter of
    ``(1 / factor - 1) / 2`` pixels when the image is reduced (as in scikit-image's ``resize``). A window is computed
    from its own neighbourhood only and does not depend on how the image is cut into windows.

    Parameters
    ----------
    source : array, shape (Y, X) or (Y, X, C)
        Any real dtype; may be lazy (memory-mapped).
    factor : float
        Greater than 1 enlarges. 1 gives the source itself.

    Raises
    ------
    NanosegError
        When the factor is so small or large that it can only come from a wrong diameter or pixel size.
    """

    def __init__(self, source: NDArray[Any], factor: float = 1.0):
        if not LIMITS[0] <= factor <= LIMITS[1]:
            raise NanosegError(
                f"The image would have to be seen at {factor:.2g} times its size; correct the particle diameter "
                "or the pixel size."
            )
        self.source = source
        rows, columns = source.shape[:2]
        self.factor = factor
        self.shape = (rows, columns) if factor == 1 else (max(1, round(rows * factor)), max(1, round(columns * factor)))

    def window(self, rows: tuple[int, int], columns: tuple[int, int]) -> FloatImage:
        """Pixels of ``[rows[0], rows[1]) x [columns[0], columns[1])``; outside the image it is mirrored.

        Returns
        -------
        float32 array, shape (rows, columns) or (rows, columns, C)
        """
        row_index = mirrored(np.arange(*rows), self.shape[0])
        column_index = mirrored(np.arange(*columns), self.shape[1])
        if self.factor == 1:
            r0, r1 = int(row_index.min()), int(row_index.max()) + 1
            c0, c1 = int(column_index.min()), int(column_index.max()) + 1
            block = np.asarray(self.source[r0:r1, c0:c1], np.float32)
            return np.ascontiguousarray(block[np.ix_(row_index - r0, column_index - c0)])
        row_at = self._positions(row_index, 0)
        column_at = self._positions(column_index, 1)
        sigma = max(0.0, (1 / self.factor - 1) / 2)
        margin = int(np.ceil(4 * sigma)) + 1
        starts, blocks = [], []
        for at, size in ((row_at, self.source.shape[0]), (column_at, self.source.shape[1])):
            start = max(0, int(np.floor(at.min())) - margin)
            starts.append(start)
            blocks.append(slice(start, min(size, int(np.floor(at.max())) + 2 + margin)))
        block = np.asarray(self.source[blocks[0], blocks[1]], np.float32)
        if sigma > 0:
            from scipy.ndimage import gaussian_filter

            sigmas = (sigma, sigma) + (0.0,) * (block.ndim - 2)
            block = gaussian_filter(block, sigmas, mode="nearest", truncate=4.0)
        block = _linear(block, row_at - starts[0], 0)
        return np.ascontiguousarray(_linear(block, column_at - starts[1], 1))

    def whole(self) -> FloatImage:
        """The whole scaled image."""
        return self.window((0, self.shape[0]), (0, self.shape[1]))

    def geometry(self) -> ScaledView:
        """The same view without the pixels of its source, which it does not hold in memory."""
        return ScaledView(np.broadcast_to(np.float32(0), self.source.shape[:2]), self.factor)

    def _positions(self, index: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
        """Source coordinates of scaled pixels: their centres, kept inside the image."""
        step = self.source.shape[axis] / self.shape[axis]
        return np.asarray(np.clip((index + 0.5) * step - 0.5, 0, self.source.shape[axis] - 1), np.float64)

    def to_source(self, coordinates: NDArray[Any], axis: int) -> NDArray[Any]:
        """Map coordinates of this view along `axis` (0 rows, 1 columns) to coordinates of the source."""
        if self.factor == 1:
            return coordinates
        step = self.source.shape[axis] / self.shape[axis]
        mapped: NDArray[Any] = (coordinates + 0.5) * step - 0.5
        return mapped


def _linear(block: FloatImage, at: NDArray[np.float64], axis: int) -> FloatImage:
    low = np.minimum(np.floor(at).astype(np.int64), block.shape[axis] - 1)
    high = np.minimum(low + 1, block.shape[axis] - 1)
    shape = [1] * block.ndim
    shape[axis] = len(at)
    weight = (at - low).astype(np.float32).reshape(shape)
    return np.asarray(block.take(low, axis) * (1 - weight) + block.take(high, axis) * weight, np.float32)


def mirrored(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Indices outside ``[0, size)`` reflected at the first and last pixel (NumPy's mode "reflect")."""
    if size == 1:
        return np.zeros_like(index)
    period = 2 * (size - 1)
    folded = np.abs(index) % period
    return np.asarray(np.minimum(folded, period - folded), np.int64)


def scaled_labels(labels: NDArray[Any], factor: float) -> NDArray[Any]:
    """Labels at another scale: the label under each pixel's centre.

    Parameters
    ----------
    labels : int array, shape (Y, X)
    factor : float
        As in :class:`ScaledView`.
    """
    view = ScaledView(labels, factor)
    if factor == 1:
        return labels
    rows = np.rint(view._positions(np.arange(view.shape[0]), 0)).astype(np.int64)
    columns = np.rint(view._positions(np.arange(view.shape[1]), 1)).astype(np.int64)
    return labels[np.ix_(rows, columns)]
