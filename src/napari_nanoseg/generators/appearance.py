"""What the microscope does to an image: blur, tone, illumination and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_nanoseg.config.generate import CutPasteConfig

TONES = 1024
"""Points of a tone curve; grey values in between are interpolated."""
NORMALS = 1 << 18
"""Normal deviates in the noise table; every row of an image starts reading it somewhere else (four times as fast as
drawing them pixel by pixel)."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """Everything that happens to one image after its particles are in place.

    `sigma` is in px, `lighting` holds the slopes along rows and columns and the fall-off to the corners, the noise
    amounts are fractions of white, `salt_pepper` is a fraction of the pixels.
    """

    sigma: float
    contrast: float
    brightness: float
    gamma: float
    invert: bool
    lighting: tuple[float, float, float]
    gaussian: float
    poisson: float
    scan: float
    salt_pepper: float

    @classmethod
    def draw(cls, config: CutPasteConfig, rng: np.random.Generator) -> Appearance:
        """Draw one image's appearance."""
        jitter = rng.random() < config.jitter_probability
        contrast, brightness, gamma = (
            rng.uniform(*config.contrast),
            rng.uniform(-config.brightness, config.brightness),
            math.exp(rng.uniform(*np.log(config.gamma))),
        )
        noises = (config.gaussian_noise, config.poisson_noise, config.scan_noise, config.salt_pepper)
        amounts = [limit * rng.random() * (rng.random() < config.noise_probability) for limit in noises]
        angle, slope, fall = rng.uniform(0, 2 * math.pi), *rng.uniform(0, config.illumination, 2)
        return cls(
            sigma=rng.uniform(0, config.blur),
            contrast=contrast if jitter else 1.0,
            brightness=brightness if jitter else 0.0,
            gamma=gamma if jitter else 1.0,
            invert=bool(rng.random() < config.invert_probability),
            lighting=(slope * math.sin(angle), slope * math.cos(angle), fall),
            gaussian=amounts[0],
            poisson=amounts[1],
            scan=amounts[2],
            salt_pepper=amounts[3],
        )

    def apply(self, canvas: NDArray[np.float32], dtype: str, rng: np.random.Generator) -> NDArray[Any]:
        """Turn a canvas (float32, black 0 and white 1; overwritten) into pixels of the given type."""
        if self.sigma > 0.2:  # below that the neighbours' weight is under 4e-6
            canvas = blur(canvas, self.sigma)
        rows = np.asarray(self.scan * rng.standard_normal(canvas.shape[0]), np.float32)
        white = 1.0 if dtype == "float32" else float(np.iinfo(dtype).max)
        pixels = np.empty(canvas.shape, dtype)
        starts = rng.integers(0, NORMALS - canvas.shape[1], canvas.shape[0])
        finish(
            canvas,
            self.tone(float(canvas.mean())),
            np.array(self.lighting, np.float32),
            rows,
            self.gaussian,
            self.poisson,
            white,
            _noise_table(),
            starts,
            pixels,
        )
        spots = rng.integers(0, pixels.size, rng.binomial(pixels.size, self.salt_pepper))
        pixels.flat[spots] = np.where(rng.random(len(spots)) < 0.5, pixels.dtype.type(white), pixels.dtype.type(0))
        return pixels

    def tone(self, mean: float) -> NDArray[np.float32]:
        """Grey values after contrast (about `mean`), brightness, gamma and inversion at TONES points from 0 to 1."""
        grey = np.linspace(0, 1, TONES)
        curve = np.clip((grey - mean) * self.contrast + mean + self.brightness, 0, 1) ** self.gamma
        return np.asarray(1 - curve if self.invert else curve, np.float32)


@cache
def _noise_table() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(NORMALS, np.float32)


def blur(canvas: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian blur with reflected borders, cut at 3 sigma."""
    radius = min(max(1, math.ceil(3 * sigma)), min(canvas.shape) - 1)
    weights = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    weights /= weights[0] + 2 * weights[1:].sum()
    result = np.empty_like(canvas)
    _blur(canvas, weights.astype(np.float32), result)
    return result


@njit(cache=True, nogil=True, fastmath=True)
def _blur(canvas: NDArray[np.float32], weights: NDArray[np.float32], result: NDArray[np.float32]) -> None:
    height, width = canvas.shape
    radius = weights.size - 1
    line = np.empty(width + 2 * radius, np.float32)
    for r in range(height):
        inner = line[radius : radius + width]
        for c in range(width):
            inner[c] = weights[0] * canvas[r, c]
        for k in range(1, radius + 1):
            above = canvas[abs(r - k)]
            below = canvas[r + k if r + k < height else 2 * height - 2 - r - k]
            weight = weights[k]
            for c in range(width):
                inner[c] += weight * (above[c] + below[c])
        for k in range(1, radius + 1):
            line[radius - k] = line[radius + k]
            line[radius + width - 1 + k] = line[radius + width - 1 - k]
        out = result[r]
        for c in range(width):
            out[c] = weights[0] * inner[c]
        for k in range(1, radius + 1):
            left = line[radius - k : radius - k + width]
            right = line[radius + k : radius + k + width]
            weight = weights[k]
            for c in range(width):
                out[c] += weight * (left[c] + right[c])


@njit(cache=True, nogil=True, fastmath=True)
def finish(
    canvas: NDArray[np.float32],
    tone: NDArray[np.float32],
    lighting: NDArray[np.float32],
    offsets: NDArray[np.float32],
    gaussian: float,
    poisson: float,
    white: float,
    normals: NDArray[np.float32],
    starts: NDArray[np.int64],
    pixels: NDArray[Any],
) -> None:
    """Apply tone curve, illumination and noise and write `pixels`, black 0 and `white`.

    `offsets` are added to whole rows, row r takes its deviates from ``normals[starts[r]:]``. Shot noise has a normal
    distribution of the variance ``poisson**2 * value``.
    """
    height, width = canvas.shape
    one, zero, half = np.float32(1), np.float32(0), np.float32(0.5)
    top = np.float32(white)
    rounding = half if white > 1 else zero
    steps = np.float32(tone.size - 1)
    last = tone.size - 2
    variance, shot = np.float32(gaussian * gaussian), np.float32(poisson * poisson)
    line = np.empty(width, np.float32)
    for r in range(height):
        grey = canvas[r]
        for c in range(width):
            value = min(max(grey[c], zero), one) * steps
            index = min(int(value), last)
            below = tone[index]
            line[c] = below + (value - np.float32(index)) * (tone[index + 1] - below)
        y = np.float32(2 * r / height - 1)
        light = one + lighting[0] * y - half * lighting[2] * y * y
        for c in range(width):
            x = np.float32(c) * np.float32(2 / width) - one
            line[c] = line[c] * (light + x * (lighting[1] - half * lighting[2] * x)) + offsets[r]
        if variance > 0 or shot > 0:
            noise = normals[starts[r] : starts[r] + width]
            for c in range(width):
                line[c] += noise[c] * np.sqrt(variance + shot * max(line[c], zero))
        out = pixels[r]
        for c in range(width):
            out[c] = min(max(line[c], zero), one) * top + rounding
