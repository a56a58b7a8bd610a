"""What the cut-and-paste generator makes of its sources before the first image, made again only where it must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from napari_nanoseg.config.generate import CutPasteConfig
from napari_nanoseg.generators.backgrounds import Backgrounds, Clean, Parts, find_clean
from napari_nanoseg.generators.particles import Pool, make_pool
from napari_nanoseg.generators.sources import prepare_sources
from napari_nanoseg.samples import Sample

Made = TypeVar("Made")

CLEAN = ("background_margin",)
"""Fields of the config on which the clean background depends."""
PARTS = (*CLEAN, "quilt_block")
"""Fields on which the division of a source into smooth background and detail depends."""
POOL = (
    *CLEAN,
    "seed",
    "drop_border_particles",
    "min_area_fraction",
    "solidity_tolerance",
    "drop_outliers",
    "texture",
    "quilt_block",
    "quilt_overlap",
)
"""Fields on which the particles depend."""
BACKGROUNDS = (*CLEAN, "seed", "height", "width", "backgrounds", "quilt_block", "quilt_overlap")
"""Fields on which the backgrounds depend."""


class Preparation:
    """Particles and backgrounds cut from annotated micrographs, for one config after the other.

    What the last config has made is kept as long as the fields it depends on stay the same, so that a preview follows
    a form: of the sample micrograph, another brightness takes 40 ms instead of 3 s. For one thread at a time.

    Parameters
    ----------
    sources : sequence of Sample

    Raises
    ------
    NanosegError
        As in :class:`napari_nanoseg.generators.cutpaste.CutPaste`, also by the methods.
    """

    def __init__(self, sources: Sequence[Sample]) -> None:
        self._sources, self.calibration = prepare_sources(sources)
        known = [coverage for source in self._sources if (coverage := source.coverage) is not None]
        self.coverage = float(np.mean(known)) if known else None
        """Mean covered fraction of the fully annotated sources; None without any."""
        self._last: dict[tuple[str, ...], tuple[tuple[Any, ...], Any]] = {}

    def pool(self, config: CutPasteConfig) -> Pool:
        """The particles that the config takes."""

        def make() -> Pool:
            rng = np.random.default_rng([config.seed, 0, 1])
            return make_pool(self._sources, [part.level for part in self._clean(config)], config, rng)

        return self._kept(POOL, config, make)

    def backgrounds(self, config: CutPasteConfig) -> Backgrounds:
        """The backgrounds of the config, each made when it is asked for first."""

        def make() -> Backgrounds:
            return Backgrounds(self._clean(config), config, self._kept(PARTS, config, Parts))

        return self._kept(BACKGROUNDS, config, make)

    def _clean(self, config: CutPasteConfig) -> list[Clean]:
        return self._kept(CLEAN, config, lambda: [find_clean(one, config.background_margin) for one in self._sources])

    def _kept(self, fields: tuple[str, ...], config: CutPasteConfig, make: Callable[[], Made]) -> Made:
        values = tuple(getattr(config, name) for name in fields)
        if fields not in self._last or self._last[fields][0] != values:
            self._last.pop(fields, None)  # before the new one is made: both may be large
            self._last[fields] = (values, make())
        made: Made = self._last[fields][1]
        return made
