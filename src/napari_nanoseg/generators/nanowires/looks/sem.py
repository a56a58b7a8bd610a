"""Secondary electrons: steep faces and edges are bright, hollows are dark, what lies on top hides the rest."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.generators.nanowires.looks.detector import grain, light, softened
from napari_nanoseg.generators.nanowires.looks.view import Instrument, View, Weights

STEEPEST = 3.0
"""The yield of secondary electrons grows with 1 / cos(tilt) up to so many times."""
STREAK_PX = 40.0
"""Length of the streaks behind charged objects."""
OBJECTS_DIFFER = 0.05
"""Relative standard deviation of the brightness of objects."""


def _thickness(given: Weights, config: NanowireConfig, rng: np.random.Generator) -> Weights:
    return np.ones_like(given)


def _render(view: View, config: NanowireConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    sem, rays = config.sem, config.rays
    height, width = view.total.shape
    forms = [one.form for one in view.scene.objects]
    typical = float(np.median([form.thickness for form in forms])) if forms else 1.0
    brightness = rng.uniform(*sem.brightness) * (1 + OBJECTS_DIFFER * rng.standard_normal(len(forms)))
    substrate = rng.uniform(*sem.substrate)
    grey = np.concatenate([[substrate], brightness]).astype(np.float32)[view.owners]

    edges = np.float32(rng.uniform(*sem.edges))
    above = view.tops - softened(view.tops, rays * rng.uniform(*sem.edge_width))
    steep = np.minimum(1 / np.maximum(view.facing[2], 1e-3), STEEPEST) - 1
    on_object = view.owners > 0
    grey += edges * np.where(on_object, np.clip(above / (0.5 * typical), 0, 1) + 0.25 * steep, 0)
    angle, side = rng.uniform(0, 2 * math.pi), rng.uniform(*sem.detector_side)
    lateral = math.cos(angle) * view.facing[0] + math.sin(angle) * view.facing[1]
    grey *= 1 + np.float32(side) * lateral
    below = softened(view.tops, rays * rng.uniform(*sem.shadow_width)) - view.tops
    grey *= 1 - np.float32(rng.uniform(*sem.shadow)) * np.clip(below / (0.5 * typical), 0, 1)

    pixels = grey.reshape(height, rays, width, rays).mean((1, 3))
    covered = on_object.reshape(height, rays, width, rays).mean((1, 3), dtype=np.float32)
    layers = view.total.astype(np.float32) * np.float32(1000 / config.pixel_size_nm / typical)
    pixels += np.float32(0.3 * rng.uniform(*sem.see_through)) * covered * np.clip(layers - 1, 0, 2)
    pixels += (1 - covered) * _substrate((height, width), config, rng)
    pixels = softened(pixels, rng.uniform(*config.detector.blur)) * light((height, width), config.detector, rng)
    pixels += _streaks(pixels - substrate, covered, rng.uniform(*sem.charging) * rng.choice([-1, 1]))
    pixels += (rng.uniform(*sem.scan_noise) * rng.standard_normal((height, 1))).astype(np.float32)
    shot = np.float32(rng.uniform(*sem.noise)) * np.sqrt(np.clip(pixels, 0, 1))
    return np.asarray(np.clip(pixels + shot * rng.standard_normal((height, width), np.float32), 0, 1))


def _substrate(shape: tuple[int, int], config: NanowireConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    """Changes of the substrate's grey value: grains, dust and pits."""
    sem = config.sem
    changes = np.float32(rng.uniform(*sem.texture)) * grain(shape, rng.uniform(*sem.texture_size), rng)
    for _ in range(int(rng.integers(sem.spots[0], sem.spots[1] + 1))):
        row, column, radius = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(0.7, 2.0)
        reach = math.ceil(4 * radius)
        r0, r1 = max(0, int(row) - reach), min(shape[0], int(row) + reach + 1)
        c0, c1 = max(0, int(column) - reach), min(shape[1], int(column) + reach + 1)
        squares = (np.arange(r0, r1)[:, None] - row) ** 2 + (np.arange(c0, c1) - column) ** 2
        strength = rng.uniform(-0.08, 0.25)
        changes[r0:r1, c0:c1] += (strength * np.exp(-squares / (2 * radius**2))).astype(np.float32)
    return changes


def _streaks(excess: NDArray[np.float32], covered: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """What charged objects leave behind in the lines in which they were scanned, from left to right."""
    from scipy.signal import lfilter

    keep = math.exp(-1 / STREAK_PX)
    trail = lfilter([1 - keep], [1, -keep], np.maximum(excess, 0) * covered, axis=1)
    return np.asarray(4 * strength * trail * (1 - covered), np.float32)


SEM = Instrument(_render, _thickness, surface=True)
