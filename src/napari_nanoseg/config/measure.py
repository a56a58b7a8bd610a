"""How particles are measured."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from napari_nanoseg.config.base import Config, ExcludeBorder, PixelSize


class MeasureConfig(Config):
    """What turns label images into sizes and shapes."""

    pixel_size_nm: PixelSize = None
    exclude_border: ExcludeBorder = Field(
        default=True,
        description="Leave particles that touch the image border out of the size distribution (they stay in the table)",
    )


class MeasureJob(Config):
    """Measure label images into one table."""

    job: Literal["measure"] = "measure"
    config: MeasureConfig = MeasureConfig()
    labels: tuple[Path, ...] = Field(
        min_length=1, description="Label images, folders of label images, data sets or COCO files"
    )
    images: tuple[Path, ...] = Field(
        default=(), description="Micrographs (files or folders, found by stem), for intensities and pixel sizes"
    )
    out: Path = Field(description="Table to write: .csv or .xlsx")
