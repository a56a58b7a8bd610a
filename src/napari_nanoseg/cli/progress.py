"""What a job says, on stderr: moving bars in a terminal, few plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from napari_nanoseg import events

_STEPS = 10
"""Outside a terminal a stage prints at most so many lines."""


def follow(run: Callable[[], events.JobResult], console: Console) -> events.JobResult:
    """Run a job to its end and show its events."""
    with _Bars(console) if console.is_terminal else _Lines(console) as display, events.listening(display.show):
        return run()


class _Display(Protocol):
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, event: events.Event) -> None: ...


class _Lines:
    """Plain lines: every stage, notice and epoch, and every tenth of a stage."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: events.Event) -> None:
        if isinstance(event, events.Progress):
            step = _STEPS * event.done // max(event.total, 1)
            if step <= self._shown:
                return
            self._shown = step
            self._print(f"  {event.done} of {event.total} {event.unit}")
            return
        if isinstance(event, events.Stage):
            self._shown = 0
        self._print(_sentence(event))

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Bars:
    """One bar for each stage; notices and epochs stay above the bars."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeRemainingColumn(),
            console=console,
            expand=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, event: events.Event) -> None:
        if isinstance(event, events.Stage):
            self._finish()
            self._task = self._progress.add_task(escape(event.message), total=None, unit="")
        elif isinstance(event, events.Progress):
            if self._task is None:
                self._task = self._progress.add_task("", total=None, unit="")
            self._progress.update(self._task, completed=event.done, total=event.total, unit=event.unit)
        else:
            self._progress.console.print(_sentence(event), markup=False, highlight=False, soft_wrap=True)

    def _finish(self) -> None:
        """Fill the bar of a stage that is over."""
        if self._task is not None:
            task = self._progress.tasks[self._task]
            total = task.total or 1
            self._progress.update(self._task, completed=total, total=total)


def _sentence(event: events.Stage | events.Notice | events.Epoch) -> str:
    if isinstance(event, events.Stage):
        return event.message
    if isinstance(event, events.Notice):
        return f"Note: {event.message}"
    values = ", ".join(f"{name} {value:.4g}" for name, value in event.losses.items())
    checked = ", ".join(f"{name} {value:.4g}" for name, value in event.validation.items())
    text = f"Epoch {event.epoch} of {event.epochs}: {values}"
    return f"{text}; validation: {checked}; {_left(event)}" if checked else f"{text}; {_left(event)}"


def _left(event: events.Epoch) -> str:
    minutes, seconds = divmod(round(event.remaining_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d} left"
