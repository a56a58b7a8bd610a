"""Fixtures that many tests use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image, Sample

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real micrographs and reference models, beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data (../shared/data) is not beside this checkout")
    return SHARED_DATA


def discs(shape: tuple[int, int], radius: float, spacing: int, seed: int) -> NDArray[np.int32]:
    """Labels of discs on a jittered grid that touch neither each other nor the border."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    middles = [
        (row + jitter[0], column + jitter[1])
        for row in range(spacing // 2, shape[0] - spacing // 2 + 1, spacing)
        for column in range(spacing // 2, shape[1] - spacing // 2 + 1, spacing)
        for jitter in [rng.uniform(-2, 2, 2)]
    ]
    for label, (row, column) in enumerate(middles, 1):
        labels[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = label
    return labels


def disc_sample(name: str, seed: int, *, shape: tuple[int, int] = (160, 192), radius: float = 10) -> Sample:
    """A noisy image of bright discs, 2 nm per pixel, all annotated."""
    labels = discs(shape, radius, int(3.2 * radius), seed)
    rng = np.random.default_rng(seed)
    pixels = 60 + 110 * (labels > 0) + rng.normal(0, 6, shape)
    image = Image(np.clip(pixels, 0, 255).astype(np.uint8), "YX", Calibration.of(2.0), name)
    return Sample(image, Instances.from_labels(labels), None, name)


@pytest.fixture(scope="session")
def make_sample() -> Callable[..., Sample]:
    """Maker of annotated images: name, seed, shape and radius."""
    return disc_sample
