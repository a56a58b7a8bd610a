"""What an instrument is given, and what all instruments have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.generators.nanowires.scene import Scene


@dataclass(frozen=True, eq=False)
class View:
    """A scene along the beam.

    ``total`` (height, width) is the path length (µm) times the objects' weights, summed; ``tops`` (px), ``owners`` and
    ``facing`` describe the upper surface on the grid of rays (see
    :func:`napari_nanoseg.generators.nanowires.trace.trace`).
    """

    total: NDArray[np.float64]
    tops: NDArray[np.float32]
    owners: NDArray[np.int32]
    facing: NDArray[np.float32]
    scene: Scene


Weights = NDArray[np.float64]


def absorptions(given: Weights, config: NanowireConfig, rng: np.random.Generator) -> Weights:
    """Weights of X-rays: the absorption (1/µm) of each object."""
    return given


@dataclass(frozen=True)
class Instrument:
    """A look: `render` makes float32 pixels of a view.

    ``weights`` makes of the objects' absorptions (1/µm) the weights of their path lengths; ``surface`` asks for the
    normals of the upper surface; pixels of ``grey`` looks run from 0 (black) to 1 (white), of others they are physical.
    """

    render: Callable[[View, NanowireConfig, np.random.Generator], NDArray[np.float32]]
    weights: Callable[[Weights, NanowireConfig, np.random.Generator], Weights] = absorptions
    surface: bool = False
    grey: bool = False

    def stored(self, pixels: NDArray[np.float32], dtype: str) -> NDArray[Any]:
        """Pixels of the given type (see ``NanowireConfig.dtype``)."""
        if dtype == "float32":
            return pixels
        low, high = (0.0, 1.0) if self.grey else (float(pixels.min()), float(pixels.max()))
        white = float(np.iinfo(dtype).max)
        scaled = np.clip((pixels - low) * np.float32(white / max(high - low, 1e-12)), 0, white)
        return np.asarray(scaled + np.float32(0.5), dtype)
