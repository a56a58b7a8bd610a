"""What all docks are: one step of the loop, from an annotation to a comparison."""

from __future__ import annotations

from typing import ClassVar

from napari.components import ViewerModel
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_nanoseg._gui.jobs import JobPanel
from napari_nanoseg._gui.mesa import keep_programs
from napari_nanoseg._gui.pauses import shorten_pauses
from napari_nanoseg._gui.scripting import Scripted
from napari_nanoseg._gui.session import session_of

MARGIN = 6
NARROWEST = 290
"""Width, px, down to which no dock may be made: that of the longest label beside its editor and a scroll bar."""


class Step(Scripted, QWidget):
    """One step: what it needs above, in a scroll area; its job and what comes next below, always in sight.

    Parameters
    ----------
    napari_viewer : ViewerModel
        The viewer (napari hands in its proxy).

    Attributes
    ----------
    session : Session
    viewer : ViewerModel
        The viewer itself.
    body : QVBoxLayout
        Where the step puts its widgets.
    panel : JobPanel
        Runs its job.
    """

    title: ClassVar[str]
    """Name of the step, as in the menus."""
    start_text: ClassVar[str]
    """Text of the button that starts its job."""
    roles: ClassVar[tuple[str, ...]] = ()
    """Choices of the session that its messages are about: they leave when another one is made."""

    go_to = Signal(str)
    """Title of the step that the user wants to go on to; whoever holds the step opens it."""

    succeeded = Signal()
    """The step has done what it is for: a dataset, a model, particles, a table, a comparison."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        shorten_pauses()
        keep_programs()
        self.session = session_of(napari_viewer)
        self.viewer = self.session.viewer
        self.setObjectName(f"nanoseg_{self.title.lower()}")
        self.setMinimumWidth(NARROWEST)
        self._hint = QLabel()
        self._hint.setWordWrap(True)
        self._hint.setVisible(False)
        self.panel = JobPanel(self.session, self.title, self.start_text)
        self.session.changed.connect(self._leave_messages)
        self._next = QHBoxLayout()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        self.body = _scrolled(outer)
        self.body.addWidget(self._hint)
        below = QVBoxLayout()
        below.setContentsMargins(MARGIN, 0, MARGIN, MARGIN)
        below.addWidget(self.panel)
        below.addLayout(self._next)
        outer.addLayout(below)

    @property
    def running(self) -> bool:
        """Whether its job runs."""
        return self.panel.running

    def _leave_messages(self, name: str) -> None:
        if name in self.roles and not self.running:
            self.panel.messages.clear()

    def hint(self, text: str | None) -> None:
        """Say at the top, in one sentence, what to do before this step can be used; None: nothing is missing."""
        self._hint.setText(text or "")
        self._hint.setVisible(text is not None)

    def offer(self, *titles: str) -> None:
        """Offer these steps as the next ones, in place of those offered before."""
        while (item := self._next.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()  # deleted only later: until then it would lie over the new ones and take clicks
                widget.deleteLater()
        for title in titles:
            button = QPushButton(f"Next: {title}")
            button.clicked.connect(lambda _=False, title=title: self.go_to.emit(title))
            self._next.addWidget(button)

    def succeed(self, *titles: str) -> None:
        """Say that the step is done, and offer these as the next ones."""
        self.offer(*titles)
        self.succeeded.emit()


def _scrolled(outer: QVBoxLayout) -> QVBoxLayout:
    """A layout inside a scroll area that scrolls up and down only."""
    area, inside = QScrollArea(), QWidget()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(inside)
    outer.addWidget(area, 1)
    layout = QVBoxLayout(inside)
    layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
    layout.setAlignment(Qt.AlignmentFlag.AlignTop)
    return layout
