"""Sources with discs of known size and grey value, for the tests of the generator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.generate import CutPasteConfig
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image, Sample

BACKGROUND, DISC = 60, 180
CALM = {
    "backgrounds": ("flat",),
    "blending": ("hard",),
    "elastic": 0,
    "shadow": 0,
    "particle_brightness": 0,
    "jitter_probability": 0,
    "invert_probability": 0,
    "illumination": 0,
    "blur": 0,
    "noise_probability": 0,
}
"""Nothing is random but which particle goes where."""


def disc_labels(shape: tuple[int, int], discs: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """Label image of discs (row, column, radius)."""
    labels = np.zeros(shape, np.int32)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    for number, (row, column, radius) in enumerate(discs, 1):
        labels[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = number
    return labels


def disc_sample(
    discs: Sequence[tuple[float, float, float]] = ((40, 40, 12), (40, 110, 12), (110, 40, 14), (110, 110, 14)),
    shape: tuple[int, int] = (160, 160),
    nm: float | None = 2.0,
    known: np.ndarray | None = None,
    labelled: int | None = None,
) -> Sample:
    """Bright discs on a dark, slightly noisy background; only the first `labelled` are annotated."""
    labels = disc_labels(shape, discs)
    grey = np.where(labels > 0, DISC, BACKGROUND) + np.random.default_rng(0).normal(0, 3, shape)
    labels[labels > (labelled or len(discs))] = 0
    calibration = Calibration() if nm is None else Calibration((nm, nm))
    image = Image(np.clip(grey, 0, 255).astype(np.uint8), "YX", calibration)
    return Sample(image, Instances.from_labels(labels), known, "discs")


def small(**changes: object) -> CutPasteConfig:
    """A config for images of 128 x 128."""
    return CutPasteConfig.parse({"height": 128, "width": 128} | changes)
