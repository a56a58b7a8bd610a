"""Models that need no training: conventional thresholding, and a watershed after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import yaml
from numpy.typing import NDArray

from napari_nanoseg.config.baseline import BaselineConfig, WatershedConfig
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.base import Found, Model, size_notice, stacked
from napari_nanoseg.engines.baseline.foreground import find_foreground
from napari_nanoseg.engines.baseline.parting import part_mask
from napari_nanoseg.engines.baseline.pieces import fill_holes, find_pieces
from napari_nanoseg.engines.contrast import is_flat, to_grey
from napari_nanoseg.events import Notice, Progress, Stage, checkpoint, tell
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.atomic import write_text
from napari_nanoseg.io.model_cards import CARD
from napari_nanoseg.measurement.guess import likely_particles
from napari_nanoseg.samples import Image
from napari_nanoseg.scaling import ScaledView

LARGEST_TILE = 1024
"""Side, so that nothing takes a second."""
UNKNOWN = 32.0
"""Particle diameter where it is neither told nor can be guessed, px."""
LOOK = 85.0
"""Side of the middle piece in which the polarity is guessed, in told particle diameters: in what is looked at there,
reduced to 512 px, particles have 6 px."""
WISHES = {"no": True, "yes": False}
"""Of :class:`SegmentConfig`, whether the contrast is inverted; and whether particles are bright then."""


class BaselineModel(Model):
    """Thresholding, or thresholding and watershed.

    Parameters
    ----------
    card : ModelCard
        Its `working_diameter` is that to which larger particles are reduced; none: images are not rescaled.
    """

    def __init__(self, card: ModelCard):
        assert isinstance(card.network, BaselineConfig)
        self.card, self.config = card, card.network

    @classmethod
    def from_card(cls, card: ModelCard) -> Self:
        """Make a model of its card."""
        return cls(card)

    def runs_on(self, wish: str) -> tuple[str, str]:
        """Tell the device, always the CPU; see the base class."""
        return "cpu", "Using the CPU: no network is needed."

    def save(self, folder: str | Path) -> None:
        """Write ``model.yaml`` with all parameters, for people to edit."""
        values = self.card.model_dump(mode="json", include={"network", "working_diameter"})
        write_text(Path(folder) / CARD, yaml.safe_dump(values, sort_keys=False))

    def detect(self, image: Image, config: SegmentConfig, floor: float | None = None) -> BaselineFound:
        """Part an image or every slice of a stack into particles and background; see the base class.

        Of the config, `diameter`, `invert` (``no``: bright particles, ``yes``: dark ones, ``auto``: guessed),
        `min_area`, `tile` and `baseline` count. There are no probabilities, and objects do not overlap; `floor` means
        nothing.
        """
        tell(Stage("segment", f"Segmenting {image.source} without a network."))
        own = self.config.with_wishes(config.baseline)
        bright, diameter = self._looks(image, config, own)
        planes = []
        for number in range(image.planes):
            if image.planes > 1:
                tell(Progress(number, image.planes, "slices"))
            plane = image.plane(number)
            if is_flat(plane):
                tell(Notice(f"{plane.source}: all pixels are the same, so there is no particle."))
                planes.append(Instances.empty(plane.plane_shape))
            else:
                planes.append(self._plane(plane, own, bright, diameter, config.tile))
        return BaselineFound(planes, image.axes[0] in "ZT", config.model_copy(update={"diameter": diameter}))

    def _looks(self, image: Image, config: SegmentConfig, own: BaselineConfig) -> tuple[bool, float]:
        """Whether the particles are bright, and their diameter, px: as told, else guessed from the middle plane."""
        plane = image.plane(image.planes // 2)
        bright = WISHES.get(config.invert or "")
        if config.invert is None and own.polarity != "auto":
            bright = own.polarity == "bright"
        if (bright is not None and config.diameter is not None) or is_flat(plane):
            return bright is not False, config.diameter or UNKNOWN
        tell(Stage("size", f"{plane.source}: looking what the particles are like."))
        grey = to_grey(plane)
        pixels = grey if config.diameter is None else _middle(grey, LOOK * config.diameter)
        guess = likely_particles(pixels, None if bright is None else "bright" if bright else "dark")
        if bright is None:
            bright = guess is None or guess.polarity == "bright"
            tell(
                Notice(
                    f"{plane.source}: the particles are taken to be {'brighter' if bright else 'darker'} than the "
                    "background; set 'invert' if not."
                )
            )
        if config.diameter is not None:
            return bright, config.diameter
        diameter = UNKNOWN if guess is None else guess.diameter
        tell(size_notice(plane.source, diameter))
        return bright, diameter

    def _plane(self, plane: Image, own: BaselineConfig, bright: bool, diameter: float, tile: int) -> Instances:
        working = self.card.working_diameter
        grey = to_grey(plane)
        view = ScaledView(grey, 1.0 if working is None else min(1.0, working / diameter))
        tile, seen = min(tile, LARGEST_TILE), diameter * view.factor
        mask = find_foreground(view, own, bright=bright, diameter=seen, tile=tile)
        if own.holes:
            mask = fill_holes(mask, own.holes * _disc(seen))
        if isinstance(own, WatershedConfig):
            labels = part_mask(mask, own.depth * seen, tile)
        else:
            labels, _ = find_pieces(mask)
        found = Instances.from_labels(_enlarged(labels, plane.plane_shape))
        checkpoint()
        return found[found.areas >= own.least_area * _disc(diameter)]


class BaselineFound(Found):
    """The objects of an image or of every plane of a stack; all have the score 1.

    Parameters
    ----------
    planes : list of Instances
    stack : bool
        Whether the result is a volume.
    config : SegmentConfig
        With the diameter that was told or estimated.
    """

    floor = 0.0

    def __init__(self, planes: list[Instances], stack: bool, config: SegmentConfig):
        self._planes, self._stack, self.config = planes, stack, config

    def instances(self, config: SegmentConfig | None = None) -> Instances:
        """Choose by area alone; see the base class."""
        least = (config or self.config).min_area
        slices = []
        for plane in self._planes:
            kept = plane[plane.areas >= least]
            slices.append(Instances.from_masks(kept.shape, kept.boxes, kept.masks))
            checkpoint()
        return stacked(slices) if self._stack else slices[0]


def _middle(grey: NDArray[Any], side: float) -> NDArray[Any]:
    """The middle piece of a plane."""
    spans = [((size - min(size, round(side))) // 2, (size + min(size, round(side))) // 2) for size in grey.shape]
    return grey[slice(*spans[0]), slice(*spans[1])]


def _disc(diameter: float) -> float:
    """Area of a disc."""
    return float(np.pi / 4 * diameter**2)


def _enlarged(labels: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Labels of a reduced image at full resolution: that of the nearest pixel."""
    if labels.shape == shape:
        return labels
    places = [
        np.clip(np.rint((np.arange(size) + 0.5) * small / size - 0.5).astype(np.int64), 0, small - 1)
        for size, small in zip(shape, labels.shape, strict=True)
    ]
    return labels[np.ix_(*places)]
