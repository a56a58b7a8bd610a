"""How far a job is and how long it will take, in words."""

from __future__ import annotations

from napari_nanoseg.events import Progress

LEAST_S = 3.0
"""Time left is a guess after that much of a stage."""


class Count:
    """When something began to be counted in a stage, such as steps or, in between, validation patches."""

    def __init__(self, began: float, first: int) -> None:
        self.began, self.first, self.last = began, first, first


def counted(progress: Progress, elapsed_s: float, done_since: int) -> str:
    """Say how far a stage is, as "12 of 40 tiles, 3 min left"; without the time while it is too early to tell."""
    text = f"{progress.done} of {progress.total} {progress.unit}"
    if elapsed_s < LEAST_S or done_since < 1 or progress.done >= progress.total:
        return text
    return f"{text}, {duration(elapsed_s / done_since * (progress.total - progress.done))} left"


def duration(seconds: float) -> str:
    """Say a time as people do: "40 s", "3 min", "1 h 05 min"."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
