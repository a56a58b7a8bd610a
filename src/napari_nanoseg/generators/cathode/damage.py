"""Which voxels are crack: in each slice the asked part of the particles, more where the packing asks for more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.cathode import CathodeConfig
from napari_nanoseg.generators.cathode.fields import FAR
from napari_nanoseg.generators.cathode.windows import line_through, whole_windows, window_sums

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
    """A slice before it cracks; arrays of shape (Y, X).

    `packing` is the part of the window about a pixel that is particle, `window` the window's particle pixels.
    """

    solid: NDArray[np.bool_]
    window: NDArray[np.int64]
    packing: NDArray[np.float64]
    inner: NDArray[np.bool_]
    """Pixels whose windows lie inside the slice and hold particle."""


def seen(solid: NDArray[np.bool_], side: int) -> Slice:
    """Look at the particles (cracks included) of a slice through windows of `side` px."""
    window = window_sums(solid, side)
    area = window_sums(np.ones(solid.shape, bool), side)
    inner = np.zeros(solid.shape, bool)
    inner[whole_windows(solid.shape, side)] = True
    return Slice(solid, window, window / area, inner & (window > 0))


def asked_of(config: CathodeConfig, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Damage and slope that phantom `index` is to have, by slice, shape (Z,)."""
    factor = np.random.default_rng([config.seed, index, SCALE]).uniform(*config.damage_scale)
    return factor * np.array(config.damage.over(config.depth)), factor * np.array(config.slope.over(config.depth))


def side_of(config: CathodeConfig) -> int:
    """Side (px) of the window."""
    return max(1, round(config.window_nm / config.pixel_size_nm))


def cracks(ease: NDArray[np.float32], here: Slice, side: int, damage: float, slope: float) -> NDArray[np.bool_]:
    """Choose the crack pixels of one slice.

    Parameters
    ----------
    ease : float32 array, shape (Y, X)
        Load at which each pixel cracks.
    here : Slice
    side : int
        Of the window (px).
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
    aimed = slope
    for _ in range(ROUNDS if slope and here.inner.any() else 1):
        share = np.maximum(damage + aimed * beyond, LEAST * damage)
        chosen = np.argpartition(ranks / share, wanted - 1)[:wanted]
        hit = np.zeros(loads.size, bool)
        hit[chosen] = True
        cracked[solid] = hit
        found, _ = slope_of(cracked, here, side)
        if not abs(found - slope) > TOLERANCE * abs(slope):
            break
        aimed = float(np.clip(aimed + slope - found, slope - MOST_GAIN * damage, slope + MOST_GAIN * damage))
    return cracked


def slope_of(cracked: NDArray[np.bool_], here: Slice, side: int) -> tuple[float, float]:
    """Slope and correlation of the damage of windows' particles against the windows' packing."""
    damage = window_sums(cracked, side)[here.inner] / here.window[here.inner]
    return line_through(here.packing[here.inner], damage)
