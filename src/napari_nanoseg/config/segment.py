"""What a segmentation needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from napari_nanoseg.config.base import Config, Device, Overwrite
from napari_nanoseg.config.baseline import BaselineWishes

LEAST_PROBABILITY = 0.1
"""Docks keep what is at least so probable, for thresholds that are chosen later. Below it is mostly background."""

Invert = Annotated[
    Literal["auto", "no", "yes"] | None,
    Field(
        description="Invert the contrast first; auto: whichever the model is surer of; none: as the model was made for"
    ),
]
"""What is done to the contrast before a network sees it."""
Border = Annotated[
    int | None,
    Field(
        ge=0, le=512,
        description="Mirrored rim around the image at working scale; none: the model's own (networks only)",
        json_schema_extra={"unit": "px", "advanced": True},
    ),
]  # fmt: skip
"""How far a network sees beyond the image."""
Tile = Annotated[
    int,
    Field(
        ge=128, le=16384, description="Side of the tiles that are looked at one by one",
        json_schema_extra={"unit": "px", "advanced": True},
    ),
]  # fmt: skip
"""How much a model sees at once."""


class SegmentConfig(Config):
    """How a model is applied to an image.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> image = ns.read_image(ns.sample_data() / "particles.tif")
    >>> config = ns.SegmentConfig(diameter=58, min_area=20)
    >>> ns.load_model("watershed").segment(image, config)
    Instances(58 particles, 768 x 1024 px)
    """

    diameter: float | None = Field(
        None, gt=0, description="Particle diameter in this image; none: from pixel sizes, as in training, or estimated",
        json_schema_extra={"unit": "px", "start": 30.0},
    )  # fmt: skip
    probability: float | None = Field(
        None, ge=0, le=1, description="Least object probability; none: the model's own threshold (networks only)"
    )
    overlap: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Most overlap of two objects (NMS threshold); none: the model's own (networks only)",
    )
    invert: Invert = None
    border: Border = None
    min_area: float = Field(
        0.0, ge=0, description="Smallest object kept", json_schema_extra={"unit": "px", "advanced": True}
    )
    tile: Tile = 1024
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:1 or mps")
    baseline: BaselineWishes = Field(
        BaselineWishes(), title="Without a network", description="Parameters of models without a network"
    )


class SegmentJob(Config):
    """Segment images: what `nanoseg segment` does.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> job = ns.SegmentJob(model="watershed", images=[ns.sample_data() / "particles.tif"], out="labels")
    >>> result = ns.run(job)
    >>> ns.read_labels("labels/particles.tif")
    Instances(52 particles, 768 x 1024 px)
    """

    job: Literal["segment"] = "segment"
    config: SegmentConfig = SegmentConfig()
    model: Path = Field(description="Model folder or file, or the name of a model of the library")
    images: tuple[Path, ...] = Field(min_length=1, description="Images or folders of images")
    out: Path = Field(description="Folder for one label image per image")
    coco: Path | None = Field(None, description="COCO file for all instances")
    resume: bool = Field(
        False,
        title="Keep finished images",
        description="Keep labels, also corrected ones, that were made with the same model and settings",
    )
    overwrite: Overwrite = False
