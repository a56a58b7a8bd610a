"""The progress of a job in napari's activity area, for when its dock is hidden."""

from __future__ import annotations

import time
from collections.abc import Callable

from napari.components import ViewerModel
from napari.utils.progress import cancelable_progress

UPDATE_S = 0.25
"""Napari handles all waiting events at every step of its bar: often enough to be seen, and no more."""


class _Bar(cancelable_progress):  # type: ignore[misc]
    """A bar whose Cancel button works for jobs that are not loops over it, too."""

    def cancel(self) -> None:
        """Cancel the job."""
        super().cancel()
        if self.cancel_callback is not None:
            self.cancel_callback()


class ActivityBar:
    """One bar with a Cancel button; nothing where there is no window.

    Parameters
    ----------
    viewer : ViewerModel
        Has a window if it is a napari.Viewer.
    title : str
        What runs.
    cancel : callable
        Called when the user cancels there.
    """

    def __init__(self, viewer: ViewerModel, title: str, cancel: Callable[[], None]) -> None:
        self._bar: _Bar | None = None
        self._updated = 0.0
        if getattr(viewer, "window", None) is not None:
            self._bar = _Bar(desc=title, total=0, cancel_callback=cancel)

    def show(self, done: int, total: int) -> None:
        """Show how far the job is; the last step always, others when there is time."""
        bar, now = self._bar, time.monotonic()
        if bar is None or (done < total and now - self._updated < UPDATE_S):
            return
        self._updated = now
        if bar.total != total:
            bar.total = total
        bar.n = done
        bar.update(0)

    def close(self) -> None:
        """Take the bar away."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()
