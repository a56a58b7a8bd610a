"""Which annotated images are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from napari_nanoseg.config.base import Config


class CheckJob(Config):
    """Check a dataset for what would spoil a training: what `nanoseg check` does."""

    job: Literal["check"] = "check"
    dataset: Path = Field(description="Folder with images/ and masks/")
