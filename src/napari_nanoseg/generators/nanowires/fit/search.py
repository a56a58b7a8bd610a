"""The search: simulate, compare, and turn all knobs at once towards the target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.events import Progress, in_context, tell
from napari_nanoseg.generators.nanowires.fit.knobs import COUNTS, Knob
from napari_nanoseg.generators.nanowires.fit.statistics import Statistics, log_ratios, statistics
from napari_nanoseg.generators.nanowires.fit.targets import SIDE
from napari_nanoseg.generators.nanowires.generator import rendered, scene_of
from napari_nanoseg.generators.nanowires.scene import Scene

IMAGES = 3
"""Images that a trial makes; always the same scenes and random numbers, so that only the knobs change them."""
STEP = 0.03
"""By how much (of its range) a knob is turned to see what it does."""
FARTHEST = 0.25
"""By how much (of its range) a knob is turned at once."""
CLOSE = 0.003
"""Turns (parts of the range) below this are none."""
MOST_TIMES = 4.0
"""Factor by which the number of objects changes at once, at most."""
SHIFTS = (0.0, -0.16, -0.32, 0.16)
"""Numbers of objects that a search may begin with, in parts of that knob's range: 1, 1/3, 1/9 and 3 times the config's.
From far too many, no way leads back: nowhere is background left to see the noise."""
DARK = ("transmission", "tem")
"""Looks in which objects are darker than the background."""

Values = NDArray[np.float64]


class Simulator:
    """Makes images of configs that differ in the knobs only, in windows of the target's size; scenes are kept.

    Parameters
    ----------
    config : NanowireConfig
    window : tuple of int
        Rows and columns of the target's windows.
    """

    def __init__(self, config: NanowireConfig, window: tuple[int, int]) -> None:
        self._whole = config.height, config.width
        self._size = min(config.height, SIDE), min(config.width, SIDE)
        self._window = min(window[0], self._size[0]), min(window[1], self._size[1])
        self._bright = config.look not in DARK
        self._thickness = (config.width_nm if config.wires[1] else config.particle_size_nm) / config.pixel_size_nm
        self._scenes: dict[Any, Scene] = {}

    def statistics(self, config: NanowireConfig, first: int = 0, images: int = IMAGES) -> Statistics:
        """Measure images `first` to `first` + `images` - 1 of a config."""
        small = self._smaller(config)
        white = 1.0 if config.dtype == "float32" else float(np.iinfo(config.dtype).max)
        numbers = range(first, first + images)
        scenes = [self._scene(small, index) for index in numbers]

        def made(index: int, scene: Scene) -> NDArray[np.float32]:
            return rendered(small, index, scene)[0].astype(np.float32) / np.float32(white)

        with ThreadPoolExecutor(images) as threads:
            return self.measured(list(threads.map(in_context(made), numbers, scenes)))

    def measured(self, windows: Sequence[NDArray[np.float32]]) -> Statistics:
        """Measure windows of any image as those of generated ones are."""
        cut = [one[: self._window[0], : self._window[1]] for one in windows]
        return statistics(cut, self._bright, self._thickness)

    def _smaller(self, config: NanowireConfig) -> NanowireConfig:
        """The same for smaller images: fewer objects, and the part of the gradient that is in them."""
        part = self._size[0] * self._size[1] / (self._whole[0] * self._whole[1])
        counts = {name: _part(getattr(config, name), part) for name in COUNTS}
        side = max(self._size) / max(self._whole)
        gradient = tuple(side * one for one in config.detector.gradient)
        detector = config.detector.model_copy(update={"gradient": gradient})
        return config.model_copy(
            update={"height": self._size[0], "width": self._size[1], "detector": detector, **counts}
        )

    def _scene(self, config: NanowireConfig, index: int) -> Scene:
        key = (index, *(getattr(config, name) for name in COUNTS))
        if key not in self._scenes:
            self._scenes[key] = scene_of(config, index)
        return self._scenes[key]


def _part(limits: tuple[int, int], part: float) -> tuple[int, int]:
    """A part of a range of numbers of objects; what is there at all stays."""
    return min(limits[0], max(1, round(part * limits[0]))), min(limits[1], max(1, round(part * limits[1])))


def differences(found: Statistics, target: Statistics) -> Values:
    """By how much statistics differ from the target's, each in units of what hardly matters."""
    unit = max(target.spread, 1e-6)

    def ratio(one: float, other: float, floor: float) -> float:
        return float(np.log(max(one, floor) / max(other, floor)))

    spectrum = log_ratios(found.spectrum / found.spectrum.sum(), target.spectrum / target.spectrum.sum())
    return np.concatenate([
        (found.quantiles - target.quantiles)[::8] / (0.02 * unit) / 5,
        [
            (found.level - target.level) / (0.01 * unit),
            ratio(found.noise, target.noise, 1e-6) / 0.03,
            ratio(found.lines, target.lines, 0.1) / 0.1,
            (found.gradient - target.gradient) / (0.02 * unit),
            (found.uneven - target.uneven) / (0.02 * unit),
            ratio(found.sharpness, target.sharpness, 0.1) / 0.03,
            ratio(found.coverage, target.coverage, 1e-4) / 0.15,
            ratio(found.contrast, target.contrast, 1e-6) / 0.05,
            ratio(found.peak, target.peak, 1.0) / 0.05,
        ],
        spectrum / 0.1 / np.sqrt(len(spectrum)),
    ])  # fmt: skip


