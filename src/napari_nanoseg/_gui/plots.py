"""Curves of a training in a dock."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_nanoseg._gui.ticks import linear_ticks, log_ticks
from napari_nanoseg.events import Epoch

if TYPE_CHECKING:
    pass

ON_DARK = (QColor("#56B4E9"), QColor("#E69F00"))
ON_LIGHT = (QColor("#0072B2"), QColor("#B34700"))
"""Training and validation, in colours of Okabe and Ito that stand out from the background (the last one darkened)."""
NAMES = ("training", "validation")
LOG_FROM = 20.0
"""Ratio of the largest and the smallest loss from which the scale is logarithmic."""
GAP = 4


class LossPlot(QWidget):
    """Loss of training and validation over the epochs, drawn within milliseconds as they come.

    Parameters
    ----------
    parent : QWidget, optional
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._epochs: list[Epoch] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("loss of training and validation")
        self._describe()

    def clear(self) -> None:
        """Forget all epochs."""
        self._epochs = []
        self._describe()

    def add(self, epoch: Epoch) -> None:
        """Add an epoch; one that was there already, and all after it, are replaced (a resumed training)."""
        self._epochs = [one for one in self._epochs if one.epoch < epoch.epoch] + [epoch]
        self._describe()

    @property
    def logarithmic(self) -> bool:
        """Whether the losses are shown on a logarithmic scale."""
        values = [value for _, curve in self.curves() for _, value in curve]
        return bool(values) and min(values) > 0 and max(values) / min(values) >= LOG_FROM

    def curves(self) -> list[tuple[str, list[tuple[int, float]]]]:
        """Names and (epoch, loss) of the curves that have points; losses that are not finite are left out."""
        found = []
        for name, values in zip(NAMES, ("losses", "validation"), strict=True):
            points = [(one.epoch, getattr(one, values).get("loss", math.nan)) for one in self._epochs]
            curve = [point for point in points if math.isfinite(point[1])]
            if curve:
                found.append((name, curve))
        return found

    def sizeHint(self) -> QSize:  # noqa: N802
        """Low enough to leave room for the form; Qt's."""
        return QSize(280, 11 * self.fontMetrics().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Still readable; Qt's."""
        return QSize(180, 8 * self.fontMetrics().height())

    def _describe(self) -> None:
        curves = self.curves()
        said = [f"{name} {curve[-1][1]:.4g} (epoch {curve[-1][0]})" for name, curve in curves]
        best = [f"lowest {name} {min(value for _, value in curve):.4g}" for name, curve in curves if name == NAMES[1]]
        text = f"Loss: {', '.join(said + best)}" if curves else "The loss of every epoch appears here."
        self.setToolTip(text)
        self.setAccessibleDescription(text)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw; Qt's."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        curves = self.curves()
        painter.setPen(text)
        if not curves:
            painter.drawText(
                self.rect().adjusted(GAP, GAP, -GAP, -GAP),
                int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap),
                "The loss of every epoch appears here.",
            )
            return
        scale = _Scale(self, curves, max(one.epochs for one in self._epochs), self.logarithmic)
        faint = QColor(text)
        faint.setAlphaF(0.25)
        _draw_axes(painter, scale, text, faint)
        colours = ON_DARK if text.lightnessF() > 0.5 else ON_LIGHT
        left = scale.area.left()
        for name, curve in curves:
            colour = colours[NAMES.index(name)]
            painter.setPen(QPen(colour, 2))
            points = [scale.at(*point) for point in curve]
            painter.drawPolyline(QPolygonF(points))
            painter.setBrush(colour)
            for point in points if len(points) <= scale.area.width() / 12 else points[-1:]:
                painter.drawEllipse(point, 2, 2)
            left = _draw_key(painter, left, scale.line, name, colour, text)


class _Scale:
    """Where values lie in the plot: the axes and their ticks."""

    def __init__(
        self, widget: QWidget, curves: list[tuple[str, list[tuple[int, float]]]], epochs: int, log: bool
    ) -> None:
        metrics = widget.fontMetrics()
        self.log, self.line = log, metrics.height()
        values = [value for _, curve in curves for _, value in curve]
        low, high = min(values), max(values)
        margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
        self.low, self.high = (low / 1.15, high * 1.15) if log else (low - margin, high + margin)
        if not log and low >= 0:
            self.low = max(self.low, 0.0)
        self.first = min(epoch for _, curve in curves for epoch, _ in curve)
        self.last = max(epochs, self.first + 1, *(epoch for _, curve in curves for epoch, _ in curve))
        height = widget.height() - 3.5 * self.line - 2 * GAP
        rows = max(2, int(height / (1.6 * self.line)))
        self.ups = log_ticks(self.low, self.high, rows) if log else linear_ticks(self.low, self.high, rows)
        self.texts = [f"{value:.4g}" for value in self.ups]
        beside = max((metrics.horizontalAdvance(text) for text in self.texts), default=0) + 2 * GAP
        right = metrics.horizontalAdvance(str(self.last)) / 2 + GAP
        self.area = QRectF(beside, 1.5 * self.line + GAP, widget.width() - beside - right, max(height, 1.0))
        across = max(2, int(self.area.width() / (2.2 * metrics.horizontalAdvance(f"{self.last}0"))))
        self.acrosses = [int(value) for value in linear_ticks(self.first, self.last, across, whole=True)]

    def at(self, epoch: float, value: float) -> QPointF:
        share = (epoch - self.first) / (self.last - self.first)
        if self.log:
            up = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            up = (value - self.low) / (self.high - self.low)
        return QPointF(self.area.left() + share * self.area.width(), self.area.bottom() - up * self.area.height())


def _draw_axes(painter: QPainter, scale: _Scale, text: QColor, faint: QColor) -> None:
    area, line = scale.area, scale.line
    for value, label in zip(scale.ups, scale.texts, strict=True):
        y = scale.at(scale.first, value).y()
        painter.setPen(QPen(faint, 1))
        painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        painter.setPen(text)
        beside = QRectF(0, y - line / 2, area.left() - GAP, line)
        painter.drawText(beside, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), label)
    painter.setPen(QPen(text, 1))
    painter.drawLine(area.bottomLeft(), area.bottomRight())
    for epoch in scale.acrosses:
        x = scale.at(epoch, scale.high).x()
        painter.drawLine(QPointF(x, area.bottom()), QPointF(x, area.bottom() + GAP / 2))
        below = QRectF(x - 50, area.bottom() + GAP / 2, 100, line)
        painter.drawText(below, int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop), str(epoch))
    title = QRectF(0, area.bottom() + GAP / 2 + line, area.right(), line)
    kind = "loss by epoch, logarithmic" if scale.log else "loss by epoch"
    painter.drawText(title, int(Qt.AlignmentFlag.AlignCenter), kind)


def _draw_key(painter: QPainter, left: float, line: int, name: str, colour: QColor, text: QColor) -> float:
    """One entry of the legend; returns where the next one begins."""
    painter.setPen(QPen(colour, 3))
    painter.drawLine(QPointF(left, line / 2), QPointF(left + line, line / 2))
    painter.setPen(text)
    width = painter.fontMetrics().horizontalAdvance(name)
    painter.drawText(QRectF(left + line + GAP, 0, width + GAP, line), int(Qt.AlignmentFlag.AlignVCenter), name)
    return left + line + width + 4 * GAP
