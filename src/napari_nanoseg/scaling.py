"""An image seen at another scale, window by window, so that memory never holds the whole of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import checkpoint
from napari_nanoseg.instances import Instances

FloatImage = NDArray[np.float32]
LIMITS = (1 / 500, 20.0)  # factors for particles of 16,000 and of 1.6 px; beyond, a diameter is a typing error
STRIP = 2**22  # pixels of the source that become floating-point numbers at once
SAMPLES, SAMPLE = (
    16,
    64,
)  # windows along an axis, and their side, for percentiles of an image too large to be seen whole


class ScaledView:
    """A 2-D image (optionally with channels last) enlarged or reduced by one factor.

    Every pixel of the scaled image is linear interpolation of the source at its centre, after a Gaussian filter of
    ``(1 / factor - 1) / 2`` pixels when the image is reduced (as in scikit-image's ``resize``). When it is reduced
    fourfold or more, means of blocks do a part of the filter, so that no window needs more than 16 floating-point
    numbers per pixel. A window is computed from its own neighbourhood only and does not depend on how the image is cut
    into windows.

    Parameters
    ----------
    source : array, shape (Y, X) or (Y, X, C)
        Any real dtype; may be lazy (memory-mapped).
    factor : float
        Greater than 1 enlarges. 1 gives the source itself.
    limits : pair of arrays, optional
        Least and most value of a pixel, for each channel: the source is clipped to them before it is filtered.

    Raises
    ------
    NanosegError
        When the factor is so small or large that it can only come from a wrong diameter or pixel size.
    """

    def __init__(self, source: NDArray[Any], factor: float = 1.0, limits: tuple[FloatImage, FloatImage] | None = None):
        if not LIMITS[0] <= factor <= LIMITS[1]:
            raise NanosegError(
                f"The image would have to be seen at {factor:.2g} times its size; correct the particle diameter "
                "or the pixel size."
            )
        self.source, self.limits = source, limits
        rows, columns = source.shape[:2]
        self.factor = factor
        self._block = 2 ** max(0, int(np.log2(1 / factor)) - 1)
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
            block = self._read(slice(r0, r1), slice(c0, c1))
            return np.ascontiguousarray(block[np.ix_(row_index - r0, column_index - c0)])
        row_at = self._positions(row_index, 0)
        column_at = self._positions(column_index, 1)
        blur = max(0.0, (1 / self.factor - 1) / 2)
        # a mean of blocks adds a variance of (block**2 - 1) / 12, interpolation between them on average twice that
        sigma = np.sqrt(blur**2 - (self._block**2 - 1) / 4) / self._block
        margin = int(np.ceil(4 * sigma)) + 1
        starts, spans = [], []
        for at, size in ((row_at, self.source.shape[0]), (column_at, self.source.shape[1])):
            start = max(0, int(np.floor(at.min())) - margin)
            starts.append(start)
            spans.append((start, min(-(-size // self._block), int(np.floor(at.max())) + 2 + margin)))
        block = self._means(*spans)
        if sigma > 0:
            from scipy.ndimage import gaussian_filter

            sigmas = (sigma, sigma) + (0.0,) * (block.ndim - 2)
            block = gaussian_filter(block, sigmas, mode="nearest", truncate=4.0)
        block = _linear(block, row_at - starts[0], 0)
        return np.ascontiguousarray(_linear(block, column_at - starts[1], 1))

    def _read(self, rows: slice, columns: slice) -> FloatImage:
        pixels = np.asarray(self.source[rows, columns], np.float32)
        return pixels if self.limits is None else np.clip(pixels, *self.limits)

    def _means(self, rows: tuple[int, int], columns: tuple[int, int]) -> FloatImage:
        """Means of the source's blocks, at its end of what there is; strip by strip, never copied as a whole."""
        side, channels = self._block, self.source.shape[2:]
        if side == 1:
            return self._read(slice(*rows), slice(*columns))
        count = columns[1] - columns[0]
        means = np.empty((rows[1] - rows[0], count, *channels), np.float32)
        high = max(1, STRIP // (count * side * side))
        for top in range(rows[0], rows[1], high):
            bottom = min(top + high, rows[1])
            strip = self._read(slice(top * side, bottom * side), slice(columns[0] * side, columns[1] * side))
            missing = ((bottom - top) * side - strip.shape[0], count * side - strip.shape[1])
            if any(missing):
                strip = np.pad(strip, ((0, missing[0]), (0, missing[1]), *[(0, 0)] * len(channels)), mode="edge")
            summed = strip.reshape(bottom - top, side, count * side, *channels).sum(axis=1)
            summed = summed.reshape(bottom - top, count, side, *channels).sum(axis=2)
            means[top - rows[0] : bottom - rows[0]] = summed / side**2
            checkpoint()
        return means

    def whole(self) -> FloatImage:
        """The whole scaled image."""
        return self.window((0, self.shape[0]), (0, self.shape[1]))

    def sampled(self, most: int) -> FloatImage:
        """Pixels for percentiles: all, or evenly spread ones where the source has more than `most`.

        Of an enlarged image those of the source: a single bright pixel would count several times. It can be left
        after every strip or window, none of which has more than a sixteenth of `most` or, of a far view, of the source.
        """
        rows, columns = self.source.shape[:2]
        if self.factor >= 1:
            step = int(np.ceil(np.sqrt(max(1, rows * columns / most))))
            return np.asarray(self.source[::step, ::step], np.float32)
        if rows * columns <= most:
            high = -(-self.shape[0] // SAMPLES)
            parts = [(top, min(top + high, self.shape[0])) for top in range(0, self.shape[0], high)]
            strips = self._windows(parts, [(0, self.shape[1])])
            return np.concatenate(strips)
        windows = self._windows(_spread(self.shape[0]), _spread(self.shape[1]))
        return np.concatenate([window.reshape(-1, 1, *window.shape[2:]) for window in windows])

    def _windows(self, rows: list[tuple[int, int]], columns: list[tuple[int, int]]) -> list[FloatImage]:
        windows = []
        for one in rows:
            for other in columns:
                windows.append(self.window(one, other))
                checkpoint()
        return windows

    def clipped(self, least: FloatImage, most: FloatImage) -> ScaledView:
        """The same view with the values of the source clipped, for each channel."""
        return ScaledView(self.source, self.factor, (least, most))

    def geometry(self) -> ScaledView:
        """The same view without the pixels of its source, which it does not hold in memory."""
        return ScaledView(np.broadcast_to(np.float32(0), self.source.shape[:2]), self.factor)

    def _positions(self, index: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
        """Coordinates of scaled pixels among the source's blocks: their centres, kept inside the image."""
        step = self.source.shape[axis] / self.shape[axis] / self._block
        last = -(-self.source.shape[axis] // self._block) - 1
        return np.asarray(np.clip((index + 0.5) * step - 0.5, 0, last), np.float64)

    def to_source(self, coordinates: NDArray[Any], axis: int) -> NDArray[Any]:
        """Map coordinates of this view along `axis` (0 rows, 1 columns) to coordinates of the source."""
        if self.factor == 1:
            return coordinates
        step = self.source.shape[axis] / self.shape[axis]
        mapped: NDArray[Any] = (coordinates + 0.5) * step - 0.5
        return mapped


def _spread(size: int) -> list[tuple[int, int]]:
    """Windows along an axis: all of a short one, 16 of 64 px of a long one."""
    if size <= SAMPLES * SAMPLE:
        return [(0, size)]
    return [(int(start), int(start) + SAMPLE) for start in np.linspace(0, size - SAMPLE, SAMPLES)]


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
    if factor == 1:
        return labels
    return labels[np.ix_(*_places((labels.shape[0], labels.shape[1]), factor))]


def scaled_instances(instances: Instances, factor: float) -> Instances:
    """Objects at another scale, each by the same rule as :func:`scaled_labels`; those without pixels are left out."""
    if factor == 1:
        return instances
    rows, columns = _places((instances.shape[0], instances.shape[1]), factor)
    boxes, masks = [], []
    for (top, left, bottom, right), mask in zip(instances.boxes.tolist(), instances.masks, strict=True):
        # the places rise, so what lies in a box is one run of them
        row0, row1 = np.searchsorted(rows, (top, bottom)).tolist()
        column0, column1 = np.searchsorted(columns, (left, right)).tolist()
        boxes.append((row0, column0, row1, column1))
        masks.append(mask[np.ix_(rows[row0:row1] - top, columns[column0:column1] - left)])
    return Instances.from_masks(
        (len(rows), len(columns)), np.reshape(boxes, (len(masks), 4)), masks, instances.scores, instances.classes,
        instances.ids,
    )  # fmt: skip


def _places(shape: tuple[int, int], factor: float) -> list[NDArray[np.int64]]:
    """Row and column of the source under the centre of each row and column of the scaled image."""
    view = ScaledView(np.broadcast_to(np.uint8(0), shape), factor)
    return [
        np.clip(np.rint(view.to_source(np.arange(view.shape[axis]), axis)).astype(np.int64), 0, shape[axis] - 1)
        for axis in (0, 1)
    ]
