"""A training as it goes: device, curves, the latest picture of what the network finds."""

from __future__ import annotations

import math
from pathlib import Path

from qtpy.QtCore import QRectF, QSize
from qtpy.QtGui import QPainter, QPaintEvent, QPixmap
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_nanoseg._gui.plots import LossPlot
from napari_nanoseg.events import Epoch, Event, Stage


class Picture(QWidget):
    """A picture in the width that there is, in its own proportions."""

    def __init__(self) -> None:
        super().__init__()
        self._pixmap = QPixmap()
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setVisible(False)

    def show_file(self, path: Path | None) -> None:
        """Show a file; None, or one that cannot be read, hides the picture."""
        self._pixmap = QPixmap() if path is None else QPixmap(str(path))
        self.setVisible(not self._pixmap.isNull())
        self.updateGeometry()
        self.update()

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        """In proportion."""
        if self._pixmap.isNull():
            return 0
        return round(width * self._pixmap.height() / self._pixmap.width())

    def sizeHint(self) -> QSize:  # noqa: N802
        """As wide as a dock usually is."""
        return QSize(280, self.heightForWidth(280))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Any width will do."""
        return QSize(100, self.heightForWidth(100))

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw it."""
        if self._pixmap.isNull():
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        size = self._pixmap.size().toSizeF()
        scale = min(self.width() / size.width(), self.height() / size.height())
        place = QRectF(0, 0, scale * size.width(), scale * size.height())
        painter.drawPixmap(place, self._pixmap, QRectF(self._pixmap.rect()))


class TrainingView(QWidget):
    """Hidden until a training begins; then it shows that one until the next begins."""

    def __init__(self) -> None:
        super().__init__()
        self._best = (math.inf, 0)
        self.device, self.epoch, self._legend = QLabel(), QLabel(), QLabel()
        self.plot, self.preview = LossPlot(), Picture()
        self.preview.setAccessibleName("validation image")
        self._legend.setText("A validation image; with its outlines; what the network takes for particles:")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 6)
        for label in (self.device, self.epoch, self._legend):
            label.setWordWrap(True)
        for widget in (self.device, self.plot, self.epoch, self._legend, self.preview):
            layout.addWidget(widget)
        self.setVisible(False)

    def begin(self, *, resume: bool) -> None:
        """Get ready for a training; one that goes on keeps its curves."""
        if not resume:
            self.plot.clear()
            self.preview.show_file(None)
            self._best = (math.inf, 0)
        self.device.setText("")
        self.device.setVisible(False)
        self.epoch.setVisible(resume and bool(self.epoch.text()))
        self._legend.setVisible(self.preview.isVisibleTo(self))
        self.setVisible(True)

    def show_event(self, event: Event) -> None:
        """Take an event of the training."""
        if isinstance(event, Stage) and event.name == "device":
            self.device.setText(event.message)
            self.device.setVisible(True)
        elif isinstance(event, Epoch):
            self._show_epoch(event)

    def _show_epoch(self, epoch: Epoch) -> None:
        self.plot.add(epoch)
        loss = epoch.validation.get("loss", math.nan)
        if loss < self._best[0]:
            self._best = (loss, epoch.epoch)
        best, at = self._best
        text = f"Epoch {epoch.epoch} of {epoch.epochs}: loss {epoch.losses.get('loss', math.nan):.3g}"
        if math.isfinite(loss):
            text += f", validation {loss:.3g}"
            text += " (the best so far)" if at == epoch.epoch else f" (best: {best:.3g} in epoch {at})"
        self.epoch.setText(f"{text}.")
        self.epoch.setVisible(True)
        self.preview.show_file(None if epoch.preview is None else Path(epoch.preview))
        self._legend.setVisible(self.preview.isVisibleTo(self))
