"""Pressing a dock's start button from a script, and waiting for what its job makes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from qtpy.compat import isalive
from qtpy.QtCore import QThread
from qtpy.QtWidgets import QApplication

from napari_nanoseg._gui.jobs import JobPanel
from napari_nanoseg.errors import NanosegError

PAUSE_S = 0.01
"""Between two looks at Qt's events: short enough for a window that is used meanwhile."""


def press_and_wait(panel: JobPanel, title: str) -> Any:
    """Press the start button of a panel and handle Qt's events until its job has ended and its result is shown.

    Parameters
    ----------
    panel : JobPanel
    title : str
        What the dock is called.

    Returns
    -------
    object
        What the job returned.

    Raises
    ------
    NanosegError
        With the sentence that the dock shows when it refuses, fails or cannot show the result; and when the job is
        cancelled or its dock closed.
    KeyboardInterrupt
        After Ctrl-C, once the job has stopped.
    """
    app = QApplication.instance()
    if app is None or QThread.currentThread() is not app.thread():
        raise NanosegError(f"{title}: a dock runs in the thread of napari's window; call run() there, not in a thread.")
    if panel.running:
        raise NanosegError(f"{title} is already running; wait for its end or cancel it.")
    if panel.blocked is not None:
        raise NanosegError(panel.blocked)
    made: list[Any] = []
    refused: list[str] = []
    with _heard(panel, (panel.done, made.append), (panel.refused, refused.append)):
        panel.start_button.click()
        try:
            _wait(panel)
            QApplication.processEvents()  # what was shown last takes its place in the window
        except KeyboardInterrupt:
            panel.cancel()
            _wait(panel)
            raise
    if not isalive(panel):
        raise NanosegError(f"{title} was stopped: its dock was closed.")
    if refused:
        raise NanosegError(refused[-1])
    if not made:
        raise NanosegError(f"{title} was cancelled.")
    return made[-1]


def _wait(panel: JobPanel) -> None:
    while isalive(panel) and panel.running:
        QApplication.processEvents()
        time.sleep(PAUSE_S)


@contextmanager
def _heard(panel: JobPanel, *connections: tuple[Any, Callable[[Any], object]]) -> Iterator[None]:
    for signal, slot in connections:
        signal.connect(slot)
    try:
        yield
    finally:
        if isalive(panel):
            for signal, slot in connections:
                signal.disconnect(slot)
