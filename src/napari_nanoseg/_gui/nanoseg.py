"""The dock with all steps of the loop, one at a time."""

from __future__ import annotations

from napari.components import ViewerModel
from qtpy.QtWidgets import QButtonGroup, QGridLayout, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from napari_nanoseg._gui.annotate import Annotate
from napari_nanoseg._gui.compare import Compare
from napari_nanoseg._gui.generate import Generate
from napari_nanoseg._gui.measure import Measure
from napari_nanoseg._gui.segment import Segment
from napari_nanoseg._gui.session import session_of
from napari_nanoseg._gui.step import MARGIN, Step
from napari_nanoseg._gui.train import Train

STEPS: tuple[type[Step], ...] = (Annotate, Generate, Train, Segment, Measure, Compare)
PER_ROW = 3
"""Six names in one row would not fit into a dock of 300 px."""
DONE = "✓"


class NanoSeg(QWidget):
    """Annotate, Generate, Train, Segment, Measure and Compare as pages of one dock.

    Parameters
    ----------
    napari_viewer : ViewerModel
        The viewer (napari hands in its proxy).
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = session_of(napari_viewer).viewer
        self._pages: dict[str, Step] = {}
        self._stack = QStackedWidget()
        self._buttons: dict[str, QPushButton] = {}
        group, grid = QButtonGroup(self), QGridLayout()
        grid.setContentsMargins(MARGIN, MARGIN, MARGIN, 0)
        grid.setSpacing(2)
        for index, kind in enumerate(STEPS):
            button = QPushButton(f"{index + 1} {kind.title}")
            button.setCheckable(True)
            button.clicked.connect(lambda _=False, title=kind.title: self.show_step(title))
            group.addButton(button)
            grid.addWidget(button, index // PER_ROW, index % PER_ROW)
            self._buttons[kind.title] = button
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        layout.addWidget(self._stack, 1)
        self.show_step(STEPS[0].title)

    def show_step(self, title: str) -> None:
        """Open the page of a step; it is made when it is opened for the first time."""
        if title not in self._pages:
            kind = next(kind for kind in STEPS if kind.title == title)
            page = kind(self._viewer)
            page.go_to.connect(self.show_step)
            page.succeeded.connect(lambda title=title: self._tick(title))
            self._pages[title] = page
            self._stack.addWidget(page)
        self._stack.setCurrentWidget(self._pages[title])
        self._buttons[title].setChecked(True)

    def step(self, title: str) -> Step:
        """The page of a step, made if need be."""
        self.show_step(title)
        return self._pages[title]

    def _tick(self, title: str) -> None:
        number = list(self._buttons).index(title) + 1
        self._buttons[title].setText(f"{number} {title} {DONE}")
