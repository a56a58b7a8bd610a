"""The demonstration: the whole loop on the sample micrograph."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from napari_nanoseg.config.base import Config


class DemoJob(Config):
    """Annotate few, generate, train, segment, measure, compare: what `nanoseg demo` does.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> job = ns.DemoJob(out="demo", steps=400, show="none")
    >>> print(job.to_yaml(), end="")
    job: demo
    out: demo
    steps: 400
    show: none
    seed: 0
    """

    job: Literal["demo"] = "demo"
    out: Path = Field(Path("demo_output"), description="Folder of the results; an earlier demo in it is replaced")
    steps: int = Field(200, ge=1, le=100_000, description="Training steps")
    show: Literal["auto", "window", "screenshot", "none"] = Field(
        "auto", description="Show the result in napari; auto: a window where there is a display, else a screenshot"
    )
    seed: int = Field(0, ge=0, description="Seed of everything random")
