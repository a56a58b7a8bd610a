"""How a prediction is compared with the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from napari_nanoseg.config.base import Config


class EvaluateConfig(Config):
    """When a predicted particle counts as found."""

    iou_threshold: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="a prediction is right when it overlaps a true particle with at least this intersection over union",
    )


class EvaluateJob(Config):
    """Compare predicted label images with true ones, paired by file stem."""

    job: Literal["evaluate"] = "evaluate"
    config: EvaluateConfig = EvaluateConfig()
    truth: Path = Field(description="true label image, folder of label images, data set or COCO file")
    prediction: Path = Field(description="predicted label image, folder of label images, data set or COCO file")
    out: Path | None = Field(
        default=None, description="folder for the table per image, the figures and the overlays; empty writes nothing"
    )
