"""How particles are measured."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from napari_nanoseg.config.base import Config

TABLE_FORMATS = (".csv", ".xlsx")


class MeasureConfig(Config):
    """What turns label images into sizes and shapes."""

    pixel_size_nm: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="pixel size; empty takes the one stored in the label image or the micrograph",
        json_schema_extra={"unit": "nm"},
    )
    exclude_border: bool = Field(
        default=True,
        description="leave particles that touch the image border out of the size distribution (they stay in the table)",
    )


class MeasureJob(Config):
    """Measure label images into one table."""

    job: Literal["measure"] = "measure"
    config: MeasureConfig = MeasureConfig()
    labels: tuple[Path, ...] = Field(
        min_length=1, description="label images, folders of label images, data sets or COCO files"
    )
    images: tuple[Path, ...] = Field(
        default=(), description="the micrographs (files or folders, found by stem), for intensities and pixel sizes"
    )
    out: Path = Field(description="table to write: .csv or .xlsx")

    @field_validator("out")
    @classmethod
    def _is_table(cls, out: Path) -> Path:
        if out.suffix.lower() not in TABLE_FORMATS:
            raise ValueError(f"the table's name must end in {' or '.join(TABLE_FORMATS)}")
        return out
