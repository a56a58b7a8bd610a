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
        title="IoU threshold",
        gt=0,
        lt=1,
        description="A prediction is right when it overlaps a true particle with at least this intersection over union",
    )


class EvaluateJob(Config):
    """Compare predicted label images with true ones, paired by file stem."""

    job: Literal["evaluate"] = "evaluate"
    config: EvaluateConfig = EvaluateConfig()
    truth: Path = Field(description="True label image, folder of label images, data set or COCO file")
    prediction: Path = Field(description="Predicted label image, folder of label images, data set or COCO file")
    images: tuple[Path, ...] = Field(
        default=(),
        description="Micrographs for the overlays, found by stem; empty: the data set's own",
    )
    out: Path | None = Field(
        default=None,
        description="Folder for the table per image, figures and overlays; empty: nothing is written",
    )
