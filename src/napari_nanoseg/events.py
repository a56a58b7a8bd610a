"""What a job says while it runs: frozen facts that travel between processes as JSON lines.

A job is a generator: it yields these events and returns a :class:`JobResult`. Closing the generator cancels it.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar, get_args

from napari_nanoseg.display import Shown, figures_line
from napari_nanoseg.errors import NanosegError


@dataclass(frozen=True, slots=True)
class Stage:
    """A new part of the job begins; `message` is a sentence for people."""

    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` units (tiles, images, steps) of the current stage are finished."""

    done: int
    total: int
    unit: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know although the job goes on (a choice made for them, a doubtful input)."""

    message: str


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of a training is over and its checkpoint is on disk.

    `losses` and `validation` map names to values; `preview` is the path of an image of the validation patches with
    the outlines found in them, or None.
    """

    epoch: int
    epochs: int
    losses: Mapping[str, float]
    validation: Mapping[str, float]
    elapsed_s: float
    remaining_s: float
    preview: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing new: a job that waits for another process says so, that it can be closed then. It is not shown."""


@dataclass(frozen=True, slots=True, repr=False)
class JobResult(Shown):
    """What a job leaves: figures for tables and the files written (name to path)."""

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


Event = Stage | Progress | Notice | Epoch | Waiting
Job = Generator[Event, None, JobResult]
"""The type of every job."""

Line = Event | JobResult | Failed
_LINES: dict[str, type[Line]] = {kind.__name__: kind for kind in get_args(Line)}
_Returned = TypeVar("_Returned")


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


def drain(job: Generator[Any, None, _Returned]) -> _Returned:
    """Run a job to its end, ignoring its events, and return its result."""
    while True:
        try:
            next(job)
        except StopIteration as stop:
            result: _Returned = stop.value
            return result
