"""The pictures of a synthetic image with the outlines of its masks."""

from __future__ import annotations

from itertools import islice

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen, QPixmap, QResizeEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_nanoseg._gui.layers import ANNOTATED
from napari_nanoseg._gui.preview_making import Picture, Preview

LEAST, MOST = 90, 340
"""Height in px."""
DIMMED = 0.35
GAP = 4
"""Between pictures, px."""
THINNEST, THICKEST = 0.6, 1.2
"""Outlines, px: thin where the picture is small, so that they do not cover its objects."""


class PreviewPicture(QWidget):
    """Shows a preview as large as there is room, or a sentence in its place.

    Two pictures are side by side; of three, the first is above the others.
    """

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
        resized = self._preview is None or _shapes(self._preview) != _shapes(preview)
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
        slope, gaps = (0.5, 0.0) if self._preview is None else _height(self._preview)
        return max(LEAST, min(MOST, round(width * slope + gaps)))

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
        """All pictures in the size of the widget; kept, as the many lines take some milliseconds."""
        ratio = self.devicePixelRatioF()
        slope, gaps = _height(preview)
        width = min(float(self.width()), max(1.0, (self.height() - gaps) / slope))
        whole = QPixmap(max(1, round(width * ratio)), max(1, round((width * slope + gaps) * ratio)))
        whole.fill(Qt.GlobalColor.transparent)
        painter = QPainter(whole)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.scale(ratio, ratio)
        pictures, top = iter(preview.pictures), 0.0
        for count in _rows(preview):
            side = (width - (count - 1) * GAP) / count
            for number, picture in enumerate(islice(pictures, count)):
                rows, columns = picture.grey.shape
                place = QRectF(number * (side + GAP), top, side, side * rows / columns)
                self._paint_one(painter, picture, preview, place, ratio)
            top = place.bottom() + GAP
        painter.end()
        whole.setDevicePixelRatio(ratio)
        return whole

    def _paint_one(self, painter: QPainter, picture: Picture, preview: Preview, place: QRectF, ratio: float) -> None:
        rows, columns = picture.grey.shape
        image = QImage(picture.grey.tobytes(), columns, rows, columns, QImage.Format.Format_Grayscale8)
        scaled = image.scaled(
            max(1, round(place.width() * ratio)),
            max(1, round(place.height() * ratio)),
            Qt.AspectRatioMode.IgnoreAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        painter.drawImage(place, scaled)
        if self._outlined:
            painter.save()
            pen = QPen(QColor(ANNOTATED), ratio * min(THICKEST, max(THINNEST, 2 * place.width() / columns)))
            pen.setCosmetic(True)
            painter.setPen(pen)
            painter.setClipRect(place)
            painter.translate(place.topLeft())
            painter.scale(place.width() / columns, place.height() / rows)
            painter.drawPath(preview.outlines)
            painter.restore()
        if picture.title:
            words = painter.fontMetrics().boundingRect(picture.title).adjusted(-3, -1, 3, 1)
            label = QRectF(place.left(), place.top(), words.width(), words.height())
            painter.fillRect(label, QColor(0, 0, 0, 170))
            painter.setPen(QColor("white"))
            painter.drawText(label, int(Qt.AlignmentFlag.AlignCenter), picture.title)


def _rows(preview: Preview) -> tuple[int, ...]:
    """How many pictures are side by side in each row."""
    count = len(preview.pictures)
    return (count,) if count < 3 else (1, count - 1)


def _height(preview: Preview) -> tuple[float, float]:
    """Height of all pictures: what their width is multiplied by, and the px to add."""
    rows, columns = preview.pictures[0].grey.shape
    counts, aspect = _rows(preview), rows / columns
    slope = sum(aspect / count for count in counts)
    return slope, (len(counts) - 1) * GAP - sum((count - 1) * GAP * aspect / count for count in counts)


def _shapes(preview: Preview) -> list[tuple[int, ...]]:
    return [picture.grey.shape for picture in preview.pictures]
