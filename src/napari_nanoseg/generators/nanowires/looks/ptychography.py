"""X-ray ptychography: amplitude and phase, reconstructed from a limited band of frequencies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.generators.nanowires.looks.detector import clouds, draw_photons, light
from napari_nanoseg.generators.nanowires.looks.view import Instrument, View

DARKEST = 1e-3
"""Amplitude that stands for none."""
LEAST_PHASE = 0.1
"""Phase shift per optical density (rad) below which the phase is not divided by it."""


def _render(view: View, config: NanowireConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    """Optical density of the reconstructed exit wave, with a part of its phase.

    The band's edge makes the fringes beside edges, a rest of defocus makes more of them; noise is limited to the band
    as well. Scan steps and slow errors of the reconstruction are added.
    """
    from scipy import fft

    settings = config.ptychography
    density = view.total.astype(np.float32) + np.float32(rng.uniform(*config.detector.background))
    ratio = rng.uniform(*settings.phase)
    wave = np.exp(np.float32(-0.5) * density).astype(np.complex64) * np.exp(-1j * np.float32(ratio) * density)
    wave *= np.sqrt(light(density.shape, config.detector, rng))
    spread = np.float32(0.5 / np.sqrt(draw_photons(config.detector, rng)))
    wave += spread * (
        rng.standard_normal(density.shape, np.float32) + 1j * rng.standard_normal(density.shape, np.float32)
    )
    padding = 16
    wave = np.pad(wave, padding, mode="reflect")
    rows, columns = (fft.fftfreq(size).astype(np.float32) for size in wave.shape)
    square = rows[:, None] ** 2 + columns**2
    edge = 0.5 / rng.uniform(*settings.resolution)
    band = 1 / (1 + (square / np.float32(edge**2)) ** 6)
    band = band * np.exp(-1j * np.float32(np.pi * rng.uniform(*settings.defocus) ** 2) * square)
    wave = fft.ifft2(fft.fft2(wave) * band)[padding:-padding, padding:-padding]
    found = -2 * np.log(np.maximum(np.abs(wave), DARKEST))
    mixed = np.float32(rng.uniform(*settings.phase_mixed))
    beyond = np.angle(wave * np.exp(1j * np.float32(ratio) * density))  # of the true phase, so that nothing wraps
    phase = density - beyond / np.float32(max(ratio, LEAST_PHASE))
    artefacts = rng.uniform(*settings.raster) * _raster(density.shape, config, rng)
    artefacts = artefacts + rng.uniform(*settings.clouds) * clouds(density.shape, 6, rng)
    return np.asarray((1 - mixed) * found + mixed * phase + artefacts, np.float32)


def _raster(shape: tuple[int, int], config: NanowireConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """Pattern of the scan steps, stronger here and weaker there."""
    period = rng.uniform(*config.ptychography.raster_period)
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])
    turn = 2 * np.pi * rng.random(2)
    pattern = np.cos(2 * np.pi * rows / period + turn[0]) + np.cos(2 * np.pi * columns / period + turn[1])
    return np.asarray(pattern * (1 + 0.5 * clouds(shape, 3, rng)))


PTYCHOGRAPHY = Instrument(_render)
