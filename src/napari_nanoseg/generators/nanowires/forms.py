"""Sizes and shapes of objects, drawn at random, and the solids they are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.generators.nanowires.solids import ELLIPSE, HEXAGON, RECTANGLE, Solids, ball, chain, joined

CLASSES = ("wire", "rod", "sphere", "cube", "agglomerate", "branch")
"""Names of the classes by their number."""
WIRE, ROD, SPHERE, CUBE, AGGLOMERATE, BRANCH = range(len(CLASSES))
SECTIONS = {"rectangle": RECTANGLE, "lath": RECTANGLE, "hexagon": HEXAGON, "ellipse": ELLIPSE, "circle": ELLIPSE}
MODES = 8
"""Bending modes of a wire; those above hold 7 % of the mean squared bending angle."""
SAGITTA_PX = 0.05
"""Largest distance of a bent wire's line from the smooth curve that it stands for."""
MOST_PIECES = 64
SHORTEST = 0.05
"""No size is drawn below this fraction of its mean."""


@dataclass(frozen=True, eq=False)
class Form:
    """One object without its place: sizes in px.

    ``joints`` (P + 1, 2) is the line through a bent wire's middle, along and across; halfway between its ends is 0.
    ``parts`` (P, 4) are the particles of an agglomerate: centre and radius, negative for cubes of that half side.
    """

    kind: int
    length: float
    width: float
    thickness: float
    section: int = ELLIPSE
    taper: float = 0.0
    joints: NDArray[np.float64] | None = None
    parts: NDArray[np.float64] | None = None
    broken: bool = False

    @property
    def volume(self) -> float:
        """In px^3; of overlapping particles the sum."""
        if self.parts is not None:
            radii = np.abs(self.parts[:, 3])
            return float(np.where(self.parts[:, 3] < 0, 8 * radii**3, 4 / 3 * math.pi * radii**3).sum())
        if self.kind == SPHERE:
            return math.pi / 6 * self.width**3
        if self.kind == ROD:
            return math.pi / 4 * self.width**2 * (self.length - self.width / 3)
        share = {ELLIPSE: math.pi / 4, RECTANGLE: 1.0, HEXAGON: 0.75}[self.section]
        slope = self.taper / (2 - self.taper)
        return share * self.width * self.thickness * self.length * (1 + slope**2 / 3)

    def solids(self, frame: NDArray[np.float64]) -> Solids:
        """Its solids about (0, 0, 0); rows of `frame` (3, 3) are its directions of length, width and thickness."""
        if self.parts is not None:
            return joined([_particle(part[:3] @ frame, part[3], frame) for part in self.parts])
        if self.kind == SPHERE:
            return ball(np.zeros(3), self.width / 2)
        across, high = self.width / 2, self.thickness / 2
        if self.kind == ROD:
            end = (self.length / 2 - across) * frame[0]
            balls = [ball(-end, across), ball(end, across)]
            if not end.any():
                return balls[0]
            return joined([chain(np.stack([-end, end]), frame[2], across, high, ELLIPSE, 0.0), *balls])
        line = np.array([[-0.5, 0], [0.5, 0]]) * self.length if self.joints is None else self.joints
        return chain(line @ frame[:2], frame[2], across, high, self.section, self.taper)


def _particle(centre: NDArray[np.float64], radius: float, frame: NDArray[np.float64]) -> Solids:
    if radius > 0:
        return ball(centre, radius)
    ends = centre + np.array([[radius], [-radius]]) * frame[0]
    return chain(ends, frame[2], -radius, -radius, RECTANGLE, 0.0)


def size(config: NanowireConfig, mean: float, spread: float, rng: np.random.Generator) -> float:
    """Draw a size of the config's distribution with this mean and relative standard deviation."""
    if config.distribution == "lognormal":
        variance = math.log1p(spread**2)
        factor = math.exp(math.sqrt(variance) * rng.standard_normal() - variance / 2)
    elif config.distribution == "normal":
        factor = 1 + spread * float(np.clip(rng.standard_normal(), -3, 3))
    else:
        factor = 1 + spread * math.sqrt(3) * rng.uniform(-1, 1)
    return mean * max(factor, SHORTEST)


