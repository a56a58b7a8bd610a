"""Connections of widgets to napari's events that end with the widget.

napari's emitters know nothing of Qt: they would call a widget that Qt has deleted.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from napari.utils.events import EventEmitter
from qtpy.QtCore import QObject

_Connections = list[tuple[EventEmitter, "weakref.WeakMethod[Callable[..., Any]]"]]
_ENDINGS: set[Callable[[], None]] = set()
"""Kept here until they are called: what only a widget holds can be cleared by Python's collector before Qt calls it."""


def at_end(widget: QObject, action: Callable[[], object]) -> None:
    """Call `action` when Qt deletes a widget, also while Python's collector does away with the widget.

    Parameters
    ----------
    widget : QObject
    action : callable
        Must not hold the widget, not even through a bound method, or it lives as long as the program.
    """

    def end(_: object = None) -> None:
        _ENDINGS.discard(end)
        action()

    _ENDINGS.add(end)
    widget.destroyed.connect(end)


def follow(widget: QObject, emitter: EventEmitter, callback: Callable[..., Any]) -> None:
    """Call `callback`, a method of `widget`, at every event until Qt deletes the widget."""
    emitter.connect(callback)
    connections = [(emitter, weakref.WeakMethod(callback))]
    at_end(widget, lambda: _end(connections))


class Following:
    """Connections to the events of layers that come and go, ended with the widget.

    Parameters
    ----------
    widget : QObject
        Whose methods are called.
    """

    def __init__(self, widget: QObject) -> None:
        self._connections: _Connections = []
        connections = self._connections
        at_end(widget, lambda: _end(connections))

    def replace(self, *connections: tuple[EventEmitter, Callable[..., Any]]) -> None:
        """End the connections there are and make these."""
        _end(self._connections)
        for emitter, callback in connections:
            emitter.connect(callback)
            self._connections.append((emitter, weakref.WeakMethod(callback)))


def _end(connections: _Connections) -> None:
    while connections:
        emitter, reference = connections.pop()
        callback = reference()
        if callback is not None:
            emitter.disconnect(callback)
