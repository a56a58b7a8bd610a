"""Cracks by a threshold of the whole volume, found from a histogram that is streamed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter1d, minimum_filter1d

from napari_nanoseg.config.cracks import CrackThreshold
from napari_nanoseg.engines.baseline.foreground import otsu
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Progress, checkpoint, tell
from napari_nanoseg.samples import Volume

BINS = 2**16
"""Of the histogram: every grey value of 16 bits has its own."""
PIECE = 2**22
"""Voxels counted at once: NumPy makes 64-bit numbers of them."""


@dataclass(frozen=True)
class ThresholdPredictor:
    """Conventional thresholding; see :class:`~napari_nanoseg.config.cracks.CrackThreshold`.

    Parameters
    ----------
    config : CrackThreshold
    level : float
        The threshold, as :func:`find_level` finds it.
    """

    config: CrackThreshold
    level: float
    device = "cpu"

    @property
    def classes(self) -> tuple[str, ...]:
        """Cracks, and particles where cracks lie inside them."""
        return ("crack", "particle") if self.config.within == "particles" else ("crack",)

    def on(self, volume: Volume) -> ThresholdSlabs:
        """Apply it to a volume."""
        return ThresholdSlabs(self, volume)

    def classify_plane(self, plane: NDArray[Any]) -> NDArray[np.uint8]:
        """Find the classes of one slice."""
        if self.config.smoothing:
            plane = gaussian_filter(plane.astype(np.float32), self.config.smoothing, mode="nearest")
            checkpoint()
        particle = plane > self.level if self.config.polarity == "bright" else plane < self.level
        if self.config.within == "anywhere":
            return np.where(particle, np.uint8(0), np.uint8(1))
        closed = _closed(particle, self.config.closing)
        return np.where(particle, np.uint8(2), closed.view(np.uint8))


@dataclass(frozen=True)
class ThresholdSlabs:
    """Thresholding of a volume; see :class:`~napari_nanoseg.engines.predictor.SlabPredictor`."""

    predictor: ThresholdPredictor
    volume: Volume

    @property
    def ends(self) -> Sequence[int]:
        """Every slice is for itself."""
        return range(1, self.volume.shape[0] + 1)

    def class_map(self, z0: int, z1: int) -> NDArray[np.uint8]:
        """Classes of a slab, slice by slice."""
        found = np.empty((z1 - z0, *self.volume.shape[1:]), np.uint8)
        for done, number in enumerate(range(z0, z1), 1):
            found[done - 1] = self.predictor.classify_plane(self.volume.read(number, number + 1)[0])
            tell(Progress(done, z1 - z0, "slices"))
        return found


def find_level(volume: Volume, config: CrackThreshold) -> float:
    """Find the threshold of a volume, slice by slice.

    Raises
    ------
    NanosegError
        When all voxels are the same, or cannot be read.
    """
    if config.method == "value":
        assert config.value is not None
        return config.value
    low, high = _find_range(volume)
    counts = np.zeros(BINS, np.int64)
    exact = volume.data.dtype.kind in "biu" and high - low < BINS
    scale = 1.0 if exact else (BINS - 1) / (high - low)
    for number in range(volume.shape[0]):
        for piece in _pieces(volume.read(number, number + 1)):
            bins = (
                piece.astype(np.int64) - int(low) if exact else ((piece.astype(np.float64) - low) * scale).astype(int)
            )
            counts += np.bincount(bins, minlength=BINS)
        tell(Progress(number + 1, volume.shape[0], "slices"))
    greys = low + np.arange(BINS) / scale
    if np.count_nonzero(counts) < 2:
        raise _flat(volume, greys[counts.argmax()])
    if config.method == "otsu":
        return otsu(counts, greys)[0]
    return float(greys[np.searchsorted(np.cumsum(counts), config.percentile / 100 * counts.sum())])


def _find_range(volume: Volume) -> tuple[float, float]:
    """Least and greatest value; those of the type where it has no more than the histogram has bins."""
    if volume.data.dtype.kind == "b":
        return 0.0, 1.0
    if volume.data.dtype.kind in "iu" and volume.data.dtype.itemsize <= 2:
        limits = np.iinfo(volume.data.dtype)
        return float(limits.min), float(limits.max)
    low, high = np.inf, -np.inf
    for number in range(volume.shape[0]):
        plane = volume.read(number, number + 1)
        low, high = min(low, float(plane.min())), max(high, float(plane.max()))
        checkpoint()
    if low == high:
        raise _flat(volume, low)
    return low, high


def _flat(volume: Volume, value: float) -> NanosegError:
    return NanosegError(f"{volume.source} has the same value {value:g} everywhere; choose a volume with content.")


def _pieces(plane: NDArray[Any]) -> Iterator[NDArray[Any]]:
    flat = plane.ravel()
    return (flat[start : start + PIECE] for start in range(0, len(flat), PIECE))


def _closed(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Closing with a square of side 2 `radius` + 1; beyond the image, the mask goes on as at its rim."""
    pixels = np.pad(mask.view(np.uint8), radius, mode="edge")
    for extreme in (maximum_filter1d, minimum_filter1d):
        for axis in (0, 1):
            pixels = extreme(pixels, 2 * radius + 1, axis, mode="nearest")
            checkpoint()
    closed: NDArray[np.bool_] = pixels[radius:-radius, radius:-radius].view(bool)
    return closed
