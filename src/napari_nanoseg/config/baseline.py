"""Models without a network: what needs no training, to see what a network adds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_nanoseg.config.base import ADVANCED, Config


class BaselineConfig(Config):
    """How foreground is told from background by grey values alone.

    Lengths in particle diameters follow that of the image, told or estimated.
    """

    engine: Literal["threshold", "watershed"]
    method: Literal["otsu", "local"] = Field(
        "otsu",
        description="Otsu's threshold for the whole image, or the mean of the surroundings of every pixel",
    )
    smoothing: float = Field(
        1.0, ge=0, le=50, description="Sigma of the Gaussian filter before the threshold, px at working scale",
        json_schema_extra={"unit": "px"},
    )  # fmt: skip
    window: float = Field(
        3.0, gt=1, le=100, description="Side of the surroundings for the local threshold, in particle diameters"
    )
    polarity: Literal["auto", "bright", "dark"] = Field(
        "auto", description="Whether particles are brighter or darker than the background; auto: guessed from the image"
    )
    holes: float = Field(
        0.1, ge=0, le=10, description="Holes of less than this share of a particle's area are filled; 0: none",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    least_area: float = Field(
        0.1, ge=0, le=1, description="Least area of what is kept, as a share of a particle's; 0: everything",
        json_schema_extra=ADVANCED,
    )  # fmt: skip


class ThresholdConfig(BaselineConfig):
    """Conventional thresholding: every connected piece of the foreground is one object."""

    engine: Literal["threshold"] = "threshold"


class WatershedConfig(BaselineConfig):
    """Thresholding, then touching particles are parted by a watershed of the distance to the background."""

    engine: Literal["watershed"] = "watershed"
    depth: float = Field(
        0.1, ge=0, le=1, description="Particles are parted where the distance to the background dips by more than this "
        "between them, in particle diameters",
    )  # fmt: skip
