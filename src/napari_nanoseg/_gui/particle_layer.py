"""The layer in which a dock shows the particles it found."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from napari.layers import Labels, Layer
from napari.utils.events import Event
from qtpy.QtCore import QObject, Signal

from napari_nanoseg._gui.follow import Following, follow
from napari_nanoseg._gui.layers import add_table, labels_layer, unchanged, update_labels
from napari_nanoseg._gui.overlap_layer import OverlapLayer
from napari_nanoseg._gui.segmenting import Segmentation
from napari_nanoseg._gui.step import Step
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.layer_data import draw_outlined

LARGEST_LOOK = 2**22
"""Pixels of a layer that are compared with what we put there: 15 ms."""


class ParticleLayer(QObject):
    """A labels layer that shows the latest particles of an image, unless somebody edited it: then a new one.

    Parameters
    ----------
    step : Step
        Whose viewer it is in.
    """

    gone = Signal()
    """The layer was removed from the viewer."""

    def __init__(self, step: Step) -> None:
        super().__init__(step)
        self._viewer = step.viewer
        self.layer: Labels | None = None
        self._edited = False
        self._of: Layer | None = None
        self._place: Layer | Calibration = Calibration()
        self._ours = False
        self._edits = Following(self)
        self._overlaps = OverlapLayer(step)
        follow(self, self._viewer.layers.events.removed, self._removed)

    @property
    def edited(self) -> bool:
        """Whether somebody painted in the layer or gave it other data."""
        if self.layer is not None and not self._edited and self.layer.data.size <= LARGEST_LOOK:
            self._edited = not unchanged(self.layer)  # a script need not say so
        return self._edited

    def show(self, result: Segmentation, place: Layer | Calibration, image: Layer, *, again: bool) -> Iterator[None]:
        """Show a new result, in four steps.

        Parameters
        ----------
        result : Segmentation
        place : Layer or Calibration
            Where the labels lie.
        image : Layer
            In which the particles were found.
        again : bool
            Whether the result may take the place of one for the same image.
        """
        if again and self._of is image and self._place is place and self.layer is not None and not self.edited:
            self.replace(result)
            return
        self._of, self._place = image, place
        yield from self._add(result)

    def replace(self, result: Segmentation) -> None:
        """Show other particles of the same image."""
        if self.layer is None or self.edited:
            deque(self._add(result), 0)
            return
        self._ours = True
        try:
            update_labels(self.layer, result.instances, result.table, result.record, result.labels)
        finally:
            self._ours = False
        self._outline(self.layer, result)

    def measured(self, result: Segmentation) -> None:
        """Take over the measurements of the particles that are shown."""
        if self.layer is not None and result.table is not None:
            add_table(self.layer, result.instances, result.table)

    def _add(self, result: Segmentation) -> Iterator[None]:
        assert self._of is not None
        made = labels_layer(
            result.instances,
            self._place,
            f"{self._of.name}: particles",
            table=result.table,
            record=result.record,
            painted=result.labels,
            role="prediction",
        )
        layer = Layer.create(*made)
        assert isinstance(layer, Labels)
        yield
        self._viewer.add_layer(layer)
        self.layer, self._edited = layer, False
        yield
        draw_outlined(layer)
        self._edits.replace((layer.events.paint, self._edit), (layer.events.data, self._edit))
        yield
        self._outline(layer, result)

    def _outline(self, layer: Labels, result: Segmentation) -> None:
        assert self._of is not None
        self._overlaps.show(layer, result.outlines, f"{self._of.name}: overlaps")

    def _edit(self, _: Event) -> None:
        self._edited = self._edited or not self._ours

    def _removed(self, event: Event) -> None:
        if event.value is self.layer:
            self.layer = None
            self._edits.replace()
            self.gone.emit()
