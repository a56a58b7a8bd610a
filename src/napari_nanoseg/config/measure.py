"""How particles are measured."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from napari_nanoseg.config.base import Config, ExcludeBorder, Overwrite, PixelSize


class MeasureConfig(Config):
    """What turns label images into sizes and shapes.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> config = ns.MeasureConfig(pixel_size_nm=2.5)
    >>> job = ns.MeasureJob(labels=[ns.sample_data() / "particles_truth.tif"], config=config, out="particles.csv")
    >>> round(ns.run(job).figures["d50_nm"], 1)
    136.7
    """

    pixel_size_nm: PixelSize = None
    exclude_border: ExcludeBorder = Field(
        default=True,
        description="Leave particles that touch the image border out of the size distribution (they stay in the table)",
    )


class MeasureJob(Config):
    """Measure label images into one table.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> job = ns.MeasureJob(labels=[ns.sample_data() / "particles_truth.tif"], out="particles.csv")
    >>> ns.run(job).figures["n"]
    64
    """

    job: Literal["measure"] = "measure"
    config: MeasureConfig = MeasureConfig()
    labels: tuple[Path, ...] = Field(
        min_length=1, description="Label images, folders of label images, data sets or COCO files"
    )
    images: tuple[Path, ...] = Field(
        default=(), description="Micrographs (files or folders, found by stem), for intensities and pixel sizes"
    )
    out: Path = Field(description="Table to write: .csv or .xlsx")
    overwrite: Overwrite = False
