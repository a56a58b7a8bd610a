"""How the damage of a volume is analysed."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from napari_nanoseg.config.base import ADVANCED, Config

CRACK, VOID, PARTICLE = "crack", "void", "particle"
"""Names of the classes that the analysis knows; others are neither."""
SHAPES: dict[str, Any] = {"group": "Cracks and particles one by one"}
VOIDS: dict[str, Any] = {"group": "Particles and voids"}


class DamageConfig(Config):
    """What turns a class map into damage, packing, their correlation, and tables of cracks and particles.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> classes = ns.open_volume(ns.sample_data() / "cathode" / "classes.tif")
    >>> config = ns.DamageConfig(names=("crack", "void", "binder", "particle"), window_um=3.5)
    >>> ns.damage(classes, config=config).window
    (25, 25)
    """

    names: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (CRACK,), min_length=1, title="Classes",
        description="Names of the values 1, 2, ... of the class map, such as crack, void, carbon/binder, particle; of "
        "one name alone, every value above 0 is that class",
    )  # fmt: skip
    window: int = Field(
        50, ge=1, le=10_000, description="Side of the moving window", json_schema_extra={"unit": "px"}
    )  # fmt: skip
    window_um: float | None = Field(
        None, gt=0, le=1e6, title="Window, physical",
        description="Side of the moving window, whatever the size of a pixel; none: it is given in pixels",
        json_schema_extra={"unit": "µm", "start": 4.0},
    )  # fmt: skip
    stride: int = Field(
        1, ge=1, le=1000, description="Distance of two pixels of the maps; with 1 they have the image's own grid",
        json_schema_extra={"unit": "px"},
    )  # fmt: skip
    normalise: Literal["window", "particle"] = Field(
        "window", title="Damage per",
        description="What the crack area in a window is divided by: the area of the window, or of the particles in it",
    )  # fmt: skip
    particles: Literal["auto", "mask", "classes", "otsu"] = Field(
        "auto", json_schema_extra=VOIDS,
        description="What is particle: a mask or label volume, the class 'particle', or what is brighter than Otsu's "
        "threshold of the grey volume; auto: the first of them that there is",
    )  # fmt: skip
    include_cracks: bool = Field(
        True, title="Cracks are packed",
        description="Count cracks as parts of the particles in the packing density; in the damage per particle they "
        "always are",
        json_schema_extra=VOIDS,
    )  # fmt: skip
    otsu_voids: bool = Field(
        True, title="Voids apart in the threshold",
        description="Leave voids, the darkest of three classes by Otsu's method, out of the histogram that parts "
        "particles from the rest; without, large voids pull the threshold down",
        json_schema_extra=VOIDS,
    )  # fmt: skip
    exclude_voids: bool = Field(
        False, title="Voids have no area",
        description="Leave voids (the class 'void', else the darkest grey class) out of the area of windows",
        json_schema_extra=VOIDS,
    )  # fmt: skip
    overlap: float = Field(
        0.75, ge=0, le=0.95, title="Overlap of windows",
        description="Part of their side that neighbouring windows share where damage is correlated with packing; with "
        "0, windows lie side by side and the slope depends much on where they happen to begin",
        json_schema_extra={"step": 0.05, **ADVANCED},
    )  # fmt: skip
    slices: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (), description="Slices whose distribution of damage is told; empty: five evenly spaced ones"
    )
    confidence: float = Field(
        0.95, ge=0.5, le=0.999, description="Confidence of bands and intervals", json_schema_extra={"step": 0.01}
    )
    smoothing: float | None = Field(
        None, gt=0, le=1000, title="Smoothing over depth",
        description="Standard deviation of the Gaussian with which the slope is smoothed over depth; none: a twentieth "
        "of the slices",
        json_schema_extra={"unit": "slices", "start": 10.0, **ADVANCED},
    )  # fmt: skip
    morphology: bool = Field(
        True, title="Cracks one by one",
        description="Measure centre lines, widths and directions, and tell connected cracks apart",
        json_schema_extra=SHAPES,
    )  # fmt: skip
    smallest: int = Field(
        27, ge=1, le=10**9, title="Smallest piece",
        description="Cracks and particles of fewer voxels are counted but have no row in the tables",
        json_schema_extra={"unit": "voxels", **SHAPES},
    )  # fmt: skip
    largest: float = Field(
        10.0, gt=0, le=10_000, title="Largest box of a crack",
        description="A crack whose bounding box has more voxels gets no centre line in 3-D, which needs about 30 bytes "
        "for each of them",
        json_schema_extra={"unit": "million voxels", **SHAPES},
    )  # fmt: skip
    per_slice: bool = Field(
        False, title="Particles slice by slice",
        description="The particles of every slice are others: labels count, and pieces are told apart, in each alone",
        json_schema_extra=SHAPES,
    )  # fmt: skip

    @model_validator(mode="after")
    def _knows_cracks(self) -> Self:
        if CRACK not in self.names:
            raise ValueError(f"'names' is {', '.join(self.names)}: one of them must be '{CRACK}'")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"'names' is {', '.join(self.names)}: every class needs a name of its own")
        return self
