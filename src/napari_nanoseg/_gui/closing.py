"""Ask before napari closes a dock whose job runs."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QWidget

_Guards = list[tuple["weakref.WeakMethod[Callable[[], bool]]", "weakref.WeakMethod[Callable[[], None]]"]]


def ask_before_closing(panel: QWidget, may_close: Callable[[], bool], stop: Callable[[], None]) -> None:
    """Let the dock that holds a widget ask before its close button takes it away, and stop the job if it is taken away.

    The close button of napari's docks calls their method ``destroyOnClose``, which cannot be refused; so it is replaced
    in this one dock. Hiding a dock is not closing it: its job goes on.

    Parameters
    ----------
    panel : QWidget
        A widget somewhere in the dock. Nothing happens when it is in none, or was there before.
    may_close : callable
        Bound method that asks the user.
    stop : callable
        Bound method that is called when the dock is deleted without a question.
    """
    dock: Any = panel.parentWidget()
    while dock is not None and not hasattr(dock, "destroyOnClose"):
        dock = dock.parentWidget()
    if dock is None:
        return
    if not hasattr(dock, "nanoseg_guards"):
        _guard(dock)
    guard = (weakref.WeakMethod(may_close), weakref.WeakMethod(stop))
    if guard not in dock.nanoseg_guards:
        dock.nanoseg_guards.append(guard)


def _guard(dock: Any) -> None:
    guards: _Guards = []
    close = dock.destroyOnClose

    def close_if_allowed() -> None:
        if all(ask() for may_close, _ in guards if (ask := may_close()) is not None):
            close()

    def stop_all() -> None:
        for _, stop in guards:
            if (stopping := stop()) is not None:
                stopping()

    dock.nanoseg_guards, dock.destroyOnClose = guards, close_if_allowed
    dock.destroyed.connect(stop_all)
