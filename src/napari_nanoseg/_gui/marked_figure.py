"""A figure with a line that moves over it, as fast as a slider does."""

from __future__ import annotations

from qtpy.QtCore import QLineF
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen

from napari_nanoseg._gui.figure_view import FigureView

LINE = QColor("#CC79A7")
"""Okabe and Ito's purple, which no curve has."""


class MarkedFigure(FigureView):
    """Shows a figure, and a vertical line at a value of its horizontal axes, moved without drawing anew."""

    def __init__(self) -> None:
        super().__init__()
        self._place: float | None = None

    @property
    def place(self) -> float | None:
        """Where the line is."""
        return self._place

    def mark(self, place: float | None) -> None:
        """Move the line to a value of the horizontal axes; None: there is no line."""
        self._place = place
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw the line over the picture; Qt's."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setPen(QPen(LINE, 1.5))
        for line in self.lines():
            painter.drawLine(line)

    def lines(self) -> list[QLineF]:
        """The line in each of the axes, in pixels of the widget."""
        figure, place = self.figure, self._place
        if figure is None or place is None:
            return []
        size, found = self.shown_size(), []
        left = (self.width() - size.width()) / 2
        for axes in figure.axes:
            low, high = axes.get_xlim()
            box = axes.get_position()
            if low <= place <= high:
                x = left + size.width() * (box.x0 + box.width * (place - low) / (high - low))
                found.append(QLineF(x, size.height() * (1 - box.y1), x, size.height() * (1 - box.y0)))
        return found
