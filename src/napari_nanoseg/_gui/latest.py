"""Short computations that follow what the user changes: only the latest counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_nanoseg._gui.follow import at_end
from napari_nanoseg._gui.worker import Failure, JobWorker, Returned, make_worker

POLL_MS = 20


class Latest(QObject):
    """Runs one computation at a time in a thread; of those asked for meanwhile, only the last is run.

    Parameters
    ----------
    title : str
        What it does, for napari's list of running tasks.
    parent : QObject
        Ends it.
    """

    done = Signal(object)
    """What the latest computation returned; nothing comes of those that were overtaken."""
    failed = Signal(str)

    def __init__(self, title: str, parent: QObject) -> None:
        super().__init__(parent)
        self._title = title
        self._worker: JobWorker | None = None
        self._next: Callable[[], Any] | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._look)
        running: list[JobWorker] = []  # what is called when the owner is gone must not hold it
        self._running = running
        at_end(self, lambda: [worker.quit() for worker in running])

    @property
    def busy(self) -> bool:
        """Whether a computation runs or waits."""
        return self._worker is not None or self._next is not None

    def ask(self, work: Callable[[], Any]) -> None:
        """Run this; what runs already is stopped and what waits is forgotten."""
        self._next = work
        if self._worker is None:
            self._begin()
        else:
            self._worker.quit()

    def stop(self) -> None:
        """Forget all."""
        self._next = None
        if self._worker is not None:
            self._worker.quit()

    def _begin(self) -> None:
        work, self._next = self._next, None
        assert work is not None
        self._worker = make_worker(work, self._title)
        self._running[:] = [self._worker]
        self._worker.start()
        self._timer.start()

    def _look(self) -> None:
        worker = self._worker
        if worker is None or not worker.over:
            return
        self._timer.stop()
        self._worker = None
        self._running.clear()
        if self._next is not None:
            self._begin()
        elif isinstance(worker.ending, Returned) and not worker.abort_requested:
            self.done.emit(worker.ending.value)
        elif isinstance(worker.ending, Failure):
            self.failed.emit(worker.ending.message)
