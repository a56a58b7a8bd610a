"""Which voxels are crack: in each slice the asked part of the particles, more where the packing asks for more."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.cathode import CathodeConfig
from napari_nanoseg.generators.cathode.fields import FAR
from napari_nanoseg.measurement.damage.windows import Windows

POSITIONS = 12
"""Windows per side length along each axis whose damage and packing tell the slope."""
LEAST = 0.02
"""Part of the asked damage that is left where the packing asks for less than nothing."""
SCALE = 3
"""Stream of random numbers of the factor on the damage."""
ROUNDS = 8
"""Corrections of the slope: cracks are wider than voxels, so what is found differs from what was aimed at."""
TOLERANCE = 0.02
"""Part of the asked slope by which the slope found may differ."""
MOST_GAIN = 4.0
"""No slope is aimed at that is further beyond the asked one than this many times the damage."""


@dataclass(frozen=True, eq=False)
class Slice:
    """The particles (cracks included) of a slice, seen through square windows.

    Parameters
    ----------
    solid : bool array, shape (Y, X)
        The particles.
    packing : float64 array, shape (Y, X)
        Part of the window around each pixel that is particle.
    windows : Windows
        Those that tell the slope, some pixels apart.
    body : int64 array, shape (R, C)
        Particle pixels in each of them.
    counted : bool array, shape (R, C)
        Which of them lie inside the slice and hold particle.
    """

    solid: NDArray[np.bool_]
    packing: NDArray[np.float64]
    windows: Windows
    body: NDArray[np.int64]
    counted: NDArray[np.bool_]

    @classmethod
    def of(cls, solid: NDArray[np.bool_], side: int) -> Slice:
        """Look at particles through windows of `side` px."""
        height, width = solid.shape
        around = Windows.moving((height, width), (side, side))
        some = Windows.moving((height, width), (side, side), max(1, side // POSITIONS))
        body = some.counts(solid)
        return cls(solid, around.counts(solid) / around.areas, some, body, (some.areas == side**2) & (body > 0))


def asked_of(config: CathodeConfig, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Damage and slope that phantom `index` is to have, by slice, shape (Z,)."""
    factor = np.random.default_rng([config.seed, index, SCALE]).uniform(*config.damage_scale)
    return factor * np.array(config.damage.over(config.depth)), factor * np.array(config.slope.over(config.depth))


def side_of(config: CathodeConfig) -> int:
    """Side (px) of the window."""
    return max(1, round(config.window_nm / config.pixel_size_nm))


def cracks(ease: NDArray[np.float32], here: Slice, damage: float, slope: float) -> NDArray[np.bool_]:
    """Choose the crack pixels of one slice.

    Parameters
    ----------
    ease : float32 array, shape (Y, X)
        Load at which each pixel cracks.
    here : Slice
    damage : float
        Part of the particle pixels that shall be crack. It is met exactly, as long as so many can crack.
    slope : float
        By how much the damage of a window's particles shall rise with its packing; it is met as far as damage is
        nowhere negative and the slice has enough windows to tell a slope.

    Returns
    -------
    bool array, shape (Y, X)
    """
    solid = here.solid
    loads = ease[solid]
    wanted = min(round(damage * loads.size), int(np.count_nonzero(loads < FAR)))
    cracked = np.zeros(solid.shape, bool)
    if not wanted:
        return cracked
    ranks = np.empty(loads.size)
    ranks[np.argsort(loads, kind="stable")] = np.arange(1, loads.size + 1) / loads.size
    ranks[loads >= FAR] = np.inf
    beyond = here.packing[solid]
    beyond -= beyond.mean()
    aimed, off = slope, math.inf
    for _ in range(ROUNDS if slope and here.counted.any() else 1):
        share = np.maximum(damage + aimed * beyond, LEAST * damage)
        hit = np.zeros(loads.size, bool)
        hit[np.argpartition(ranks / share, wanted - 1)[:wanted]] = True
        tried = np.zeros(solid.shape, bool)
        tried[solid] = hit
        found, _ = slope_of(tried, here)
        if not abs(found - slope) >= off:  # also where there is no slope
            cracked, off = tried, abs(found - slope)
        if not off > TOLERANCE * abs(slope):
            break
        aimed = float(np.clip(aimed + slope - found, slope - MOST_GAIN * damage, slope + MOST_GAIN * damage))
    return cracked


def slope_of(cracked: NDArray[np.bool_], here: Slice) -> tuple[float, float]:
    """Slope and correlation of the damage of windows' particles against the windows' packing."""
    area, body = here.windows.areas[here.counted], here.body[here.counted]
    return line_through(body / area, here.windows.counts(cracked)[here.counted] / body)


def line_through(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and correlation of the straight line of least squares; NaN where there are none."""
    if x.size < 2:
        return math.nan, math.nan
    dx, dy = x - x.mean(), y - y.mean()
    xx, yy, xy = float(dx @ dx), float(dy @ dy), float(dx @ dy)
    if xx <= 1e-12 * x.size:
        return math.nan, math.nan
    return xy / xx, xy / math.sqrt(xx * yy) if yy > 0 else math.nan