@dataclass(frozen=True, eq=False)
class Found:
    """Where the search came to: places of the knobs, statistics there, and what each knob does to these."""

    places: Values
    statistics: Statistics
    slopes: Values

    def loss(self, target: Statistics) -> float:
        """How far the statistics are from a target's."""
        return _loss(differences(self.statistics, target))


class Search:
    """A search for the places of some knobs; its `config` holds everything else.

    Levenberg and Marquardt's method with slopes from finite differences; the random numbers are always the same, so
    that it gives the same result every time. Only the number of objects follows the area they cover.
    """

    def __init__(self, config: NanowireConfig, knobs: Sequence[Knob], simulator: Simulator) -> None:
        self.config, self.knobs, self.simulator = config, tuple(knobs), simulator

    def starts(self) -> list[Values]:
        """Places to begin at: the middles of the config's ranges, with some numbers of objects."""
        middle = np.array([knob.place(knob.middle(self.config)) for knob in self.knobs])
        turned = np.array([knob.name == "number" for knob in self.knobs])
        return [np.clip(middle + shift * turned, 0, 1) for shift in (SHIFTS if turned.any() else SHIFTS[:1])]

    def at(self, low: Values, high: Values | None = None, margin: float = 0.0) -> NanowireConfig:
        """The config whose knobs have ranges between places, wider by a margin (a fraction of the values)."""
        values = self.config.model_dump()
        for knob, first, last in zip(self.knobs, low, low if high is None else high, strict=True):
            ends = knob.value(first) * (1 - margin), knob.value(last) * (1 + margin)
            for name, value in knob.changed(self.config, *ends).items():
                values[name] = values[name] | value if isinstance(value, dict) else value
        return NanowireConfig.parse(values, "fitted config")

    def counted(self, places: Values, seen: Statistics, target: Statistics) -> Values:
        """Places with the number of objects that would cover what the target's do, by what is covered in `seen`."""
        covers = [min(max(one.coverage, 1e-5), 0.9) for one in (seen, target)]
        ratio = np.clip(math.log1p(-covers[1]) / math.log1p(-covers[0]), 1 / MOST_TIMES, MOST_TIMES)
        turned = [
            knob.place(knob.value(place) * ratio) if knob.name == "number" else place
            for knob, place in zip(self.knobs, places, strict=True)
        ]
        return np.array(turned)

    def seen(self, places: Values) -> Statistics:
        """Statistics of trial images."""
        return self.simulator.statistics(self.at(places))

    def run(self, target: Statistics, starts: Sequence[Values], rounds: int, done: int, total: int) -> Found:
        """Turn the knobs from the best of `starts`, `rounds` times; progress counts trials from `done` to `total`."""
        tried: list[tuple[float, int, Statistics]] = []
        for number, start in enumerate(starts):
            seen = self.seen(start)
            tried.append((_loss(differences(seen, target)), number, seen))
            tell(Progress(min(done, total), total, "trials"))
        _, best, found = min(tried)
        places, rest = starts[best], differences(found, target)
        damping = 0.1
        slopes = np.zeros((len(rest), len(places)))
        for _ in range(rounds):
            counted = self.counted(places, found, target)
            if np.abs(counted - places).max() > CLOSE:
                places, found = counted, self.seen(counted)
                rest = differences(found, target)
            for number in range(len(places)):
                if self.knobs[number].name == "number":  # other scenes: no slope, but :meth:`counted`
                    continue
                turned = places.copy()
                turned[number] += STEP if places[number] + STEP <= 1 else -STEP
                change = differences(self.seen(turned), target) - rest
                slopes[:, number] = change / (turned[number] - places[number])
                done += 1
                tell(Progress(min(done, total), total, "trials"))
            better = None
            for _ in range(3):
                step = step_of(slopes, rest, damping)
                there = np.clip(places + step, 0, 1)
                stats = self.seen(there)
                done += 1
                tell(Progress(min(done, total), total, "trials"))
                if _loss(differences(stats, target)) < _loss(rest):
                    better = there, stats
                    break
                damping *= 6
            if better is None:
                break
            moved = float(np.abs(better[0] - places).max())
            gained = 1 - _loss(differences(better[1], target)) / max(_loss(rest), 1e-12)
            places, found = better
            rest = differences(found, target)
            damping = max(damping / 4, 1e-3)
            if moved < CLOSE or gained < 0.01:
                break
        return Found(places, found, slopes)


def step_of(slopes: Values, rest: Values, damping: float) -> Values:
    """The damped step of least squares, none farther than FARTHEST; large differences count less (Huber)."""
    weights = np.minimum(1, 4 / np.maximum(np.abs(rest), 1e-9))
    weighted = slopes * weights[:, None]
    normal = slopes.T @ weighted
    scale = np.diag(np.maximum(np.diag(normal), 1e-3 * max(float(np.diag(normal).max()), 1e-9)))
    step = -np.linalg.solve(normal + damping * scale + 1e-9 * np.eye(len(normal)), weighted.T @ rest)
    return np.asarray(step * min(1.0, FARTHEST / max(float(np.abs(step).max()), 1e-12)))


def _loss(rest: Values) -> float:
    """Huber's, in which large differences count less."""
    size = np.abs(rest)
    return float(np.where(size < 4, size**2, 8 * size - 16).sum())
