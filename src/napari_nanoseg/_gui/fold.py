"""A section of a form that opens and closes."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QToolButton, QVBoxLayout, QWidget


class Fold(QWidget):
    """A section that opens and closes; what is inside is made when it is opened first.

    Not superqt's QCollapsible: that one fixes the height of its content from a size hint which knows nothing of wrapped
    labels, so that the last rows of a narrow dock are cut off.
    """

    def __init__(self, title: str, fill: Callable[[QVBoxLayout], None]) -> None:
        super().__init__()
        self._title, self._fill = title, fill
        self._button = QToolButton()
        self._button.setCheckable(True)
        self._button.setAutoRaise(True)
        self._button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._button.toggled.connect(self._show)
        self._inside = QWidget()
        self._layout = QVBoxLayout(self._inside)
        self._layout.setContentsMargins(10, 0, 0, 4)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._button)
        column.addWidget(self._inside)
        self._full = False
        self.mark(False)
        self._show(False)

    def open(self) -> None:
        """Show what is inside."""
        self._button.setChecked(True)

    def mark(self, wrong: bool) -> None:
        """Say in the title whether something inside is refused."""
        self._button.setText(f"{self._title} ⚠" if wrong else self._title)

    def _show(self, on: bool) -> None:
        if on and not self._full:
            self._full = True
            self._fill(self._layout)
        self._button.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)
        self._inside.setVisible(on)
