"""A job in a thread: keeps its events until they are taken, and tells how it ended."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from napari.qt.threading import FunctionWorker, create_worker
from qtpy.QtCore import QThreadPool

from napari_nanoseg.events import Cancelled, Event, Progress, checkpoint, listening
from napari_nanoseg.jobs.failures import bug, explain

Work = Callable[[], Any]


@dataclass(frozen=True)
class Returned:
    """The job is done; this is what it returned."""

    value: Any


@dataclass(frozen=True)
class Failure:
    """The job ended with an error; this sentence says which."""

    message: str


Ending = Returned | Failure | None
"""How a job ended; None: it was cancelled."""


class _Task:
    """What a worker calls; napari shows its text in the list of running tasks."""

    def __init__(self, work: Work, title: str) -> None:
        self._work, self._title = work, title

    def __call__(self) -> Any:
        return self._work()

    def __str__(self) -> str:
        return self._title


class JobWorker(FunctionWorker):  # type: ignore[misc]
    """Runs one job in a thread of Qt's pool, as a task that napari knows and asks about before it closes.

    Neither events nor errors pass through signals: whoever started the worker takes them with :meth:`take` and
    :attr:`ending` in its own thread and its own time. So jobs that say more than Qt can show do not flood it, an error
    is never raised in the main thread, and a receiver that is deleted meanwhile is not called.
    """

    def __init__(self, task: _Task) -> None:
        super().__init__(task)
        self.title = str(task)
        self.ending: Ending = None
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._events: list[Any] = []

    @property
    def over(self) -> bool:
        """Whether the job has ended; then nothing of it runs any more."""
        return self._over.is_set()

    def take(self) -> list[Any]:
        """Take the events since the last time; of successive Progress events, only the last is kept."""
        with self._lock:
            events, self._events = self._events, []
        return events

    def run(self) -> None:
        """Do the job; unlike napari's workers, without touching the warning filters of the whole process."""
        pool = QThreadPool.globalInstance()
        assert pool is not None
        pool.releaseThread()  # a computer with two cores may run more than two jobs: most of them wait
        self._running = True
        with suppress(RuntimeError):  # at the end of napari, Qt's half of the signals may be gone
            self.started.emit()
        try:
            self.ending = self._follow()
        finally:
            self._running = False
            self._over.set()
            pool.reserveThread()
            with suppress(RuntimeError):
                self.finished.emit()
                self._finished.emit(self)

    def _follow(self) -> Ending:
        """Do the work, in this thread, and tell how it ended."""
        try:
            with listening(self._keep, self._leave):
                checkpoint()  # it may have been cancelled while it waited for its thread
                value = self._func()
            return None if self.abort_requested else Returned(value)
        except BaseException as error:
            if self.abort_requested:
                return None
            sentence = explain(error)
            if sentence is None:
                sentence = str(bug(f"{type(error).__name__}: {error}", traceback.format_exc()))
            return Failure(sentence)

    def _leave(self) -> None:
        if self.abort_requested:
            raise Cancelled

    def _keep(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Progress) and self._events and isinstance(self._events[-1], Progress):
                self._events[-1] = event
            else:
                self._events.append(event)


def make_worker(work: Work, title: str) -> JobWorker:
    """Make the worker of a job, not yet started, and list it among napari's tasks."""
    worker: JobWorker = create_worker(_Task(work, title), _worker_class=JobWorker, _ignore_errors=True)
    return worker
