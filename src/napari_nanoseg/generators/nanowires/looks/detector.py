"""Light, photons and random fields that several instruments share."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.looks import DetectorConfig
from napari_nanoseg.generators.appearance import blur

LEAST_BLUR = 0.2
"""Standard deviation (px) below which blur does nothing: the neighbours' weight is under 4e-6."""

MANY = 200
"""Expected photons from which on the skewness of a Poisson distribution is below 0.07."""


def draw_photons(config: DetectorConfig, rng: np.random.Generator) -> float:
    """Photons of a pixel without object, evenly on a logarithmic scale."""
    return math.exp(rng.uniform(*np.log(config.photons)))


def light(shape: tuple[int, int], config: DetectorConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    """Intensity of the beam: a plane of mean 1 with the config's change from side to side."""
    strength, angle = rng.uniform(*config.gradient), rng.uniform(0, 2 * math.pi)
    rows, columns = (np.linspace(-0.5, 0.5, size, dtype=np.float32) for size in shape)
    slopes = np.float32(strength * math.sin(angle)), np.float32(strength * math.cos(angle))
    return np.float32(1) + slopes[0] * rows[:, None] + slopes[1] * columns


def softened(pixels: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian blur (px)."""
    return blur(pixels, sigma) if sigma > LEAST_BLUR else pixels


def counted(intensity: NDArray[np.float32], photons: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Numbers of photons (Poisson) where `intensity` 1 means `photons` on average.

    Where many are expected, the normal distribution stands for it: it is drawn four times as fast.
    """
    expected = np.maximum(intensity, 0) * np.float32(photons)
    few = expected < MANY
    counts = np.sqrt(expected)
    counts *= rng.standard_normal(expected.shape, np.float32)
    counts += expected
    np.rint(counts, out=counts)
    if few.any():
        counts[few] = rng.poisson(expected[few])
    return counts


def optical_density(counts: NDArray[np.float32], photons: float) -> NDArray[np.float32]:
    """-ln(I / I0); half a photon stands for none."""
    return np.asarray(-np.log(np.maximum(counts, np.float32(0.5)) / np.float32(photons)))


def grain(shape: tuple[int, int], sigma: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise of grains of `sigma` px, mean 0, standard deviation 1."""
    noise = softened(rng.standard_normal(shape, np.float32), sigma)
    return np.asarray((noise - noise.mean()) / max(float(noise.std()), 1e-6), np.float32)


def clouds(shape: tuple[int, int], cells: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise with about `cells` hills along each side, mean 0, standard deviation 1."""
    from scipy.interpolate import RectBivariateSpline

    knots = rng.standard_normal((cells + 4, cells + 4))
    at = np.arange(cells + 4)
    rows, columns = (np.linspace(1.5, cells + 1.5, size) for size in shape)
    field = RectBivariateSpline(at, at, knots)(rows, columns).astype(np.float32)
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), np.float32)
