"""Findings about an annotation as lines to click on."""

from __future__ import annotations

from collections.abc import Sequence

from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPixmap, QPolygonF
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_nanoseg._gui.messages import readable
from napari_nanoseg.measurement.annotation import Finding, Severity

ICON = 14
_COLOURS: dict[Severity, str] = {"problem": "error", "warning": "warning", "information": "current"}
_MEANINGS: dict[Severity, str] = {"problem": "Problem", "warning": "Warning", "information": "Information"}


class Findings(QWidget):
    """Findings, one below the other, each with an icon.

    Parameters
    ----------
    viewer : ViewerModel
        For its theme.
    """

    chosen = Signal(object)
    """The finding that was clicked."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer, self._theme = viewer, viewer.theme
        self._shown: list[Finding] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """Show these in place of those before; nothing changes while they are the same."""
        if list(findings) != self._shown:
            self._shown = list(findings)
            self._draw()

    def rows(self) -> list[Row]:
        """The lines that are shown."""
        items = [self._layout.itemAt(index) for index in range(self._layout.count())]
        return [row for item in items if item is not None and isinstance(row := item.widget(), Row)]

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Follow napari's theme, which comes as another style sheet."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange and self._viewer.theme != self._theme:
            self._theme = self._viewer.theme
            self._draw()

    def _draw(self) -> None:
        for row in self.rows():
            self._layout.removeWidget(row)
            row.hide()
            row.deleteLater()
        for finding in self._shown:
            row = Row(finding, readable(_COLOURS[finding.severity], self._theme))
            row.clicked.connect(self.chosen)
            self._layout.addWidget(row)


class Row(QFrame):
    """One finding; a click or the Enter key chooses it when it has a place."""

    clicked = Signal(object)

    def __init__(self, finding: Finding, colour: str) -> None:
        super().__init__()
        self.finding = finding
        icon, text = QLabel(), QLabel(finding.sentence)
        icon.setPixmap(_icon(finding.severity, colour, self.devicePixelRatioF()))
        icon.setToolTip(_MEANINGS[finding.severity])
        text.setWordWrap(True)
        text.setMinimumWidth(1)
        text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(2, 1, 2, 1)
        layout.addWidget(icon, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(text, 1)
        self.setAccessibleName(f"{_MEANINGS[finding.severity]}: {finding.sentence}")
        if finding.position is not None:
            self.setCursor(Qt.CursorShape.PointingHandCursor)
            self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            self.setToolTip("Click to go there")

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Choose it."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._choose()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Choose it."""
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self._choose()
        else:
            super().keyPressEvent(event)

    def _choose(self) -> None:
        if self.finding.position is not None:
            self.clicked.emit(self.finding)


def _icon(severity: Severity, colour: str, ratio: float) -> QPixmap:
    """A square, a triangle or a disc: told apart by their shapes, too."""
    picture = QPixmap(QSize(round(ICON * ratio), round(ICON * ratio)))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    if severity == "problem":
        painter.drawRect(QRectF(1, 1, ICON - 2, ICON - 2))
    elif severity == "warning":
        painter.drawPolygon(QPolygonF([QPointF(ICON / 2, 0), QPointF(ICON, ICON - 1), QPointF(0, ICON - 1)]))
    else:
        painter.drawEllipse(QRectF(2, 2, ICON - 4, ICON - 4))
    painter.end()
    return picture
