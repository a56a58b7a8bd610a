"""Which annotated images are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from napari_nanoseg.config.base import Config
from napari_nanoseg.config.unet import STANDARD_CLASSES, ClassNames, UNetConfig


class CheckJob(Config):
    """Check a dataset for what would spoil a training: what `nanoseg check` does.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> ns.run(ns.CheckJob(dataset=ns.sample_data() / "annotated"))
    JobResult(images 1, particles 8, problems 0, warnings 0)
    """

    job: Literal["check"] = "check"
    dataset: Path = Field(description="Folder with images/ and masks/")
    labels: Literal["particles", "dense", "sparse"] = Field(
        "particles",
        description="What masks say: which particle a pixel is of; or, for a U-Net, which class, dense or sparse "
        "(scribbles)",
    )
    classes: ClassNames = Field(
        ("crack",), description="Names of the classes in masks of classes, in the order of their values",
        json_schema_extra={"suggestions": list(STANDARD_CLASSES), "option": "--class"},
    )  # fmt: skip

    @property
    def network(self) -> UNetConfig | None:
        """What masks of classes are read for; None where they are of particles."""
        return None if self.labels == "particles" else UNetConfig(classes=self.classes, labels=self.labels)
