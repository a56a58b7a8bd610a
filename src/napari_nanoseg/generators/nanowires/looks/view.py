"""What an instrument is given, and what all instruments have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.nanowires import GREY_LOOKS, NanowireConfig
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
    normals of the upper surface.
    """

    render: Callable[[View, NanowireConfig, np.random.Generator], NDArray[np.float32]]
    weights: Callable[[Weights, NanowireConfig, np.random.Generator], Weights] = absorptions
    surface: bool = False


def stored(pixels: NDArray[np.float32], config: NanowireConfig) -> NDArray[Any]:
    """Rendered pixels with the config's tone curve and type (see ``NanowireConfig.tone`` and ``dtype``)."""
    whole = config.dtype != "float32"
    if whole and config.look not in GREY_LOOKS:
        low, high = float(pixels.min()), float(pixels.max())
        pixels = (pixels - np.float32(low)) * np.float32(1 / max(high - low, 1e-12))
    if config.tone:
        pixels = np.interp(pixels, np.linspace(0, 1, len(config.tone)), config.tone).astype(np.float32)
    if not whole:
        return pixels
    white = np.float32(np.iinfo(config.dtype).max)
    return np.asarray(np.clip(pixels, 0, 1) * white + np.float32(0.5), config.dtype)
