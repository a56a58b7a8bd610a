"""Where objects lie and where they point: through each other, in layers, or settled on what is there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.generators.nanowires.forms import WIRE, Form
from napari_nanoseg.generators.nanowires.heights import Footprint, footprint
from napari_nanoseg.generators.nanowires.solids import Solids

TRIES = 12
"""Places tried before an object is given up."""
GAP = 1e-6
"""Distance (px) that settled objects keep on the rays on which they touch, more than rounding can be."""
STEEPEST = math.tan(math.radians(35))
"""Slope that a settled wire may get by leaning on others; steeper ones would slide down."""
BINS = 48


@dataclass(frozen=True, eq=False)
class Placed:
    """An object at its place: `frame` (3, 3) holds its directions of length, width and thickness in (x, y, z)."""

    form: Form
    centre: NDArray[np.float64]
    frame: NDArray[np.float64]
    solids: Solids
    parent: int = 0
    """Number, counted from 1, of the object that it grows on."""

    @property
    def direction(self) -> NDArray[np.float64]:
        """Unit vector along its length; of a bent object from end to end."""
        if self.form.joints is None:
            return np.asarray(self.frame[0])
        ends = (self.form.joints[-1] - self.form.joints[0]) @ self.frame[:2]
        return np.asarray(ends / np.linalg.norm(ends))


def frame_of(azimuth: float, tilt: float, roll: float) -> NDArray[np.float64]:
    """Directions of length, width, thickness (rows; x, y, z) of an object; angles in rad, the azimuth clockwise."""
    ca, sa, ct, st = math.cos(azimuth), math.sin(azimuth), math.cos(tilt), math.sin(tilt)
    along = np.array([ca * ct, sa * ct, st])
    across = np.array([-sa, ca, 0.0])
    up = np.array([-ca * st, -sa * st, ct])
    cr, sr = math.cos(roll), math.sin(roll)
    return np.stack([along, cr * across + sr * up, cr * up - sr * across])


def draw_frame(config: NanowireConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the directions of an object that nothing supports."""
    if config.orientation == "isotropic":
        return frame_of(rng.uniform(0, 2 * math.pi), math.asin(rng.uniform(-1, 1)), rng.uniform(0, 2 * math.pi))
    spread = math.radians(config.tilt_sd)
    tilt, roll = spread * rng.standard_normal(2)
    return frame_of(draw_azimuth(config, rng), tilt, roll)


def draw_azimuth(config: NanowireConfig, rng: np.random.Generator) -> float:
    """Draw a direction in the image plane (rad, clockwise from the horizontal)."""
    if config.orientation != "aligned":
        return rng.uniform(0, 2 * math.pi)
    about = -math.radians(config.direction)
    concentration = concentration_of(config.order_parameter)
    return about if math.isinf(concentration) else about + rng.vonmises(0, concentration) / 2


@cache
def concentration_of(order: float) -> float:
    """Concentration of the von Mises distribution of twice the angle whose mean cosine is `order`."""
    from scipy.optimize import brentq
    from scipy.special import i0e, i1e

    if order > 0.9999:
        return math.inf
    return float(brentq(lambda kappa: i1e(kappa) / i0e(kappa) - order, 0, 1e4))


