"""The layer in which a dock outlines those of its particles that overlap: a labels layer shows only the upper ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Labels, Layer, Shapes
from napari.utils.events import Event
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer

from napari_nanoseg._gui.follow import Following, follow
from napari_nanoseg._gui.layers import Outline, outline_colours, outline_vertices, outlines_layer
from napari_nanoseg._gui.step import Step


class OverlapLayer(QObject):
    """A shapes layer above a labels layer, as long as particles overlap.

    It goes with its labels layer, unless somebody changed the shapes: then they are that person's work.

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
        self._drawn: dict[Labels, tuple[Shapes, list[NDArray[Any]]]] = {}
        self._left: list[Shapes] = []
        self._leaving = QTimer(self)
        self._leaving.setSingleShot(True)
        self._leaving.setInterval(0)  # not within the removal: more layers may be about to go, by their place in a list
        self._leaving.timeout.connect(self._leave)
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
            self._drawn[labels] = self.layer, list(self.layer.data)
            self._recolour()
        elif outlines and not self._unwanted:
            active = self._viewer.layers.selection.active
            layer = Layer.create(*outlines_layer(outlines, labels, name))
            assert isinstance(layer, Shapes)
            self.layer = layer
            self._drawn[labels] = layer, list(layer.data)
            self._viewer.add_layer(layer)
            self._viewer.layers.selection.active = active  # the user works on the labels

    def _recolour(self, _: Event | None = None) -> None:
        if self.layer is not None and self._labels is not None and self._outlines:
            self.layer.edge_color = outline_colours(self._outlines, self._labels)

    def _removed(self, event: Event) -> None:
        if event.value is self.layer:
            self.layer, self._unwanted = None, True
        drawn = self._drawn.pop(event.value, None) if isinstance(event.value, Labels) else None
        if drawn is not None and _same(list(drawn[0].data), drawn[1]):
            self._left.append(drawn[0])
            self._leaving.start()

    def _leave(self) -> None:
        """Remove the outlines whose labels are gone."""
        while self._left:
            layer = self._left.pop()
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)


def _same(some: list[NDArray[Any]], others: list[NDArray[Any]]) -> bool:
    return len(some) == len(others) and all(map(np.array_equal, some, others))
