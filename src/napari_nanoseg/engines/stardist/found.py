"""What a StarDist network found, from which thresholds choose without running it again."""

from __future__ import annotations

from collections.abc import Sequence

from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.base import Found, stacked
from napari_nanoseg.engines.keeping import Keeping
from napari_nanoseg.engines.stardist.candidates import Candidates, paint
from napari_nanoseg.engines.stardist.suppression import Suppression
from napari_nanoseg.events import checkpoint
from napari_nanoseg.instances import Instances
from napari_nanoseg.scaling import ScaledView

MOST_KEPT = 2_000_000
"""Candidates of a stack that are kept for lower thresholds: 0.3 GB with 32 rays."""


class StarDistFound(Found):
    """The candidates of an image or of every plane of a stack; none of its pixels.

    Parameters
    ----------
    planes : sequence of Candidates
        All above `floor`.
    view : ScaledView
        Geometry of the planes at working scale.
    stack : bool
        Whether the result is a volume.
    config : SegmentConfig
        With the thresholds that were asked for, none of them empty.
    floor : float
        Lowest probability that can be asked for.
    """

    def __init__(
        self, planes: Sequence[Candidates], view: ScaledView, stack: bool, config: SegmentConfig, floor: float
    ):
        self._planes, self._view, self._stack = planes, view, stack
        self._suppressions: tuple[float, list[Suppression]] | None = None
        self.config, self.floor = config, floor

    def instances(self, config: SegmentConfig | None = None) -> Instances:
        """Choose among the candidates; see the base class."""
        probability, overlap, min_area = self.thresholds(config or self.config)
        if self._suppressions is None or self._suppressions[0] != overlap:
            self._suppressions = overlap, [Suppression(plane, overlap) for plane in self._planes]
        slices = []
        for plane in self._suppressions[1]:
            survivors = plane.above(probability)
            checkpoint()
            instances = paint(survivors, self._view)
            slices.append(instances[instances.areas >= min_area] if min_area else instances)
        return stacked(slices) if self._stack else slices[0]


class Collector(Keeping):
    """Gathers the candidates of one plane after the other; their number, and so the memory, is bounded."""

    def __init__(self, probability: float, floor: float):
        super().__init__(probability, floor)
        self.planes: list[Candidates] = []

    def add(self, candidates: Candidates) -> None:
        """Take one more plane; raise the floor when there are too many candidates."""
        self.planes.append(candidates.at_least(self.floor))
        if self.crowded([plane.prob for plane in self.planes], MOST_KEPT):
            self.planes = [plane.at_least(self.floor) for plane in self.planes]
