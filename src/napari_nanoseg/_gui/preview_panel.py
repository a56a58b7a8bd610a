"""A live picture of what a form would generate, with its controls."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from napari_nanoseg._gui.preview_making import Preview, Question
from napari_nanoseg._gui.preview_picture import PreviewPicture
from napari_nanoseg._gui.previews import Previews
from napari_nanoseg._gui.words import WordLabel


class PreviewPanel(QWidget):
    """Shows image 0, 1, 2, ... that a generator makes: exactly those that would be written."""

    wanted = Signal(object)
    """The :class:`Preview` that the user wants to have as layers."""
    changed = Signal()
    """Another picture or sentence is shown."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: Question | None = None
        self.index = 0
        """Number of the image."""
        self.picture = PreviewPicture()
        self.caption = WordLabel()
        self.caption.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.notices = WordLabel()
        self.notices.hide()
        self.back, self.forth = _arrow(Qt.ArrowType.LeftArrow), _arrow(Qt.ArrowType.RightArrow)
        self.back.setToolTip("The image before")
        self.forth.setToolTip("The next image")
        self.back.clicked.connect(lambda: self._turn(-1))
        self.forth.clicked.connect(lambda: self._turn(1))
        self.outlines = QCheckBox("Outlines")
        self.outlines.setChecked(True)
        self.outlines.toggled.connect(self.picture.set_outlined)
        self.layers = QPushButton("Show as layers")
        self.layers.setToolTip("Add this image and its masks to the viewer")
        self.layers.clicked.connect(lambda: self.wanted.emit(self.picture.preview))
        above, below = QHBoxLayout(), QHBoxLayout()
        above.addWidget(self.back)
        above.addWidget(self.caption, 1)
        above.addWidget(self.forth)
        below.addWidget(self.outlines)
        below.addStretch(1)
        below.addWidget(self.layers)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 0)
        column.setSpacing(3)
        column.addWidget(self.picture)
        column.addLayout(above)
        column.addLayout(below)
        column.addWidget(self.notices)
        self._previews = Previews(self)
        self._previews.ready.connect(self._show)
        self._previews.failed.connect(self._say)
        self._refresh()

    @property
    def busy(self) -> bool:
        """Whether another picture is on its way."""
        return self._previews.busy

    def follow(self, question: Question) -> None:
        """Make a picture, soon; of the image whose number is shown."""
        self._ask(replace(question, index=self.index))

    def refuse(self, text: str) -> None:
        """Show a sentence: there is nothing to make a picture of."""
        self._asked = None
        self._previews.drop()
        self._say(text)

    def _turn(self, by: int) -> None:
        self.index = max(0, self.index + by)
        if self._asked is not None:
            self._ask(replace(self._asked, index=self.index))
        self._refresh()

    def _ask(self, question: Question) -> None:
        self._asked = question
        if self.picture.preview is None:
            self.picture.show_text("Making the preview…")
        self.picture.wait()
        self._previews.ask(question)
        self._refresh()

    def _show(self, preview: Preview) -> None:
        self.picture.show_preview(preview)
        self.notices.setText(" ".join(preview.notices))
        self.notices.setVisible(bool(preview.notices))
        self._refresh()
        self.changed.emit()

    def _say(self, text: str) -> None:
        self.picture.show_text(text)
        self.notices.hide()
        self._refresh()
        self.changed.emit()

    def _refresh(self) -> None:
        preview = self.picture.preview
        text = f"Image {self.index}"
        if preview is not None and not self.busy:
            text += f": {len(preview.sample.instances)} particles"
        self.caption.setText(text)
        self.layers.setEnabled(preview is not None and not self.busy)
        self.back.setEnabled(self.index > 0)


def _arrow(direction: Qt.ArrowType) -> QToolButton:
    button = QToolButton()
    button.setArrowType(direction)
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    button.setAutoRepeat(True)
    return button
