"""What long work tells while it runs, and how it is left early.

A function that may take long calls :func:`tell` with events and :func:`checkpoint` where it can be left. Both reach the
listener that its caller set up with :func:`listening`; without one they do nothing. A listener that wants the work to
end raises :class:`Cancelled`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import asdict, dataclass, field
from typing import Any, ParamSpec, TypeVar, get_args

from napari_nanoseg.display import Shown, figures_line
from napari_nanoseg.errors import NanosegError


@dataclass(frozen=True, slots=True)
class Stage:
    """A new part of the job begins; `message` is a sentence for people.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> events = []
    >>> job = ns.MeasureJob(labels=[ns.sample_data() / "particles_truth.tif"], out="particles.csv")
    >>> result = ns.run(job, progress=events.append)
    >>> events[0]
    Stage(name='measure', message='Measuring 1 label image')
    """

    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` units (tiles, images, steps) of the current stage are finished.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> events = []
    >>> image = ns.read_image(ns.sample_data() / "particles.tif")
    >>> particles = ns.load_model("watershed").segment(image, tile=512, progress=events.append)
    >>> [event for event in events if isinstance(event, ns.Progress)][-1]
    Progress(done=1, total=1, unit='tiles')
    """

    done: int
    total: int
    unit: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know although the job goes on (a choice made for them, a doubtful input).

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> events = []
    >>> pixels = ns.read_image(ns.sample_data() / "particles.tif").data
    >>> image = ns.Image(pixels, source="a.tif")
    >>> particles = ns.load_model("watershed").segment(image, progress=events.append)
    >>> [event.message for event in events if isinstance(event, ns.Notice)][0]
    "a.tif: the particles are taken to be brighter than the background; set 'invert' if not."
    """

    message: str


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of a training is over and its checkpoint is on disk.

    `losses` and `validation` map names to values; `preview` is the path of an image of the validation patches with
    the outlines found in them, or None.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> epoch = ns.Epoch(1, 3, {"loss": 0.71}, {"f1": 0.83}, elapsed_s=20.0, remaining_s=40.0)
    >>> f"{epoch.epoch} of {epoch.epochs}: F1 {epoch.validation['f1']}"
    '1 of 3: F1 0.83'
    """

    epoch: int
    epochs: int
    losses: Mapping[str, float]
    validation: Mapping[str, float]
    elapsed_s: float
    remaining_s: float
    preview: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class JobResult(Shown):
    """What a job leaves: figures for tables and the files written (name to path).

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> job = ns.MeasureJob(labels=[ns.sample_data() / "particles_truth.tif"], out="particles.csv")
    >>> result = ns.run(job)
    >>> result.files["table"]
    'particles.csv'
    >>> result.figures["n"]
    64
    """

    figures: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def _line(self) -> str:
        parts = [", ".join(self.files) and f"files: {', '.join(self.files)}", figures_line(self.figures)]
        return "; ".join(part for part in parts if part)

    def _rows(self) -> dict[str, Any]:
        return {**self.figures, **self.files}


@dataclass(frozen=True, slots=True)
class Failed:
    """How a child process tells its parent about an error; `traceback` is None for what the user can mend."""

    message: str
    traceback: str | None = None


Event = Stage | Progress | Notice | Epoch
Listener = Callable[[Event], object]
"""Takes every event of the work."""

Line = Event | JobResult | Failed
_LINES: dict[str, type[Line]] = {kind.__name__: kind for kind in get_args(Line)}


def to_json(line: Line) -> str:
    """Write an event, result or failure as one line of JSON (no newline)."""
    return json.dumps({"type": type(line).__name__, **asdict(line)}, default=_plain)


def _plain(value: Any) -> Any:
    """Turn a NumPy scalar into the number it is, anything else (a path) into its text."""
    return value.item() if hasattr(value, "item") else str(value)


def from_json(text: str) -> Line:
    """Read what :func:`to_json` wrote.

    Raises
    ------
    NanosegError
        When the text is not such a line.
    """
    try:
        values = json.loads(text)
        return _LINES[values.pop("type")](**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NanosegError(f"This is not an event of a NanoSeg job: {text[:200]!r}.") from error


class Cancelled(BaseException):
    """Raised by a listener to end the work; no ``except Exception`` stops it on its way."""


@dataclass(frozen=True, slots=True)
class _Audience:
    """Who listens: a listener, what it does where the work may be left, and who listened before it."""

    listener: Listener
    leave: Callable[[], object] | None
    outer: _Audience | None
    lock: threading.RLock


_audience: ContextVar[_Audience | None] = ContextVar("_audience", default=None)
_leaving: ContextVar[bool] = ContextVar("_leaving", default=False)
"""Whether the work of this thread is being left."""
_P = ParamSpec("_P")
_T = TypeVar("_T")


@contextmanager
def listening(listener: Listener, leave: Callable[[], object] | None = None) -> Iterator[None]:
    """Give a listener every event of the work inside the ``with`` block.

    The listener is called by one thread at a time, also where several threads work. What it tells itself reaches the
    listener outside, so that a listener can change the events on their way.

    Parameters
    ----------
    listener : callable
        Takes an event.
    leave : callable, optional
        Called without an argument at every event and every checkpoint; raises :class:`Cancelled` to end the work. It
        comes on top of that of the listeners outside.
    """
    outer = _audience.get()
    token = _audience.set(_Audience(listener, leave, outer, threading.RLock()))
    try:
        yield
    finally:
        _audience.reset(token)
        if outer is None:
            _leaving.set(False)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Tell nobody of the work inside the ``with`` block, and let nobody end it."""
    token = _audience.set(None)
    try:
        yield
    finally:
        _audience.reset(token)


def tell(event: Event) -> None:
    """Tell the listener of an event; the work may be left here, too."""
    audience = _audience.get()
    if audience is None:
        return
    checkpoint()
    token = _audience.set(audience.outer)
    try:
        with audience.lock:
            audience.listener(event)
    except Cancelled:
        _leaving.set(True)
        raise
    finally:
        _audience.reset(token)


def checkpoint() -> None:
    """Mark a place where the work may be left; without a listener it takes 50 ns.

    Work that is being left is not interrupted again: what it keeps and cleans up may have checkpoints, too.
    """
    audience = _audience.get()
    while audience is not None:
        if audience.leave is not None and not _leaving.get():
            try:
                audience.leave()
            except Cancelled:
                _leaving.set(True)
                raise
        audience = audience.outer


def ignore(event: Event) -> None:
    """Listen to an event and do nothing."""


def is_followed() -> bool:
    """Whether anybody listens."""
    return _audience.get() is not None


def in_context(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Give a function that another thread will run the listener of this one.

    Every call has its own copy of the context, so that several threads may run the function at the same time.
    """
    context = copy_context()

    def run(*arguments: _P.args, **named: _P.kwargs) -> _T:
        return context.copy().run(function, *arguments, **named)

    return run
