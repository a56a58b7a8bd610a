"""Pictures of the damage of a volume that follow the slider."""

from __future__ import annotations

from functools import partial

from matplotlib.figure import Figure
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_nanoseg._gui.cracking import (
    CORRELATION,
    CRACKS,
    DISTRIBUTION,
    PROFILE,
    SLOPE,
    Results,
    picture_of_slice,
)
from napari_nanoseg._gui.latest import Latest
from napari_nanoseg._gui.marked_figure import MarkedFigure
from napari_nanoseg._gui.pickers import narrow
from napari_nanoseg._gui.words import WordLabel

SETTLED_MS = 120
"""The picture of a slice is drawn when the slider has rested for so long."""
SLICE = "correlation of the slice"
TITLES = {
    PROFILE: "Damage and packing over depth",
    DISTRIBUTION: "Damage in this slice",
    SLICE: "Damage against packing, this slice",
    CORRELATION: "Damage against packing, volume",
    SLOPE: "Slope against depth",
    CRACKS: "Widths and directions of cracks",
}
OVER_DEPTH = (PROFILE, SLOPE)
"""They have a line at the slice that is seen."""
OF_SLICE = {DISTRIBUTION: DISTRIBUTION, SLICE: CORRELATION}
"""They are drawn anew for every slice; the picture of the whole volume that they are like."""


class CrackPlots(QWidget):
    """One picture at a time, of the volume or of the slice that is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.choice, self.view, self.problem = QComboBox(), MarkedFigure(), WordLabel()
        narrow(self.choice)
        self.choice.setToolTip("Which picture is shown; a right click on it saves it")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.choice, self.problem, self.view):
            column.addWidget(widget)
        self._results: Results | None = None
        self._number = 0
        self._latest = Latest("Picture of a slice", self)
        self._latest.done.connect(self._drawn)
        self._latest.failed.connect(self._refused)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._settled.timeout.connect(self._draw_slice)
        self.choice.activated.connect(lambda _: self._show())
        self.show_results(None)

    @property
    def busy(self) -> bool:
        """Whether a picture is on its way."""
        return self._settled.isActive() or self._latest.busy

    @property
    def name(self) -> str | None:
        """Name of the picture that is chosen."""
        chosen: str | None = self.choice.currentData()
        return chosen

    def show_results(self, results: Results | None) -> None:
        """Show the pictures of other results; None, or results without pictures: nothing."""
        self._results, before = results, self.name
        names: list[str] = []
        if results is not None and results.main.damage is not None:
            packed = "packing" in results.main.maps and CORRELATION in results.pictures
            there = {*results.pictures, DISTRIBUTION, *((SLICE,) if packed else ())}
            names = [name for name in TITLES if name in there]
        self.choice.clear()
        for name in names:
            self.choice.addItem(TITLES[name], name)
        self.choice.setCurrentIndex(max(self.choice.findData(before), 0) if names else -1)
        self.setVisible(bool(names))
        self._show()

    def choose(self, name: str) -> None:
        """Show another picture."""
        self.choice.setCurrentIndex(self.choice.findData(name))
        self._show()

    def follow(self, number: int) -> None:
        """Another slice is seen now."""
        if number != self._number:
            self._number = number
            self._mark()
            if self.name in OF_SLICE:
                self._settled.start()

    def _show(self) -> None:
        self._settled.stop()
        self._latest.stop()
        self.problem.hide()
        if self._results is None or self.name is None:
            self.view.show_figure(None)
        elif self.name in OF_SLICE:
            self._draw_slice()
        else:
            self.view.show_figure(self._results.pictures[self.name])
        self._mark()

    def _mark(self) -> None:
        """Move the line at once."""
        damage = None if self._results is None else self._results.main.damage
        over = damage is not None and self.name in OVER_DEPTH
        self.view.mark(self._number * damage.lengths.voxel[0] if over and damage is not None else None)

    def _draw_slice(self) -> None:
        if self._results is not None and self.name in OF_SLICE:
            number = min(self._number, self._results.shape[0] - 1)
            self._latest.ask(partial(picture_of_slice, self._results, OF_SLICE[self.name], number))

    def _drawn(self, picture: Figure) -> None:
        self.problem.hide()
        self.view.show_figure(picture)

    def _refused(self, sentence: str) -> None:
        self.problem.setText(sentence)
        self.problem.show()
        self.view.show_figure(None)
