"""What a fit turns: the parameters that decide how images of a look appear, each with the range that is searched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_nanoseg.config.nanowires import NanowireConfig

ABSORPTIONS = ("wire_absorption", "rod_absorption", "sphere_absorption", "cube_absorption", "agglomerate_absorption")
COUNTS = ("wires", "rods", "spheres", "cubes", "agglomerates")


@dataclass(frozen=True)
class Knob:
    """A parameter, ``GROUP.FIELD`` or the name of fields that go together, searched from `low` to `high`."""

    name: str
    low: float
    high: float
    logarithmic: bool = True

    def place(self, value: float) -> float:
        """From 0 (`low`) to 1 (`high`)."""
        low, high, at = (
            math.log(max(one, self.low)) if self.logarithmic else one for one in (self.low, self.high, value)
        )
        return float(np.clip((at - low) / (high - low), 0, 1))

    def value(self, place: float) -> float:
        """The value at a place."""
        if self.logarithmic:
            return float(self.low * (self.high / self.low) ** place)
        return float(self.low + place * (self.high - self.low))

    def middle(self, config: NanowireConfig) -> float:
        """Where the config's range has its middle."""
        if self.name == "number":
            return sum(_mean(getattr(config, name)) for name in COUNTS)
        if self.name == "absorption":
            return _mean(config.wire_absorption if config.wires[1] else config.rod_absorption)
        group, field = self.name.split(".")
        low, high = getattr(getattr(config, group), field)
        return math.sqrt(max(low, self.low) * max(high, self.low)) if self.logarithmic else (low + high) / 2

    def changed(self, config: NanowireConfig, low: float, high: float) -> dict[str, Any]:
        """The nested values of a config whose range is `low` to `high`."""
        if self.name in ("number", "absorption"):
            now = max(self.middle(config), 1e-9)
            names = COUNTS if self.name == "number" else ABSORPTIONS
            means = {name: _mean(getattr(config, name)) for name in names}
            if self.name == "absorption":
                return {name: (mean * low / now, mean * high / now) for name, mean in means.items()}
            ends = {name: (round(mean * low / now), round(mean * high / now)) for name, mean in means.items()}
            return {name: (min(2000, least), min(2000, most)) for name, (least, most) in ends.items()}
        group, field = self.name.split(".")
        return {group: {field: (max(low, self.low), min(high, self.high))}}


def _mean(limits: tuple[float, float]) -> float:
    return (limits[0] + limits[1]) / 2


_GRADIENT = Knob("detector.gradient", 0.0, 0.8, logarithmic=False)
_PHOTONS = Knob("detector.photons", 5.0, 1e6)
_BLUR = Knob("detector.blur", 0.25, 6.0)
_SUPPORT = Knob("detector.background", 0.0, 3.0, logarithmic=False)
_ABSORPTION = Knob("absorption", 0.2, 200.0)
_XRAYS = (_PHOTONS, _GRADIENT, _SUPPORT, _ABSORPTION)


def knobs_of(config: NanowireConfig, numbers: bool) -> tuple[Knob, ...]:
    """The knobs of a look; `numbers` says whether also that of the number of objects is turned."""
    pixel = config.pixel_size_nm
    by_look: dict[str, tuple[Knob, ...]] = {
        "od": (*_XRAYS, _BLUR),
        "transmission": (*_XRAYS, _BLUR),
        "stxm": (*_XRAYS, Knob("stxm.spot_nm", 0.4 * pixel, 14 * pixel), Knob("stxm.beam_noise", 3e-4, 0.1)),
        "ptychography": (
            *_XRAYS,
            Knob("ptychography.resolution", 1.0, 6.0),
            Knob("ptychography.clouds", 1e-3, 0.3),
            Knob("ptychography.raster", 1e-4, 0.1),
        ),
        "sem": (
            Knob("sem.substrate", 0.02, 0.95, logarithmic=False),
            Knob("sem.brightness", 0.02, 1.0, logarithmic=False),
            Knob("sem.edges", 0.01, 3.0),
            _GRADIENT,
            _BLUR,
            Knob("sem.noise", 2e-3, 0.5),
            Knob("sem.texture", 5e-4, 0.2),
            Knob("sem.texture_size", 0.5, 4.0),
            Knob("sem.scan_noise", 2e-4, 0.1),
        ),
        "tem": (
            Knob("tem.brightness", 0.05, 1.0, logarithmic=False),
            Knob("tem.mean_free_path_nm", 2 * pixel, 1000 * pixel),
            _GRADIENT,
            _BLUR,
            _PHOTONS,
            Knob("tem.support_grain", 1e-3, 0.3),
            Knob("tem.grain_size", 0.4, 4.0),
        ),
    }
    count = (Knob("number", 1.0, 1000.0),) if numbers else ()
    return (*by_look[config.look], *count)