class Ground:
    """The space that objects are put into, one after the other.

    Parameters
    ----------
    config : NanowireConfig
    rng : numpy.random.Generator
    """

    def __init__(self, config: NanowireConfig, rng: np.random.Generator) -> None:
        self.config, self.rng = config, rng
        self.heights = np.zeros((config.height, config.width))
        self._layer_base = self._layer_top = 0.0
        self._lying = config.deposition != "random"

    def next_layer(self) -> None:
        """Begin a layer on top of all there is."""
        self._layer_base = self._layer_top
        self.heights[:] = 0

    def put(self, form: Form) -> Placed | None:
        """Put an object at random; None when it finds no room."""
        for _ in range(TRIES):
            placed = self.put_at(form, self._anywhere(), self._frame())
            if placed is not None:
                return placed
        return None

    def attach(self, form: Form, centre: NDArray[np.float64], frame: NDArray[np.float64], parent: int) -> Placed:
        """Put an object where it grows on another one; it does not move."""
        solids = form.solids(frame).moved(centre)
        if self._lying:
            footprint(solids, *self.heights.shape).pile_up(self.heights, 0.0)
        return Placed(form, centre, frame, solids, parent)

    def _frame(self) -> NDArray[np.float64]:
        if not self._lying:
            return draw_frame(self.config, self.rng)
        return frame_of(draw_azimuth(self.config, self.rng), 0.0, 0.0)

    def _anywhere(self) -> NDArray[np.float64]:
        config = self.config
        sides = np.array([config.width, config.height, config.depth], float)
        return np.asarray(self.rng.uniform(0, 1, 3) * sides - np.array([0.5, 0.5, 0.0]))

    def put_at(self, form: Form, centre: NDArray[np.float64], frame: NDArray[np.float64]) -> Placed | None:
        """Put an object at a given place, above which it may come to lie; None when it finds no room there."""
        solids = form.solids(frame)
        if not self.config.border:
            low, high = solids.lowest_and_highest()[:, :2]
            room = np.array([self.config.width, self.config.height]) - 0.5 - high
            if (-0.5 - low > room).any():
                return None
            centre = np.append(np.clip(centre[:2], -0.5 - low, room), centre[2])
        if not self._lying:
            return Placed(form, centre, frame, solids.moved(centre))
        flat = np.array([centre[0], centre[1], 0.0])
        if self.config.deposition == "layered":
            return self._in_layer(form, flat, frame, solids)
        return self._settled(form, flat, frame, solids)

    def _in_layer(
        self, form: Form, centre: NDArray[np.float64], frame: NDArray[np.float64], solids: Solids
    ) -> Placed | None:
        bottom, top = solids.lowest_and_highest()[:, 2]
        centre = centre + np.array([0, 0, self._layer_base - bottom])
        solids = solids.moved(centre)
        below = footprint(solids, *self.heights.shape)
        if self._layer_base + top - bottom > self.config.depth or below.clearance(self.heights) > GAP:
            return None
        below.pile_up(self.heights, 0.0)
        self._layer_top = max(self._layer_top, self._layer_base + top - bottom)
        return Placed(form, centre, frame, solids)

    def _settled(
        self, form: Form, centre: NDArray[np.float64], frame: NDArray[np.float64], solids: Solids
    ) -> Placed | None:
        if form.kind == WIRE:
            below = footprint(solids.moved(centre), *self.heights.shape)
            slope = self._support(form, centre, frame, below)
            frame = frame_of(math.atan2(frame[0, 1], frame[0, 0]), math.atan(slope), 0.0)
            solids = form.solids(frame)
        solids = solids.moved(centre)
        # what reaches out of the image has the substrate below it, too
        low, high = solids.lowest_and_highest()[:, 2]
        below = footprint(solids, *self.heights.shape)
        lift = max(below.clearance(self.heights), -float(low)) + GAP
        if high + lift > self.config.depth:
            return None
        below.pile_up(self.heights, lift)
        rise = np.array([0, 0, lift])
        return Placed(form, centre + rise, frame, solids.moved(rise))

    def _support(self, form: Form, centre: NDArray[np.float64], frame: NDArray[np.float64], below: Footprint) -> float:
        """Slope of the line on which a wire comes to rest: it touches on both sides of its middle."""
        half = form.length / 2
        heights = below.profile(self.heights, centre, frame[0], half, BINS)
        places = ((np.arange(BINS) + 0.5) / BINS * 2 - 1) * half
        left, right = places < 0, places > 0
        # the edge of the upper hull above the middle: of all pairs, the one whose line is highest there
        dx = places[right][None] - places[left][:, None]
        slopes = (heights[right][None] - heights[left][:, None]) / dx
        middle = heights[left][:, None] - slopes * places[left][:, None]
        best = np.unravel_index(np.argmax(middle), middle.shape)
        return float(np.clip(slopes[best], -STEEPEST, STEEPEST))
