"""Labels that wrap between words and never inside or beyond one."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QLabel, QWidget


class WordLabel(QLabel):
    """Plain text, wrapped; at least as wide as its longest word, which Qt would cut off."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Room for the longest word."""
        words = self.text().split() or [""]
        width = max(self.fontMetrics().horizontalAdvance(word) for word in words)
        return QSize(width + 2, super().minimumSizeHint().height())
