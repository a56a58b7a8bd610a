"""How an X-ray tomograph shows a phantom: greys, textures, blur, fringes, rings and noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.cathode import CathodeConfig
from napari_nanoseg.events import checkpoint
from napari_nanoseg.generators.cathode.structure import BINDER, CRACK, PARTICLE, VOID

LEAST_BLUR = 0.2
"""Standard deviation (px) below which blur does nothing: the neighbours' weight is under 4e-6."""
RING_SLICES = 6
"""Slices over which a ring keeps its strength: a fault of the detector or of its scintillator is larger than a row."""
STRONG_RINGS = 0.05
"""Part of the radii at which a ring is five times as strong as usual."""


def render(
    classes: NDArray[np.uint8],
    particles: NDArray[np.int32],
    grains: NDArray[np.float32],
    config: CathodeConfig,
    rng: np.random.Generator,
) -> NDArray[Any]:
    """Show a phantom.

    Parameters
    ----------
    classes : uint8 array, shape (Z, Y, X)
        Values of the classes.
    particles : int32 array, shape (Z, Y, X)
        Numbers of the particles, from 1.
    grains : float32 array, shape (Z, Y, X)
        Random number of each grain, 0 to 1.
    config : CathodeConfig
    rng : numpy.random.Generator

    Returns
    -------
    array of the config's dtype, shape (Z, Y, X)
        Whole numbers run from black (grey 0) to white (1).
    """
    look = config.look
    greys = np.zeros(5, np.float32)
    for value, limits in ((CRACK, look.crack), (VOID, look.void), (BINDER, look.binder), (PARTICLE, look.particle)):
        greys[value] = rng.uniform(*limits)
    volume = greys[classes]
    solid = classes == PARTICLE
    own = rng.uniform(*look.particle_spread) * rng.standard_normal(int(particles.max()) + 1)
    inner = own.astype(np.float32)[particles[solid]]
    # tones are uniform: their standard deviation is 1 / sqrt(12)
    inner += np.float32(rng.uniform(*look.grain_contrast) * math.sqrt(12)) * (grains[solid] - np.float32(0.5))
    volume[solid] += inner
    del inner, solid
    soft = classes == BINDER
    volume[soft] += np.float32(rng.uniform(*look.texture)) * rng.standard_normal(int(soft.sum()), np.float32)
    del soft
    checkpoint()
    _blur(volume, rng.uniform(*look.blur))
    strength, width = rng.uniform(*look.fringe), rng.uniform(*look.fringe_width)
    if strength:
        smooth = volume.copy()
        checkpoint()
        _blur(smooth, width)
        smooth -= volume
        smooth *= np.float32(strength)
        volume -= smooth
        del smooth
    checkpoint()
    _add_rings(volume, rng.uniform(*look.rings), rng)
    checkpoint()
    _add_shading(volume, rng.uniform(*look.shading), rng)
    checkpoint()
    _add_noise(volume, rng.uniform(*look.noise), rng.uniform(*look.noise_size), rng)
    checkpoint()
    return _stored(volume, config.dtype)


def _blur(volume: NDArray[np.float32], sigma: float) -> None:
    """Gaussian blur (px) in place."""
    from scipy.ndimage import gaussian_filter

    if sigma > LEAST_BLUR:
        gaussian_filter(volume, sigma, output=volume, truncate=3)


def _add_rings(volume: NDArray[np.float32], spread: float, rng: np.random.Generator) -> None:
    """Add rings about an axis near the middle; they change slowly from slice to slice."""
    slices, rows, columns = volume.shape
    y, x = rows * rng.uniform(0.3, 0.7), columns * rng.uniform(0.3, 0.7)
    radii = np.hypot(*np.ogrid[-y : rows - y - 0.5, -x : columns - x - 0.5])
    at = radii.astype(np.int64)
    steps = max(2, -(-slices // RING_SLICES) + 1)
    rings = rng.standard_normal((steps, int(at.max()) + 1), np.float32)
    rings *= np.float32(spread) * np.where(rng.random(rings.shape[1]) < STRONG_RINGS, 5, 1).astype(np.float32)
    # near the axis few angles are averaged, and a whole ring would be one dark spot
    rings *= np.minimum(np.arange(rings.shape[1], dtype=np.float32) / 20, 1)
    for z in range(slices):
        step, rest = divmod(z, RING_SLICES)
        part = np.float32(rest / RING_SLICES)
        volume[z] += ((1 - part) * rings[step] + part * rings[min(step + 1, steps - 1)])[at]


def _add_shading(volume: NDArray[np.float32], strength: float, rng: np.random.Generator) -> None:
    """Add a bowl (beam hardening) and a slope, both of this range of greys over a slice."""
    rows, columns = (np.linspace(-1, 1, size, dtype=np.float32) for size in volume.shape[1:])
    angle, sign = rng.uniform(0, 2 * math.pi), rng.choice([-1, 1])
    bowl = (rows[:, None] ** 2 + columns**2) / 2 - np.float32(1 / 3)
    slope = np.float32(math.sin(angle)) * rows[:, None] + np.float32(math.cos(angle)) * columns
    volume += np.float32(strength) * (np.float32(sign) * bowl + slope / 2)


def _add_noise(volume: NDArray[np.float32], spread: float, sigma: float, rng: np.random.Generator) -> None:
    noise = rng.standard_normal(volume.shape, np.float32)
    _blur(noise, sigma)
    noise *= np.float32(spread / max(float(noise.std()), 1e-6))
    volume += noise


def _stored(volume: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    if dtype == "float32":
        return volume
    white = np.iinfo(dtype).max
    np.clip(volume, 0, 1, out=volume)
    volume *= np.float32(white)
    np.rint(volume, out=volume)
    return volume.astype(dtype)
