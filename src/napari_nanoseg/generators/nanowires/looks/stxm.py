"""Scanning transmission X-ray microscopy: a spot of finite size goes over the sample line by line."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.generators.nanowires.looks.absorption import transmitted
from napari_nanoseg.generators.nanowires.looks.detector import counted, draw_photons, optical_density, softened
from napari_nanoseg.generators.nanowires.looks.view import Instrument, View

FWHM = 2 * math.sqrt(2 * math.log(2))
"""Full width at half maximum of a Gaussian in standard deviations."""


def _render(view: View, config: NanowireConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    """Optical density; the stage's errors move whole lines, the beam's changes make them brighter or darker."""
    stxm = config.stxm
    photons = draw_photons(config.detector, rng)
    intensity = transmitted(view, config, rng)
    intensity = softened(intensity, rng.uniform(*stxm.spot_nm) / FWHM / config.pixel_size_nm)
    lines = np.linspace(-0.5, 0.5, len(intensity))  # the middle stays, so that masks are off by half the drift at most
    steps = rng.standard_normal(len(lines))
    jitter = rng.uniform(*stxm.line_jitter) * (0.8 * steps + 0.6 * np.roll(steps, 1))  # neighbours move alike
    drift = rng.uniform(*stxm.drift) * rng.choice([-1, 1]) * lines
    intensity = shifted(intensity, jitter + drift)
    beam = 1 + rng.uniform(*stxm.beam_noise) * rng.standard_normal(len(lines))
    dropped = rng.random(len(lines)) < rng.uniform(*stxm.glitches)
    beam[dropped] *= rng.uniform(0.6, 0.9, np.count_nonzero(dropped))
    return optical_density(counted(intensity * beam[:, None].astype(np.float32), photons, rng), photons)


def shifted(pixels: NDArray[np.float32], by: NDArray[np.float64]) -> NDArray[np.float32]:
    """Move each row of `pixels` to the right by a fraction of a pixel or more; its end pixels are repeated."""
    places = np.arange(pixels.shape[1]) - by[:, None]
    places = np.clip(places, 0, pixels.shape[1] - 1)
    left = np.minimum(places.astype(np.int64), pixels.shape[1] - 2)
    part = (places - left).astype(np.float32)
    rows = np.arange(len(pixels))[:, None]
    return np.asarray((1 - part) * pixels[rows, left] + part * pixels[rows, left + 1])


STXM = Instrument(_render)
