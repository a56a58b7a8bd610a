"""How a prediction is compared with the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from napari_nanoseg.config.base import Config, ExcludeBorder, Overwrite, PixelSize

Length = Annotated[float, Field(gt=0)]
PRECISION: dict[str, Any] = {"group": "Average precision"}
AGREEMENT: dict[str, Any] = {"group": "Sizes and shapes"}


class EvaluateConfig(Config):
    """When a predicted particle counts as found, how the average precision is divided, and whose sizes are compared.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> config = ns.EvaluateConfig(pixel_size_nm=2.5, exclude_border=False)
    >>> ns.agreement(truth, truth[:60], config)["area"]
    Agreement(area: median 1.44e+04 nm² true (80), 1.42e+04 nm² predicted (60); 60 pairs)
    """

    iou_threshold: float = Field(
        default=0.5,
        title="IoU threshold",
        gt=0,
        lt=1,
        description="A prediction is right when it overlaps a true particle with at least this intersection over union",
    )
    pixel_size_nm: PixelSize = None
    size_limits: tuple[Length, Length] = Field(
        default=(32.0, 96.0),
        title="Size limits",
        description="For the average precision, particles are small up to the first limit and large from the second: "
        "side of a square of the same area",
        json_schema_extra=PRECISION,
    )
    size_unit: Literal["px", "nm"] = Field(
        default="px", title="Unit", description="Unit of the size limits", json_schema_extra=PRECISION
    )
    max_detections: int | None = Field(
        default=None,
        title="Most detections",
        ge=1,
        description="Surest detections of an image and class that count for the average precision (COCO: 100); "
        "none: all of them",
        json_schema_extra=PRECISION | {"start": 100},
    )
    compare_sizes: bool = Field(
        default=True,
        title="Compare sizes and shapes",
        description="Also measure all particles, which takes longest of all, and compare how their sizes, shapes and "
        "orientations are distributed",
        json_schema_extra=AGREEMENT,
    )
    exclude_border: ExcludeBorder = Field(default=True, json_schema_extra=AGREEMENT)
    least_aspect_ratio: float = Field(
        default=1.1,
        title="Orientation from aspect ratio",
        ge=1,
        description="Orientations are compared of particles with at least this aspect ratio; rounder ones have no "
        "direction that means anything",
        json_schema_extra=AGREEMENT | {"step": 0.1},
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        small, large = self.size_limits
        if small > large:
            raise ValueError(f"the range 'size_limits' begins at {small:g} and ends at {large:g}; swap the two")
        return self


class EvaluateJob(Config):
    """Compare predicted label images with true ones, paired by file stem.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> truth = ns.sample_data() / "particles_truth.tif"
    >>> ns.run(ns.EvaluateJob(truth=truth, prediction=truth)).figures["f1"]
    1.0
    """

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
    tolerance: float | None = Field(
        default=None,
        ge=0,
        description="Compare pixels of classes, such as cracks, not particles: how far a pixel may lie from a true one "
        "and still be right; none: particles are compared",
        json_schema_extra={"unit": "px", "start": 2.0},
    )
    overwrite: Overwrite = False
