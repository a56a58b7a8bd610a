"""How transmission becomes optical density."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from napari_nanoseg.config.base import Config, Overwrite

Span = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]]
"""First row or column of a region, and the one after its last."""
PIXELS: dict[str, Any] = {"unit": "px", "start": (0, 16)}


class DensityConfig(Config):
    """What turns the intensities I of a transmission image into its optical density -ln(I / I0).

    I0 is found in every slice of a stack on its own: the mean of a region when there is one, else a percentile of the
    image. A reference image, given beside the config, replaces both.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> config = ns.DensityConfig(rows=(0, 10), columns=(0, 64), dark=100)
    >>> ns.optical_density(np.full((64, 64), 1100.0), config).incident
    array([1000.])
    """

    percentile: float = Field(
        98.0, ge=50, le=100, description="I0 is this percentile of the image, unless a region or a reference is given",
        json_schema_extra={"unit": "%", "step": 0.5},
    )  # fmt: skip
    averaging: int = Field(
        5, ge=1, le=64,
        description="Side of the squares whose means the percentile is taken of; with 1, noise makes I0 too high",
        json_schema_extra={"unit": "px"},
    )  # fmt: skip
    rows: Span | None = Field(
        None, description="I0 is the mean of these rows: the first, and the one after the last; none: all",
        json_schema_extra=PIXELS,
    )  # fmt: skip
    columns: Span | None = Field(
        None, description="I0 is the mean of these columns: the first, and the one after the last; none: all",
        json_schema_extra=PIXELS,
    )  # fmt: skip
    dark: float = Field(
        0.0, ge=-1e9, le=1e9, title="Dark level",
        description="What the detector reads without a beam; it is subtracted from image and reference",
        json_schema_extra={"unit": "counts"},
    )  # fmt: skip
    floor: float | None = Field(
        0.001, gt=0, lt=1, title="Least transmission",
        description="Lower intensities, zero and negative ones included, count as this share of I0; none: zero and "
        "negative intensities count as the least positive one of their slice",
    )  # fmt: skip
    clip: bool = Field(
        False, title="No negative density",
        description="Set negative densities, where it is brighter than I0, to 0; noise of the background is cut so",
    )  # fmt: skip

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for name in ("rows", "columns"):
            span = getattr(self, name)
            if span is not None and span[0] >= span[1]:
                raise ValueError(f"the range '{name}' is {span[0]} to {span[1]}: its first value must be the smaller")
        return self


class DensityJob(Config):
    """Turn transmission images into optical density: what `nanoseg density` does.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> job = ns.DensityJob(images=[ns.sample_data() / "particles.tif"], out="density")
    >>> result = ns.run(job)
    >>> ns.read_image("density/particles.tif").dtype
    dtype('float32')
    """

    job: Literal["density"] = "density"
    config: DensityConfig = DensityConfig()
    images: tuple[Path, ...] = Field(min_length=1, description="Transmission images or stacks, or folders of them")
    out: Path = Field(description="Folder for one image of optical density per image")
    reference: Path | None = Field(
        None,
        description="Image without the sample, for I0 pixel by pixel; a stack has one slice for each of the images'",
    )
    region: Path | None = Field(None, description="Label image: I0 is the mean of the image inside its labels")
    overwrite: Overwrite = False
