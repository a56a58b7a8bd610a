"""Sentences in a dock that wrap at any width, can be selected and are readable in every theme."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from napari.components import ViewerModel
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QColor, QResizeEvent, QTextOption
from qtpy.QtWidgets import QFrame, QScrollArea, QSizePolicy, QTextEdit, QVBoxLayout, QWidget

Kind = Literal["info", "warning", "error"]

MOST_WARNINGS = 4
MOST_LINES = 11
LEAST_CONTRAST = 3.0
"""As WCAG asks of graphics; the text itself has the theme's text colour."""
_THEME_COLOURS: dict[Kind, str] = {"info": "current", "warning": "warning", "error": "error"}
_ORDER: tuple[Kind, ...] = ("error", "info", "warning")
_LEADS: dict[Kind, str] = {"info": "", "warning": "Note: ", "error": "Error: "}


class Message(QTextEdit):
    """One sentence, as high as it needs to be; paths break anywhere, since a label could not show them at 300 px."""

    def __init__(self, text: str, colour: str) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setTabChangesFocus(True)
        self.setAccessibleName(text)
        document = self.document()
        assert document is not None
        layout = document.documentLayout()
        assert layout is not None
        layout.documentSizeChanged.connect(lambda _: self._fit())
        self.setPlainText(text)
        self.recolour(colour)

    def recolour(self, colour: str) -> None:
        """Give the bar at the left side this colour."""
        self.setStyleSheet(
            f"QTextEdit {{ background: transparent; border: 0; border-left: 3px solid {colour}; padding: 1px 2px }}"
            "QTextEdit > QWidget { background: transparent }"
        )
        self._fit()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Any width will do."""
        return QSize(100, self.height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Any width will do."""
        return QSize(40, self.minimumHeight())

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Fit again: the padding that the style sheet asks for comes later than the text."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Take the height that the text needs at this width."""
        document, viewport = self.document(), self.viewport()
        if document is None or viewport is None:  # while it is being made or deleted
            return
        height = round(document.size().height()) + self.height() - viewport.height()
        if height != self.minimumHeight():
            self.setFixedHeight(height)


class _Column(QWidget):
    """The sentences, below each other; says when they need another height."""

    def __init__(self, fit: Callable[[], None]) -> None:
        super().__init__()
        self._fit = fit
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(3)

    def event(self, event: QEvent | None) -> bool:
        """Wait for another layout."""
        done = super().event(event)
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return done


class Messages(QScrollArea):
    """What a dock has to say: one error, one information, the latest warnings; it scrolls when that is much."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._theme = viewer.theme
        self._shown: list[tuple[Kind, str, Message]] = []
        self._padding = 0
        self._inside = _Column(self._fit)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(self._inside)
        self.setVisible(False)

    def add(self, kind: Kind, text: str) -> None:
        """Show a sentence; an information or error takes the place of the one before, a warning is shown once."""
        same = [entry for entry in self._shown if entry[0] == kind]
        if kind == "warning":
            if any(entry[1] == text for entry in same):
                return
            same = same[: max(0, len(same) - MOST_WARNINGS + 1)]
        for entry in same:
            self._remove(entry)
        if text:
            message = Message(_LEADS[kind] + text, readable(_THEME_COLOURS[kind], self._theme))
            self._shown.append((kind, text, message))
            self._shown.sort(key=lambda entry: _ORDER.index(entry[0]))
            place = next(index for index, entry in enumerate(self._shown) if entry[2] is message)
            self._inside.column.insertWidget(place, message)
            if kind != "warning" and (bar := self.verticalScrollBar()) is not None:
                bar.setValue(0)
        self.setVisible(bool(self._shown))

    def clear(self) -> None:
        """Show nothing."""
        for entry in list(self._shown):
            self._remove(entry)
        self.setVisible(False)

    def _fit(self) -> None:
        """Be as high as the sentences and the padding of napari's style, but leave room for the rest of the dock."""
        most = MOST_LINES * self.fontMetrics().lineSpacing()
        self.setFixedHeight(min(self._inside.sizeHint().height() + self._padding, most))

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Fit again: the padding is known when the first sentence is shown, and only here, once the viewport fits."""
        super().resizeEvent(event)
        if (viewport := self.viewport()) is not None:
            self._padding = self.height() - viewport.height()
            self._fit()

    def texts(self, kind: Kind) -> list[str]:
        """The sentences of a kind that are shown."""
        return [text for shown, text, _ in self._shown if shown == kind]

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Follow napari's theme, which comes as another style sheet."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange and self._viewer.theme != self._theme:
            self._theme = self._viewer.theme
            for kind, _, message in self._shown:
                message.recolour(readable(_THEME_COLOURS[kind], self._theme))

    def _remove(self, entry: tuple[Kind, str, Message]) -> None:
        self._shown.remove(entry)
        self._inside.column.removeWidget(entry[2])
        entry[2].hide()
        entry[2].deleteLater()


def readable(name: str, theme: str) -> str:
    """A colour of a napari theme, moved towards its text colour until it stands out from the background.

    Parameters
    ----------
    name : str
        Field of the theme, such as ``error``: the dark theme's is meant for backgrounds and too dark for a line.
    theme : str
        Name of the theme.

    Returns
    -------
    str
        As ``#rrggbb``.
    """
    colours = get_theme(theme)
    colour, text = _rgb(getattr(colours, name)), _rgb(colours.text)
    background = _luminance(_rgb(colours.background))
    for _ in range(20):
        if _contrast(_luminance(colour), background) >= LEAST_CONTRAST:
            break
        colour = tuple(0.9 * own + 0.1 * other for own, other in zip(colour, text, strict=True))
    return QColor.fromRgbF(*colour).name()


def _rgb(colour: object) -> tuple[float, ...]:
    """Red, green and blue, 0 to 1, of a theme's colour."""
    as_rgb = colour.as_rgb_tuple(alpha=False)  # type: ignore[attr-defined]
    return tuple(value / 255 for value in as_rgb)


def _luminance(rgb: tuple[float, ...]) -> float:
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
