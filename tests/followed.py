"""Run work and collect what it tells, or leave it early."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_nanoseg.events import Cancelled, Event, listening


def events_of(work: Callable[[], Any]) -> tuple[list[Any], Any]:
    """Do the work: the events that it tells, and its result."""
    events: list[Any] = []
    with listening(events.append):
        result = work()
    return events, result


def places_to_leave(work: Callable[[], Any]) -> int:
    """Count the places where the work can be left: its events and checkpoints."""
    places: list[None] = []
    with listening(lambda event: None, lambda: places.append(None)):
        work()
    return len(places)


def leave_at(wanted: Callable[[Event], bool], work: Callable[[], Any]) -> list[Any]:
    """Leave the work at the first event that is wanted; the events until then, that one the last."""
    events: list[Any] = []

    def listen(event: Event) -> None:
        events.append(event)
        if wanted(event):
            raise Cancelled

    try:
        with listening(listen):
            work()
    except Cancelled:
        return events
    raise AssertionError(f"the work ended before it could be left; it told {events}")


def leave_after(places: int, work: Callable[[], Any]) -> None:
    """Leave the work at its next event or checkpoint after so many."""
    left = iter(range(places))

    def leave() -> None:
        if next(left, None) is None:
            raise Cancelled

    try:
        with listening(lambda event: None, leave):
            work()
    except Cancelled:
        return
    raise AssertionError(f"the work ended before {places} events and checkpoints")
