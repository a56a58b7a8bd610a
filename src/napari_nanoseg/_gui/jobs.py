"""The only way a dock runs anything long: a start button, progress, messages, Cancel, and one end for all endings."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QGuiApplication, QShowEvent
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_nanoseg._gui.activity import ActivityBar
from napari_nanoseg._gui.closing import ask_before_closing
from napari_nanoseg._gui.counting import Count, counted
from napari_nanoseg._gui.follow import at_end
from napari_nanoseg._gui.messages import Messages
from napari_nanoseg._gui.session import Session
from napari_nanoseg._gui.worker import JobWorker, Returned, make_worker
from napari_nanoseg.config.command import command
from napari_nanoseg.config.jobs import AnyJob
from napari_nanoseg.events import Event, Notice, Progress, Stage

TICK_MS = 200
"""How often the events of a job are taken: a job that says thousands in a second shows five of them."""

_RUNNING: weakref.WeakKeyDictionary[Session, dict[str, JobWorker]] = weakref.WeakKeyDictionary()
"""The latest worker of every step of every viewer."""


class JobPanel(QWidget):
    """The lower end of a dock.

    Parameters
    ----------
    session : Session
        Of the dock's viewer. Steps of one name run one at a time in a viewer, also in several docks.
    name : str
        Title of the step, such as "Train".
    start_text : str
        Text of the start button.
    """

    said = Signal(object)
    """Every event of the job; of Progress, at most five in a second."""
    done = Signal(object)
    """What the job returned."""
    failed = Signal(str)
    """The sentence that says why the job ended."""
    cancelled = Signal()
    ended = Signal()
    """Comes once after done, failed or cancelled."""
    refused = Signal(str)
    """The sentence that says why nothing is done, or why it went wrong."""
    start_clicked = Signal()

    def __init__(self, session: Session, name: str, start_text: str) -> None:
        super().__init__()
        self._session, self._name = session, name
        self._worker: JobWorker | None = None
        self._activity: ActivityBar | None = None
        self._why: str | None = None
        self._counts: dict[tuple[str, int], Count] = {}
        self._ticking = False
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._rest: Iterator[None] | None = None
        self._turns = QTimer(self)
        self._turns.timeout.connect(self._turn)
        self.start_button = QPushButton(start_text)
        self.start_button.clicked.connect(lambda: self.start_clicked.emit())
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.clicked.connect(self.cancel)
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.bar = QProgressBar()
        self.messages = Messages(session.viewer)
        self._blocked = QLabel()
        self._blocked.setWordWrap(True)
        self._buttons = QGridLayout()
        self._lay_out()
        self._refresh()
        # what is called when the panel is gone must not hold it
        latest: list[JobWorker] = []
        self._latest = latest
        at_end(self, lambda: [worker.quit() for worker in latest])

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        row = QHBoxLayout()
        row.addWidget(self.start_button, 1)
        row.addWidget(self.cancel_button)
        layout.addWidget(self._blocked)
        layout.addLayout(row)
        layout.addLayout(self._buttons)
        layout.addWidget(self.status)
        layout.addWidget(self.bar)
        layout.addWidget(self.messages)

    @property
    def running(self) -> bool:
        """Whether a job runs, one that was cancelled is not over yet, or the result is not all shown."""
        return self._worker is not None or self._rest is not None

    def start(self, work: Callable[[], Any], title: str) -> bool:
        """Run a job.

        Parameters
        ----------
        work : callable
            Does the job and returns its result; it is called in a thread, which may compute but must not touch layers
            or widgets. It is left at its next event or checkpoint when the job is cancelled.
        title : str
            What runs, for people: "Training of discs".

        Returns
        -------
        bool
            False when it was refused, because this step already runs in the viewer.
        """
        workers = _RUNNING.setdefault(self._session, {})
        other = workers.get(self._name)
        if self._rest is not None or (other is not None and not other.over):
            self.refuse(
                f"{self._name} is already running"
                f"{'' if self.running else ' in another dock of this viewer'}; wait for its end or cancel it."
            )
            return False
        worker = workers[self._name] = make_worker(work, title)
        self._latest[:] = [worker]
        self._worker = worker
        self.messages.clear()
        self._begin_stage(f"{title}…")
        self._refresh()
        self._timer.start()
        worker.start()
        return True

    def cancel(self) -> None:
        """Stop the job; it is `running` until the last of it has ended."""
        if self._worker is None or self._worker.abort_requested:
            return
        self._worker.quit()
        self.status.setText("Stopping…")
        self._refresh()

    def show_in_turns(self, steps: Iterator[None]) -> None:
        """Show what the job returned in several turns of Qt's event loop; to be called while `done` is handled.

        The job has ended when the steps have. For layers: napari takes 0.15 s to add one.
        """
        self._rest = steps
        self._turns.start()

    def say(self, text: str) -> None:
        """Show an information in place of the one before; an empty text takes it away."""
        self.messages.add("info", text)

    def warn(self, text: str) -> None:
        """Show a warning below the others."""
        self.messages.add("warning", text)

    def refuse(self, text: str) -> None:
        """Show an error in place of the one before, such as the first problem of what was entered; empty: no error."""
        self.messages.add("error", text)
        if text:
            self.refused.emit(text)

    @property
    def blocked(self) -> str | None:
        """Why the start button is disabled; None where it is not."""
        return self._why

    def block(self, why: str | None) -> None:
        """Disable the start button and say why; None enables it."""
        self._why = why
        self._refresh()

    def add_button(self, text: str, slot: Callable[[], object]) -> QPushButton:
        """Add a button below the start button, two in a row; it is disabled by whoever added it."""
        button = QPushButton(text)
        button.clicked.connect(lambda: slot())
        self._buttons.addWidget(button, *divmod(self._buttons.count(), 2))
        return button

    def may_close(self) -> bool:
        """Whether the dock may be closed: asks when its job runs, and stops the job."""
        if self._worker is None:
            return True
        yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
        text = f"{self._worker.title} is running. Stop it and close the dock?"
        if QMessageBox.question(self, "NanoSeg", text, yes | no, no) != yes:
            return False
        self.cancel()
        return True

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Find the dock that the panel is in now."""
        super().showEvent(event)
        ask_before_closing(self, self.may_close, self._stop_quietly)

    def _stop_quietly(self) -> None:
        if self._worker is not None:
            self._worker.quit()

    def _tick(self) -> None:
        """Show the events since the last tick, and the end; napari's activity bar may call it while it is at work."""
        worker = self._worker
        if worker is None or self._ticking:
            return
        over = worker.over
        self._ticking = True
        try:
            if self._activity is None and not over:
                self._activity = ActivityBar(self._session.viewer, worker.title, self.cancel)
            for event in worker.take():
                if not worker.abort_requested:
                    self._show(event)
                    self.said.emit(event)
        finally:
            self._ticking = False
        if over:
            self._finish(worker)

    def _show(self, event: Event) -> None:
        if isinstance(event, Stage):
            self._begin_stage(event.message)
        elif isinstance(event, Notice):
            self.warn(event.message)
        elif isinstance(event, Progress):
            now, kind = time.monotonic(), (event.unit, event.total)
            if kind not in self._counts or event.done < self._counts[kind].last:
                self._counts[kind] = Count(now, event.done)
            count = self._counts[kind]
            count.last = event.done
            self.bar.setVisible(True)
            self.bar.setRange(0, max(event.total, 1))
            self.bar.setValue(event.done)
            self.bar.setFormat(counted(event, now - count.began, event.done - count.first))
            if self._activity is not None:
                self._activity.show(event.done, event.total)

    def _begin_stage(self, text: str) -> None:
        self._counts = {}
        self.status.setText(text)
        # no moving bar while nothing can be counted: each of its frames composes the whole window anew, which took more
        # than half of a core without a graphics card, beside a training that needs it
        self.bar.setVisible(False)

    def _finish(self, worker: JobWorker) -> None:
        """The one end: first the panel is ready for the next job, then the dock hears of this one."""
        self._timer.stop()
        self._worker = None
        self._refresh()
        ending = None if worker.abort_requested else worker.ending
        if isinstance(ending, Returned):
            self.done.emit(ending.value)
        elif ending is not None:
            self.refuse(ending.message)
            show_error(ending.message)
            self.failed.emit(ending.message)
        else:
            self.say("Cancelled.")
            self.cancelled.emit()
        self._end()

    def _turn(self) -> None:
        """Do the next step of showing the result."""
        over = True
        try:
            over = self._rest is None or next(self._rest, self) is self
        finally:
            if over:
                self._turns.stop()
                self._rest = None
                self._end()

    def _end(self) -> None:
        """Tell that all is over, unless the result is still being shown."""
        if self._rest is not None:
            self._refresh()
            return
        activity, self._activity = self._activity, None
        self._refresh()
        self.ended.emit()
        if activity is not None:
            activity.close()

    def _refresh(self) -> None:
        running = self.running
        self.start_button.setEnabled(not running and self._why is None)
        self.start_button.setToolTip(self._why or "")
        self._blocked.setText(self._why or "")
        self._blocked.setVisible(self._why is not None and not running)
        self.cancel_button.setVisible(running)
        self.cancel_button.setEnabled(self._worker is not None and not self._worker.abort_requested)
        self.status.setVisible(running)
        if not running:
            self.bar.setVisible(False)


def copy_command(*jobs: AnyJob) -> str:
    """Put the shell command that does these jobs, one after the other, on the clipboard, and return it."""
    text = " && ".join(command(job) for job in jobs)
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    clipboard.setText(text)
    return text
