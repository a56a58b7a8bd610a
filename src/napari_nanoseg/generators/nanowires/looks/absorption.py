"""Optical density and transmission of X-rays: Beer-Lambert, overlaps add."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.generators.nanowires.looks.detector import (
    counted,
    draw_photons,
    light,
    optical_density,
    softened,
)
from napari_nanoseg.generators.nanowires.looks.view import Instrument, View


def transmitted(view: View, config: NanowireConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    """Intensity behind support and objects, in multiples of the mean of the beam, without noise."""
    detector = config.detector
    density = view.total.astype(np.float32) + np.float32(rng.uniform(*detector.background))
    return np.asarray(light(density.shape, detector, rng) * np.exp(-density), np.float32)


def _counts(view: View, config: NanowireConfig, rng: np.random.Generator) -> tuple[NDArray[np.float32], float]:
    photons = draw_photons(config.detector, rng)
    intensity = softened(transmitted(view, config, rng), rng.uniform(*config.detector.blur))
    return counted(intensity, photons, rng), photons


def _transmission(view: View, config: NanowireConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    counts, photons = _counts(view, config, rng)
    return counts / np.float32(photons)


def _optical_density(view: View, config: NanowireConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    return optical_density(*_counts(view, config, rng))


OPTICAL_DENSITY = Instrument(_optical_density)
TRANSMISSION = Instrument(_transmission)
