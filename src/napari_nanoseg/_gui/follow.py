"""Connections of widgets to napari's events that end with the widget.

napari's emitters know nothing of Qt: they would call a widget that Qt has deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.utils.events import EventEmitter
from qtpy.QtCore import QObject


def follow(widget: QObject, emitter: EventEmitter, callback: Callable[..., Any]) -> None:
    """Call `callback`, a method of `widget`, at every event until Qt deletes the widget."""
    emitter.connect(callback)
    # a lambda: Qt does not call methods of the object that it is deleting
    widget.destroyed.connect(lambda: emitter.disconnect(callback))


class Following:
    """Connections to the events of layers that come and go, ended with the widget.

    Parameters
    ----------
    widget : QObject
        Whose methods are called.
    """

    def __init__(self, widget: QObject) -> None:
        self._connections: list[tuple[EventEmitter, Callable[..., Any]]] = []
        connections = self._connections
        widget.destroyed.connect(lambda: _end(connections))

    def replace(self, *connections: tuple[EventEmitter, Callable[..., Any]]) -> None:
        """End the connections there are and make these."""
        _end(self._connections)
        for emitter, callback in connections:
            emitter.connect(callback)
        self._connections.extend(connections)


def _end(connections: list[tuple[EventEmitter, Callable[..., Any]]]) -> None:
    while connections:
        emitter, callback = connections.pop()
        emitter.disconnect(callback)
