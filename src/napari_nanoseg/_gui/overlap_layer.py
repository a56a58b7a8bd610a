"""The layer in which a dock outlines those of its particles that overlap: a labels layer shows only the upper ones."""

from __future__ import annotations

from collections.abc import Sequence

from napari.layers import Labels, Layer, Shapes
from napari.utils.events import Event
from qtpy.QtCore import QObject

from napari_nanoseg._gui.follow import Following, follow
from napari_nanoseg._gui.layers import Outline, outline_colours, outline_vertices, outlines_layer
from napari_nanoseg._gui.step import Step


class OverlapLayer(QObject):
    """A shapes layer above a labels layer, as long as particles overlap.

    Parameters
    ----------
    step : Step
        Whose viewer it is in.
    """

    def __init__(self, step: Step) -> None:
        super().__init__(step)
        self._viewer = step.viewer
        self._labels: Labels | None = None
        self._outlines: Sequence[Outline] = ()
        self.layer: Shapes | None = None
        self._unwanted = False
        self._colours = Following(self)
        follow(self, self._viewer.layers.events.removed, self._removed)

    def show(self, labels: Labels, outlines: Sequence[Outline], name: str) -> None:
        """Outline particles of a labels layer, in place of those of this layer that were outlined before.

        A layer for another labels layer stays as it is; one that the user removed does not come back.
        """
        if labels is not self._labels:
            self._labels, self.layer, self._unwanted = labels, None, False
            self._colours.replace((labels.events.colormap, self._recolour))
        self._outlines = outlines
        if self.layer is not None:
            self.layer.data = outline_vertices(outlines, labels)
            self._recolour()
        elif outlines and not self._unwanted:
            active = self._viewer.layers.selection.active
            layer = Layer.create(*outlines_layer(outlines, labels, name))
            assert isinstance(layer, Shapes)
            self.layer = layer
            self._viewer.add_layer(layer)
            self._viewer.layers.selection.active = active  # the user works on the labels

    def _recolour(self, _: Event | None = None) -> None:
        if self.layer is not None and self._labels is not None and self._outlines:
            self.layer.edge_color = outline_colours(self._outlines, self._labels)

    def _removed(self, event: Event) -> None:
        if event.value is self.layer:
            self.layer, self._unwanted = None, True
