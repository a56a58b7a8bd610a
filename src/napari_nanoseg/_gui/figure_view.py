"""Figures of matplotlib in a dock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QRectF, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QImage, QPainter, QPaintEvent, QPixmap, QResizeEvent
from qtpy.QtWidgets import QAction, QFileDialog, QSizePolicy, QWidget

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETTLED_MS = 150
WIDEST = 520
"""Width in which a figure of one journal column is drawn at most; larger, its text would look out of place."""


class FigureView(QWidget):
    """One figure of ours on white paper, as it will be saved, drawn anew for the width it has.

    Drawing takes about a tenth of a second, so it happens once the size has settled; until then the last picture is
    stretched. A context menu offers to save the figure.

    Parameters
    ----------
    parent : QWidget, optional
    """

    save_asked = Signal(object)
    """The path that the user chose for the figure: a .png, .svg or .pdf file. The host writes it, in its worker."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.file_stem = ""
        """Of the file that is offered for the figure."""
        self._figure: Figure | None = None
        self._picture = QPixmap()
        self._drawn_width = 0
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._settled.timeout.connect(self._render)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self._save = QAction("Save figure…", self)
        self._save.triggered.connect(lambda: self.ask())
        self.addAction(self._save)
        self.setVisible(False)

    @property
    def figure(self) -> Figure | None:
        """What is shown."""
        return self._figure

    def show_figure(self, figure: Figure | None) -> None:
        """Show a figure; None hides the view.

        Parameters
        ----------
        figure : matplotlib.figure.Figure or None
            Best drawn once before, in a worker, by :func:`prepare`.
        """
        self._figure = figure
        self._picture, self._drawn_width = QPixmap(), 0
        has_one = figure is not None
        self.setContextMenuPolicy(
            Qt.ContextMenuPolicy.ActionsContextMenu if has_one else Qt.ContextMenuPolicy.NoContextMenu
        )
        self.setVisible(has_one)
        self.updateGeometry()
        self._render()

    def allow_saving(self, allowed: bool) -> None:
        """Enable or disable the context menu's entry, such as while the figure is outdated."""
        self._save.setEnabled(allowed)

    def ask(self) -> None:
        """Ask where to save the figure."""
        offered = f"{self.file_stem}.png" if self.file_stem else ""
        name, _ = QFileDialog.getSaveFileName(self, "Save the figure", offered, "Figures (*.png *.svg *.pdf)")
        if name:
            path = Path(name)
            self.save_asked.emit(path if path.suffix.lower() in (".png", ".svg", ".pdf") else Path(f"{name}.png"))

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        """Height that keeps the figure's shape; Qt's."""
        return round(min(width, WIDEST) * self._ratio())

    def sizeHint(self) -> QSize:  # noqa: N802
        """As wide as a dock usually is; Qt's."""
        return QSize(280, self.heightForWidth(280))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Still readable; Qt's."""
        return QSize(180, self.heightForWidth(180))

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Draw anew when the size has settled; Qt's."""
        super().resizeEvent(event)
        if self._figure is not None:
            self._settled.start()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Show the picture; Qt's."""
        if self._picture.isNull():
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        size, own = self.shown_size(), self._picture.deviceIndependentSize()
        left = (self.width() - size.width()) // 2
        if abs(own.width() - size.width()) <= 1:  # stretched by less than a pixel, text would be blurred
            painter.drawPixmap(left, 0, self._picture)
        else:
            place = QRectF(left, 0, size.width(), size.height())
            painter.drawPixmap(place, self._picture, QRectF(self._picture.rect()))

    def _ratio(self) -> float:
        if self._figure is None:
            return 0.0
        width, height = self._figure.get_size_inches()
        return float(height / width)

    def shown_size(self) -> QSize:
        """How large the picture is in the widget."""
        width = min(self.width(), WIDEST)
        if self._ratio() * width > self.height():
            width = int(self.height() / self._ratio())
        return QSize(width, round(width * self._ratio()))

    def _render(self) -> None:
        """Draw the figure with as many pixels as the screen has there."""
        size = self.shown_size() if self._figure is not None else QSize()
        if self._figure is None or size.width() < 20 or size.height() < 20:
            return
        width = round(size.width() * self.devicePixelRatioF())
        if self._drawn_width == width:
            return
        self._drawn_width = width
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        dpi = self._figure.dpi
        try:
            self._figure.set_dpi(width / self._figure.get_figwidth())
            canvas: Any = FigureCanvasAgg(self._figure)
            canvas.draw()
            columns, rows = canvas.get_width_height()
            pixels = bytes(canvas.buffer_rgba())
        finally:
            self._figure.set_dpi(dpi)
        image = QImage(pixels, columns, rows, 4 * columns, QImage.Format.Format_RGBA8888)
        image.setDevicePixelRatio(self.devicePixelRatioF())
        self._picture = QPixmap.fromImage(image)
        self.update()


def prepare(figure: Figure) -> Figure:
    """Draw a figure once, in a worker: then showing it takes a tenth of a second, the first drawing takes one more.

    Its layout is settled here and kept.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")
    return figure
