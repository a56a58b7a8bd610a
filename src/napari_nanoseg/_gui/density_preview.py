"""A live picture of the optical density of the slice that is seen."""

from __future__ import annotations

from functools import partial

import numpy as np
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QImage, QPixmap, QResizeEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_nanoseg._gui.densities import Request, contrast, preview_density
from napari_nanoseg._gui.latest import Latest
from napari_nanoseg._gui.words import WordLabel
from napari_nanoseg.measurement.density import OpticalDensity

SETTLED_MS = 150
"""A picture is made when nothing else was changed for so long."""
HEIGHT = 180
MOST_PIXELS = 600
"""Along a side of the picture that is kept; an image of more is thinned out."""


class DensityPreview(QWidget):
    """Shows I0, the range of the densities and a small picture of one slice, or why there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.density: OpticalDensity | None = None
        """What is shown."""
        self.picture, self.caption = _Picture(), WordLabel()
        self.caption.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.picture)
        column.addWidget(self.caption)
        self._question: tuple[Request, int] | None = None
        self._latest = Latest("Preview of the optical density", self)
        self._latest.done.connect(self._show)
        self._latest.failed.connect(self.say)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._settled.timeout.connect(self._begin)

    @property
    def busy(self) -> bool:
        """Whether another picture is on its way."""
        return self._question is not None or self._latest.busy

    def follow(self, request: Request, number: int) -> None:
        """Show a slice of a request, soon."""
        self._question = request, number
        self._settled.start()

    def say(self, text: str) -> None:
        """Show a sentence in place of a picture."""
        self.density = None
        self.picture.hide()
        self.caption.setText(text)

    def refuse(self, text: str) -> None:
        """Show a sentence, and nothing that was asked for before."""
        self._question = None
        self._settled.stop()
        self._latest.stop()
        self.say(text)

    def _begin(self) -> None:
        if self._question is not None:
            self._latest.ask(partial(preview_density, *self._question))
            self._question = None

    def _show(self, density: OpticalDensity) -> None:
        self.density = density
        pixels = density.image.data
        least, most = float(pixels.min()), float(pixels.max())
        raised = int(density.raised.sum())
        text = f"I0 {density.incident[0]:.5g}; densities {least:.2f} to {most:.2f}"
        self.caption.setText(f"{text}; too dark: {raised} of {pixels.size} px" if raised else text)
        step = max(1, -(-max(pixels.shape) // MOST_PIXELS))
        black, white = contrast(pixels)
        shown = (pixels[::step, ::step] - black) * (255 / (white - black))
        grey = np.ascontiguousarray(np.clip(shown, 0, 255), np.uint8)
        rows, columns = grey.shape
        image = QImage(grey.tobytes(), columns, rows, columns, QImage.Format.Format_Grayscale8)
        self.picture.show_image(QPixmap.fromImage(image))
        self.picture.show()


class _Picture(QLabel):
    """A picture as wide as there is room, but no higher than `HEIGHT`."""

    def __init__(self) -> None:
        super().__init__()
        self._whole: QPixmap | None = None
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Preview of the optical density")
        self.hide()

    def show_image(self, whole: QPixmap) -> None:
        """Show a picture."""
        self._whole = whole
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Fit the picture into the other size."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._whole is None:
            return
        ratio = self.devicePixelRatioF()
        size = QSize(round(self.width() * ratio), round(HEIGHT * ratio))
        aspect, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        fitted = self._whole.scaled(size, aspect, smooth)
        fitted.setDevicePixelRatio(ratio)
        self.setPixmap(fitted)
