"""What a U-Net found, from which thresholds choose without running it again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import generate_binary_structure, label

from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.base import Found
from napari_nanoseg.engines.unet.predict import FULL, Probabilities, class_map
from napari_nanoseg.events import checkpoint
from napari_nanoseg.instances import Instances

STRIP = 2**22
"""Pixels looked at together."""


class UNetFound(Found):
    """Probabilities of the classes of an image or a stack, in 8 bits.

    Parameters
    ----------
    probabilities : uint8 array, shape (C, Y, X) or (C, Z, Y, X)
        255 means 1.
    config : SegmentConfig
        Of the run.
    least : tuple of float
        Least probability of each class where a config asks for none.
    """

    floor = 0.0

    def __init__(self, probabilities: Probabilities, config: SegmentConfig, least: tuple[float, ...]):
        self.probabilities, self.config, self._least = probabilities, config, least

    def class_map(self, config: SegmentConfig | None = None) -> NDArray[np.uint8]:
        """Choose the class of every pixel; of the config, `probability` and `min_area` count.

        Returns
        -------
        uint8 array, shape (Y, X) or (Z, Y, X)
            0 is background, i + 1 class i. Connected pieces of less than `min_area` pixels are background.
        """
        least = self._least
        if config is not None and config.probability is not None:
            least = (config.probability,) * len(least)
        min_area = (config or self.config).min_area
        values = np.empty(self.probabilities.shape[1:], np.uint8)
        for part in self._strips():
            values[part] = class_map(self.probabilities[:, part], least)
            checkpoint()
        if min_area > 1:
            for kind in range(1, len(least) + 1):
                _drop_small(values, kind, min_area)
                checkpoint()
        return values

    def instances(self, config: SegmentConfig | None = None) -> Instances:
        """One object for each class that is there; see the base class.

        Its id is the class value, its mask all pixels of the class, its score their mean probability.
        """
        values = self.class_map(config)
        boxes, masks, scores, ids = [], [], [], []
        for kind, probable in enumerate(self.probabilities, 1):
            total, count = 0, 0
            for part in self._strips():
                chosen = values[part] == kind
                total += int(probable[part].sum(where=chosen, dtype=np.int64))
                count += int(chosen.sum())
                checkpoint()
            if count:
                boxes.append((0,) * values.ndim + values.shape)
                masks.append(values == kind)
                scores.append(total / count / FULL)
                ids.append(kind)
                checkpoint()
        return Instances.from_masks(
            values.shape, np.reshape(np.array(boxes, np.int64), (len(ids), 2 * values.ndim)), masks,
            scores=np.array(scores, np.float32), classes=np.array(ids, np.int32) - 1, ids=np.array(ids, np.int32),
        )  # fmt: skip

    def _strips(self) -> Iterator[slice]:
        first, *rest = self.probabilities.shape[1:]
        high = max(1, STRIP // int(np.prod(rest)))
        return (slice(top, top + high) for top in range(0, first, high))


def _drop_small(values: NDArray[np.uint8], kind: int, least: float) -> None:
    """Make background of the connected pieces of a class, corners included, that have less than `least` pixels."""
    pieces, _ = label(values == kind, generate_binary_structure(values.ndim, values.ndim))
    small = np.bincount(pieces.ravel()) < least
    small[0] = False
    values[small[pieces]] = 0
