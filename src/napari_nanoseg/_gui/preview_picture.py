"""The picture of a synthetic image with the outlines of its masks."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen, QPixmap, QResizeEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_nanoseg._gui.layers import ANNOTATED
from napari_nanoseg._gui.previews import Preview

LEAST, MOST = 90, 340
"""Height in px."""
DIMMED = 0.35


class PreviewPicture(QWidget):
    """Shows a preview as large as there is room, or a sentence in its place."""

    def __init__(self) -> None:
        super().__init__()
        self._preview: Preview | None = None
        self._text = ""
        self._outlined, self._dim = True, False
        self._painted: QPixmap | None = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMinimumHeight(LEAST)
        self.setMaximumHeight(MOST)

    @property
    def preview(self) -> Preview | None:
        """What is shown."""
        return self._preview

    @property
    def text(self) -> str:
        """The sentence that is shown in place of a picture; empty when there is one."""
        return "" if self._preview is not None else self._text

    def show_preview(self, preview: Preview) -> None:
        """Show a synthetic image."""
        resized = self._preview is None or self._preview.grey.shape != preview.grey.shape
        self._preview, self._text, self._dim = preview, "", False
        self._repaint()
        if resized:
            self.updateGeometry()

    def show_text(self, text: str) -> None:
        """Show a sentence."""
        self._preview, self._text, self._dim = None, text, False
        self._repaint()

    def set_outlined(self, on: bool) -> None:
        """Show or hide the outlines."""
        self._outlined = on
        self._repaint()

    def wait(self) -> None:
        """Show that another picture is on its way."""
        if not self._dim:
            self._dim = True
            self.update()

    def hasHeightForWidth(self) -> bool:  # noqa: N802
        """Whether the height follows from the width: yes."""
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        """The height that shows the image in full width, within limits."""
        rows, columns = (1, 2) if self._preview is None else self._preview.grey.shape
        height: int = max(LEAST, min(MOST, round(width * rows / columns)))
        return height

    def sizeHint(self) -> QSize:  # noqa: N802
        """Suits a dock of 300 px."""
        return QSize(280, self.heightForWidth(280))

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Paint anew in the other size."""
        self._painted = None
        super().resizeEvent(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Paint the picture or the sentence."""
        painter = QPainter(self)
        painter.setOpacity(DIMMED if self._dim else 1.0)
        if self._preview is not None:
            if self._painted is None:
                self._painted = self._paint(self._preview)
            size = self._painted.deviceIndependentSize()
            painter.drawPixmap(
                QPointF((self.width() - size.width()) / 2, (self.height() - size.height()) / 2), self._painted
            )
        else:
            painter.setPen(self.palette().windowText().color())
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(QRectF(self.rect().adjusted(4, 4, -4, -4)), int(flags), self._text)
        painter.end()

    def _repaint(self) -> None:
        self._painted = None
        words = f"{len(self._preview.sample.instances)} particles" if self._preview is not None else self._text
        self.setAccessibleName(f"Preview: {words}")
        self.update()

    def _paint(self, preview: Preview) -> QPixmap:
        """The image with outlines in the size of the widget; kept, as the many lines take some milliseconds."""
        rows, columns = preview.grey.shape
        ratio = self.devicePixelRatioF()
        factor = min(self.width() / columns, self.height() / rows) * ratio
        image = QImage(preview.grey.tobytes(), columns, rows, columns, QImage.Format.Format_Grayscale8)
        scaled = QPixmap.fromImage(
            image.scaled(
                max(1, round(columns * factor)),
                max(1, round(rows * factor)),
                Qt.AspectRatioMode.IgnoreAspectRatio,
                Qt.TransformationMode.SmoothTransformation,
            )
        )
        if self._outlined:
            painter = QPainter(scaled)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            pen = QPen(QColor(ANNOTATED), 1.2 * ratio)
            pen.setCosmetic(True)
            painter.setPen(pen)
            painter.scale(factor, factor)
            painter.drawPath(preview.outlines)
            painter.end()
        scaled.setDevicePixelRatio(ratio)
        return scaled
