"""Hands for a napari window: everything by real Qt events of mouse and keyboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
from napari import Viewer
from napari.layers import Layer
from napari.qt import get_qapp
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QLabel, QMenu, QScrollArea, QTextEdit, QWidget

Found = TypeVar("Found", bound=QWidget)
SCREEN = 1600, 1000


class Robot:
    """Works in one napari window.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.window: QWidget = viewer.window._qt_window
        self.window.resize(*SCREEN)
        self.settle()

    def settle(self, seconds: float = 0.05) -> None:
        """Let Qt handle what has happened."""
        end = time.monotonic() + seconds
        while True:
            get_qapp().processEvents()
            if time.monotonic() >= end:
                return
            time.sleep(0.005)

    def wait(self, condition: Callable[[], Any], seconds: float = 30, what: str = "") -> None:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds} s: {what or condition}"
            self.settle(0.05)

    def open_menu(self, *path: str) -> None:
        """Go through the menus by mouse: ("File", "Open Sample", "NanoSeg", "...")."""
        bar = self.window.menuBar()
        place: Any = bar
        for name in path:
            action = next((a for a in place.actions() if a.text().replace("&", "").startswith(name)), None)
            assert action is not None, f"{name} is not among {[a.text() for a in place.actions()]}"
            QTest.mouseClick(place, Qt.MouseButton.LeftButton, pos=place.actionGeometry(action).center())
            self.settle(0.1)
            menu = action.menu()
            if menu is not None:
                self.wait(menu.isVisible, 3, f"menu {name}")
                place = menu
        while isinstance(popup := QApplication.activePopupWidget(), QMenu):
            popup.close()
        self.settle()

    def find(self, parent: QWidget, kind: type[Found], text: str = "") -> Found:
        """The visible widget of a kind whose text begins so."""
        found = [
            widget
            for widget in parent.findChildren(kind)
            if widget.isVisible() and (not text or str(getattr(widget, "text", lambda: "")()).startswith(text))
        ]
        assert found, f"there is no visible {kind.__name__} '{text}'"
        return found[0]

    def click(self, parent: QWidget, text: str) -> None:
        """Click the button with this text."""
        button = self.find(parent, QAbstractButton, text)
        self.reveal(button)
        assert button.isEnabled(), f"the button '{text}' is disabled: {button.toolTip()}"
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        self.settle()

    def type_into(self, widget: QWidget, text: str) -> None:
        """Replace what stands in an input line."""
        self.reveal(widget)
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton)
        widget.setFocus()
        QTest.keyClick(widget, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClicks(widget, text)
        QTest.keyClick(widget, Qt.Key.Key_Return)
        self.settle()

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key over the canvas."""
        QTest.keyClick(self.canvas, key, modifier)
        self.settle()

    @property
    def canvas(self) -> QWidget:
        """Where the layers are drawn."""
        return self.viewer.window._qt_viewer.canvas.native

    def place(self, layer: Layer, row: float, column: float) -> QPoint:
        """Where a pixel of a layer lies on the canvas."""
        world = np.asarray(layer.data_to_world((row, column)))[-2:]
        camera = self.viewer.scene.camera
        middle = np.array([self.canvas.height(), self.canvas.width()]) / 2
        y, x = middle + (world - np.asarray(camera.center)[-2:]) * camera.zoom
        return QPoint(round(float(x)), round(float(y)))

    def click_at(self, layer: Layer, row: float, column: float, *, double: bool = False) -> None:
        """Click on a pixel of a layer in the canvas."""
        position = self.place(layer, row, column)
        assert self.canvas.rect().contains(position), f"({row}, {column}) is out of sight"
        self._mouse(QEvent.Type.MouseMove, position, Qt.MouseButton.NoButton)
        self._mouse(QEvent.Type.MouseButtonPress, position)
        self._mouse(QEvent.Type.MouseButtonRelease, position)
        if double:
            self._mouse(QEvent.Type.MouseButtonDblClick, position)
            self._mouse(QEvent.Type.MouseButtonRelease, position)

    def drag(self, layer: Layer, start: tuple[float, float], stop: tuple[float, float]) -> None:
        """Drag from one pixel of a layer to another."""
        path = [self.place(layer, *(np.array(start) + t * (np.array(stop) - start))) for t in np.linspace(0, 1, 8)]
        self._mouse(QEvent.Type.MouseMove, path[0], Qt.MouseButton.NoButton)
        self._mouse(QEvent.Type.MouseButtonPress, path[0])
        for position in path:
            self._mouse(QEvent.Type.MouseMove, position)
        self._mouse(QEvent.Type.MouseButtonRelease, path[-1])
        self.settle()

    def polygon(self, layer: Layer, vertices: Iterable[tuple[float, float]]) -> None:
        """Draw an outline click by click and close it with Enter."""
        for row, column in vertices:
            self.click_at(layer, row, column)
        self.key(Qt.Key.Key_Return)

    def picture(self, name: str) -> None:
        """Where take_pictures.py takes a picture of the window."""

    def sentences(self, step: QWidget) -> str:
        """All that a dock says at the moment."""
        labels = [label.text() for label in step.findChildren(QLabel) if label.isVisible()]
        messages = [edit.toPlainText() for edit in step.findChildren(QTextEdit) if edit.isVisible()]
        return "\n".join(labels + messages)

    def _mouse(self, kind: QEvent.Type, position: QPoint, button: Qt.MouseButton = Qt.MouseButton.LeftButton) -> None:
        held = button if kind != QEvent.Type.MouseButtonRelease else Qt.MouseButton.NoButton
        pressed = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else button
        everywhere = QPointF(self.canvas.mapToGlobal(position))
        event = QMouseEvent(kind, QPointF(position), everywhere, pressed, held, Qt.KeyboardModifier.NoModifier)
        get_qapp().sendEvent(self.canvas, event)
        get_qapp().processEvents()

    def reveal(self, widget: QWidget) -> None:
        """Scroll until the widget can be seen."""
        parent = widget.parentWidget()
        while parent is not None:
            if isinstance(parent, QScrollArea):
                parent.ensureWidgetVisible(widget)
                self.settle()
            parent = parent.parentWidget()
