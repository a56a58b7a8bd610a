"""What grey values become before a U-Net sees them: the same for a whole volume, whatever part of it is looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.engines.contrast import EXTREME, SAMPLED_PIXELS
from napari_nanoseg.events import checkpoint
from napari_nanoseg.samples import Volume

SAMPLED_SLICES = 16


@dataclass(frozen=True)
class Grey:
    """Which grey values become 0 and 1.

    Parameters
    ----------
    low, high : float
    clip : bool
        Whether values far beyond them are brought nearer.
    """

    low: float
    high: float
    clip: bool = True

    def seen(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Pixels as the network sees them; a new array."""
        seen: NDArray[np.float32] = np.subtract(pixels, np.float32(self.low), dtype=np.float32)
        seen *= np.float32(1 / (self.high - self.low))
        if self.clip:
            np.clip(seen, -EXTREME, 1 + EXTREME, out=seen)
        return seen

    def inverted(self) -> Grey:
        """The same with 0 and 1 exchanged."""
        return replace(self, low=self.high, high=self.low)


def measure_grey(volume: Volume, card: ModelCard) -> Grey | None:
    """Find out which grey values of a volume the network of a card sees as 0 and 1.

    Percentiles are those of at most 16 slices, evenly spread and each thinned evenly, so that they can be told of a
    volume of any size and are the same every time.

    Returns
    -------
    Grey or None
        None when all that was looked at is of one value, so that there is nothing to see.

    Raises
    ------
    NanosegError
        When the volume cannot be read, or has NaN or infinite voxels.
    """
    depth, rows, columns = volume.shape
    if card.keep_8_bit and volume.data.dtype == np.uint8:
        return Grey(0.0, 255.0, clip=False)
    count = min(depth, SAMPLED_SLICES)
    step = int(np.ceil(np.sqrt(max(1, count * rows * columns / SAMPLED_PIXELS))))
    parts = []
    for number in range(count):
        z = (2 * number + 1) * depth // (2 * count)
        parts.append(volume.read(z, z + 1)[0, ::step, ::step].astype(np.float32))
        checkpoint()
    pixels = np.concatenate([part.ravel() for part in parts])
    least, most = float(pixels.min()), float(pixels.max())
    if card.keep_8_bit and volume.data.dtype.kind in "bf" and least >= 0 and most <= 1:
        return Grey(0.0, 1.0, clip=False)
    checkpoint()
    low, high = (float(value) for value in np.percentile(pixels, card.percentiles))
    if low == high:  # nearly all of it is of one value
        low, high = least, most
    # models of the original see the extreme values, too
    return None if low == high else Grey(low, high, clip=not card.keep_8_bit)
