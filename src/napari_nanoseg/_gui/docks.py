"""Each step as a dock of its own; the button that offers the next step opens the next dock.

Classes, since napari gives the viewer to a contributed class, but not to a function that makes a widget.
"""

from __future__ import annotations

from napari.components import ViewerModel

from napari_nanoseg._gui.annotate import Annotate
from napari_nanoseg._gui.compare import Compare
from napari_nanoseg._gui.cracks import Cracks
from napari_nanoseg._gui.generate import Generate
from napari_nanoseg._gui.measure import Measure
from napari_nanoseg._gui.optical_density import Density
from napari_nanoseg._gui.segment import Segment
from napari_nanoseg._gui.step import Step
from napari_nanoseg._gui.train import Train


class _Alone(Step):
    """A step that opens the next one as a dock beside it."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.go_to.connect(self._open)

    def _open(self, title: str) -> None:
        dock, _ = self.viewer.window.add_plugin_dock_widget("napari-nanoseg", title, tabify=True)
        dock.show()
        dock.raise_()


class AnnotateDock(_Alone, Annotate):
    """The Annotate dock."""


class GenerateDock(_Alone, Generate):
    """The Generate dock."""


class TrainDock(_Alone, Train):
    """The Train dock."""


class SegmentDock(_Alone, Segment):
    """The Segment dock."""


class MeasureDock(_Alone, Measure):
    """The Measure dock."""


class CompareDock(_Alone, Compare):
    """The Compare dock."""


class DensityDock(_Alone, Density):
    """The Optical density dock."""


class CracksDock(_Alone, Cracks):
    """The Cracks dock."""