def draw_wire(config: NanowireConfig, rng: np.random.Generator) -> Form:
    """Draw a wire."""
    name = config.cross_sections[rng.integers(len(config.cross_sections))]
    width = size(config, config.width_nm, config.width_sd, rng) / config.pixel_size_nm
    mean = config.length_nm if config.aspect_ratio is None else config.aspect_ratio * config.width_nm
    length = size(config, mean, config.length_sd, rng) / config.pixel_size_nm
    ratio = 1.0 if name == "circle" else rng.uniform(*(config.lath_ratio if name == "lath" else config.thickness_ratio))
    wire = Form(WIRE, max(length, width), width, width * ratio, SECTIONS[name], rng.uniform(*config.taper))
    if rng.random() < config.bent_fraction:
        return bent(wire, rng.uniform(*config.persistence_length_nm) / config.pixel_size_nm, rng)
    return wire


def bent(wire: Form, persistence: float, rng: np.random.Generator) -> Form:
    """Bend a wire in its plane of length and width; its length stays that of its line.

    The angle is a sum of cosine modes whose variances belong to the persistence length (px): Gittes et al., J. Cell
    Biol. 120 (1993) 923. It is flattened as a whole where its radius would be less than two widths, so that the inner
    side never folds.
    """
    modes = np.arange(1, MODES + 1)
    length = wire.length
    amplitudes = rng.standard_normal(MODES) * length / (np.pi * modes) / math.sqrt(persistence) * math.sqrt(2 / length)
    place = np.linspace(0, 1, 257)
    waves = np.pi * modes * place[:, None]
    curvature = float(np.abs((np.sin(waves) * modes * np.pi / length) @ amplitudes).max())
    tightest = 0.5 / wire.width
    if curvature > tightest:
        amplitudes *= tightest / curvature
        curvature = tightest
    pieces = min(max(2, math.ceil(length * math.sqrt(curvature / (8 * SAGITTA_PX)))), MOST_PIECES)
    middle = np.pi * modes * ((np.arange(pieces) + 0.5) / pieces)[:, None]
    angles = np.cos(middle) @ amplitudes
    angles -= angles.mean()
    steps = length / pieces * np.stack([np.cos(angles), np.sin(angles)], 1)
    joints = np.concatenate([np.zeros((1, 2)), steps.cumsum(0)])
    return replace(wire, joints=joints - (joints[0] + joints[-1]) / 2)


def broken(wire: Form, rng: np.random.Generator) -> tuple[Form, Form]:
    """Break a wire in two; each half is straight."""
    place = rng.uniform(0.25, 0.75)
    first, second = (
        replace(wire, length=max(part * wire.length, wire.width), taper=0.0, joints=None, broken=True)
        for part in (place, 1 - place)
    )
    return first, second


def branch(wire: Form, config: NanowireConfig, rng: np.random.Generator) -> Form:
    """Draw a small wire that grows on a large one."""
    width = wire.width / 2
    length = max(rng.uniform(*config.branch_scale) * wire.length, width)
    return Form(BRANCH, length, width, wire.thickness / 2, wire.section, 0.3)


def draw_particle(kind: int, config: NanowireConfig, rng: np.random.Generator) -> Form:
    """Draw a rod, sphere, cube or agglomerate."""
    width = size(config, config.particle_size_nm, config.particle_size_sd, rng) / config.pixel_size_nm
    if kind == ROD:
        return Form(ROD, width * rng.uniform(*config.rod_aspect_ratio), width, width)
    if kind in (SPHERE, CUBE):
        return Form(kind, width, width, width, RECTANGLE if kind == CUBE else ELLIPSE)
    count = int(rng.integers(config.agglomerate_particles[0], config.agglomerate_particles[1] + 1))
    parts = np.zeros((count, 4))
    for n in range(count):
        side = size(config, config.particle_size_nm, config.particle_size_sd, rng) / config.pixel_size_nm
        parts[n, 3] = side / 2 * (1 if rng.random() < 0.5 else -1)
        if n:  # grows where it is touched first, on a particle near the middle
            near = parts[:n, :3]
            other = int(np.argmin((near**2).sum(1) + rng.exponential(width**2, n)))
            step = rng.standard_normal(3)
            parts[n, :3] = near[other] + step / np.linalg.norm(step) * 0.85 * (abs(parts[other, 3]) + side / 2)
    parts[:, :3] -= parts[:, :3].mean(0)
    extent = np.ptp(np.concatenate([parts[:, :3] - abs(parts[:, 3:]), parts[:, :3] + abs(parts[:, 3:])]), axis=0)
    long, middle, short = sorted(extent, reverse=True)
    return Form(AGGLOMERATE, long, middle, short, parts=parts)
