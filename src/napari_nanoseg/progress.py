"""Show the progress of long functions: a bar in terminals and notebooks, or whatever the caller likes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Epoch, Event, Listener, Notice, Progress, Stage, ignore, is_followed, listening

Show = bool | Listener
"""What the parameter ``progress`` of long functions takes."""

DELAY_S = 0.5
"""Work that ends sooner shows no bar, so that a loop over small images stays quiet."""


@contextmanager
def shown(progress: Show) -> Iterator[None]:
    """Show the progress of the work inside the ``with`` block.

    Parameters
    ----------
    progress : bool or callable
        True shows a bar: a widget in notebooks, a line in terminals, nothing when standard error is not a terminal;
        and nothing inside work that is followed already, whose listener gets the events. False is silent. A callable
        is given every event: :class:`~napari_nanoseg.Stage`, :class:`~napari_nanoseg.Progress`,
        :class:`~napari_nanoseg.Notice`, :class:`~napari_nanoseg.Epoch`.

    Raises
    ------
    NanosegError
        When `progress` is something else.
    """
    if not (isinstance(progress, bool) or callable(progress)):
        raise NanosegError(f"'progress' is {progress!r}; give True, False or a function that takes an event.")
    if progress is True and is_followed():
        yield
    elif progress is True:
        with _Bar() as bar, listening(bar.show):
            yield
    else:
        with listening(progress or ignore):
            yield


class _Bar:
    """One bar of tqdm for each stage of a job; notices are printed above it."""

    def __init__(self) -> None:
        self._hidden = False
        self._bar: Any = None
        self._stage = ""

    def __enter__(self) -> Self:
        terminal = sys.stderr.isatty()
        self._hidden = not terminal and "IPython" not in sys.modules
        if not self._hidden:
            from tqdm.auto import tqdm
            from tqdm.notebook import tqdm_notebook

            # a notebook's standard error is no terminal, but its widget needs none
            self._hidden = not (terminal or issubclass(tqdm, tqdm_notebook))
            self._tqdm = tqdm
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def show(self, event: Event) -> None:
        """Show an event."""
        if self._hidden:
            return
        if isinstance(event, Stage):
            self._end()
            self._stage = event.message.rstrip(".")
        elif isinstance(event, Notice):
            self._tqdm.write(f"Note: {event.message}", file=sys.stderr)
        elif isinstance(event, Progress):
            self._move(event)
        elif isinstance(event, Epoch) and self._bar is not None:
            self._bar.set_postfix({name: f"{value:.3g}" for name, value in event.losses.items()})

    def _move(self, event: Progress) -> None:
        if self._bar is not None and (self._bar.total, self._bar.unit) != (event.total, f" {event.unit}"):
            self._end()
        if self._bar is None:
            self._bar = self._tqdm(
                total=event.total, desc=self._stage, unit=f" {event.unit}", delay=DELAY_S, dynamic_ncols=True
            )
        self._bar.update(event.done - self._bar.n)

    def _end(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()
