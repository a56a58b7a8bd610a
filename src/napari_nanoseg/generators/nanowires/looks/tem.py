"""Bright-field TEM: mass-thickness, diffraction of crystals, a grainy support, fringes out of focus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.generators.nanowires.looks.detector import clouds, counted, draw_photons, grain, light, softened
from napari_nanoseg.generators.nanowires.looks.view import Instrument, View, Weights

CONTOUR = 0.12
"""Half width of bend contours, where the smooth field that bends the crystals is near zero."""
FRINGE_PX = 1.5
"""Width of the fringe at edges."""


def _diffracting(given: Weights, config: NanowireConfig, rng: np.random.Generator) -> Weights:
    """By how much more than its mass each crystal scatters, as its orientation has it; mean about 1."""
    spread = rng.uniform(*config.tem.diffraction)
    return np.exp(spread * rng.standard_normal(len(given)) - spread**2 / 2)


def _render(view: View, config: NanowireConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    tem, shape = config.tem, (config.height, config.width)
    scattered = view.total.astype(np.float32) * np.float32(1000 / rng.uniform(*tem.mean_free_path_nm))
    bands = np.exp(-(((clouds(shape, 10, rng) + _offsets(view, config, rng)) / np.float32(CONTOUR)) ** 2))
    scattered *= 1 + np.float32(4 * rng.uniform(*tem.bend_contours)) * bands
    passed = np.exp(-scattered)
    passed *= np.exp(
        np.float32(rng.uniform(*tem.speckle)) * (1 - passed) * 2 * grain(shape, rng.uniform(*tem.grain_size), rng)
    )
    size = rng.uniform(*tem.grain_size)
    noise = rng.standard_normal(shape, np.float32)
    support = softened(noise, size) - softened(noise, 1.6 * size)  # defocus passes a band of frequencies
    passed *= 1 + np.float32(rng.uniform(*tem.support_grain) / max(float(support.std()), 1e-6)) * support
    passed = softened(passed, rng.uniform(*config.detector.blur))
    sign = rng.choice([-1, 1])
    passed += np.float32(sign * rng.uniform(*tem.fringe)) * (passed - softened(passed, FRINGE_PX)) * 4
    photons = draw_photons(config.detector, rng)
    pixels = counted(passed * light(shape, config.detector, rng), photons, rng) / np.float32(photons)
    return np.asarray(np.clip(pixels * np.float32(rng.uniform(*tem.brightness)), 0, 1))


def _offsets(view: View, config: NanowireConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    """By how much each crystal's orientation differs: bend contours end where the crystal does."""
    offsets = rng.uniform(-1.5, 1.5, len(view.scene.objects) + 1).astype(np.float32)
    return np.asarray(offsets[view.owners[:: config.rays, :: config.rays]])


TEM = Instrument(_render, _diffracting)
