"""What the cut-and-paste generator is told, and the job that writes a data set with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from napari_nanoseg.config.base import Config, Overwrite

Background = Literal["inpainted", "flat", "quilted"]
Blend = Literal["hard", "feathered", "poisson"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


PARTICLES, BACKGROUND, SIZE = "Particles taken", "Background", "Number and size"
SHAPE, ARRANGEMENT, EDGES, APPEARANCE = "Shape", "Arrangement", "Edges", "Appearance"


def extra(group: str = "", unit: str = "", advanced: bool = False, **more: Any) -> dict[str, Any]:
    """What forms need to know: the section that a field is folded into (none: always seen), its unit and so on."""
    given = {"group": group, "unit": unit, "advanced": advanced, **more}
    return {name: value for name, value in given.items() if value}


class CutPasteConfig(Config):
    """Parameters of the cut-and-paste generator.

    The defaults are the recipe that trained best from one annotated micrograph; ``docs/generator.md`` tells how to
    reproduce UTILE-Gen (ACS Nanosci. Au 2023) with them. A range is drawn from uniformly; a limit is the upper end of
    a range that begins at zero.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> config = ns.CutPasteConfig(height=256, width=256, blur=0.3, seed=1)
    >>> next(ns.generate(config, ns.sample_data() / "annotated")).image
    Image(256 x 256 px, uint8, YX, 2.5 nm/px, 'cutpaste_000000')
    """

    kind: Literal["cutpaste"] = Field("cutpaste", description="The generator")
    height: int = Field(
        1024, ge=32, le=16384, description="Rows of an image", json_schema_extra=extra(unit="px", step=64)
    )
    width: int = Field(
        1024, ge=32, le=16384, description="Columns of an image", json_schema_extra=extra(unit="px", step=64)
    )
    seed: int = Field(
        0, ge=0, le=2**32 - 1, description="The same seed gives the same images", json_schema_extra=extra(step=1)
    )

    # The pool
    drop_border_particles: bool = Field(
        True, description="Leave out source particles cut by the border of their image",
        title="Leave out cut particles", json_schema_extra=extra(PARTICLES),
    )  # fmt: skip
    min_area_fraction: float = Field(
        0.6, ge=0, le=1, description="Leave out source particles smaller than this fraction of the mean area",
        title="Smallest area", json_schema_extra=extra(PARTICLES),
    )  # fmt: skip
    solidity_tolerance: float = Field(
        0.015, ge=0, le=1,
        description="Leave out source particles whose solidity is this much below the sources' 90th percentile: they "
        "are partly hidden by others (1 keeps all)", json_schema_extra=extra(PARTICLES, advanced=True),
    )  # fmt: skip
    drop_outliers: bool = Field(
        True, description="Leave out source particles of unusual area, brightness or saturation (robust z-score > 3.5)",
        title="Leave out unusual ones", json_schema_extra=extra(PARTICLES),
    )  # fmt: skip
    texture: Literal["real", "quilted", "mixed"] = Field(
        "real", description="Surface of the particles: as cut out, synthesised by image quilting, or half of each",
        title="Surface", json_schema_extra=extra(PARTICLES),
    )  # fmt: skip
    quilt_block: int = Field(
        20, ge=4, le=128, description="Block size of image quilting",
        json_schema_extra=extra(PARTICLES, unit="px", advanced=True), title="Quilting block",
    )  # fmt: skip
    quilt_overlap: float = Field(
        1 / 6, gt=0, le=0.5, description="Overlap of neighbouring blocks as a fraction of their size",
        json_schema_extra=extra(PARTICLES, advanced=True), title="Quilting overlap",
    )  # fmt: skip

    # The background
    backgrounds: tuple[Background, ...] = Field(
        ("inpainted", "flat", "quilted"), min_length=1,
        description="Backgrounds to choose from: the real one with particles taken out, its mean grey value, or "
        "texture synthesised from its clean parts", json_schema_extra=extra(BACKGROUND),
    )  # fmt: skip
    background_margin: int = Field(
        3, ge=1, le=50, description="Distance from particles within which nothing is taken as background",
        json_schema_extra=extra(BACKGROUND, unit="px", advanced=True), title="Margin around particles",
    )  # fmt: skip

    # Number and size
    particles_per_image: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] | None = Field(
        None, description="Range of the number of particles; when given it replaces the coverage",
        json_schema_extra=extra(SIZE, start=(20, 60)),
    )  # fmt: skip
    coverage: tuple[Fraction, Annotated[float, Field(ge=0, le=10)]] | None = Field(
        (0.35, 1.1), description="Range of the image area covered by particles"
    )
    coverage_of_source: bool = Field(
        True, description="Coverage counts in multiples of that of fully annotated sources, not as an area fraction",
        title="Relative to the source", json_schema_extra=extra(SIZE),
    )  # fmt: skip
    size_distribution: Literal["found", "lognormal"] = Field(
        "found", description="Sizes as found and rescaled at random, or a target log-normal distribution",
        title="Sizes", json_schema_extra=extra(SIZE),
    )  # fmt: skip
    scale: tuple[Positive, Positive] = Field(
        (0.7, 1.4), description="Range of the magnification of a particle as found", title="Magnification"
    )
    size_median_nm: float | None = Field(
        None, gt=0, description="Median equivalent diameter of the log-normal distribution",
        json_schema_extra=extra(SIZE, unit="nm", start=50.0), title="Median diameter",
    )  # fmt: skip
    size_geometric_sd: float = Field(
        1.3, ge=1, le=5, description="Geometric standard deviation of the log-normal distribution",
        title="Geometric SD", json_schema_extra=extra(SIZE),
    )  # fmt: skip

    # Shape
    rotation: tuple[Annotated[float, Field(ge=-360, le=360)], Annotated[float, Field(ge=-360, le=360)]] = Field(
        (0.0, 360.0), description="Range of the rotation of a particle", json_schema_extra=extra(SHAPE, unit="degree")
    )
    flips: bool = Field(
        True, description="Mirror half of the particles", title="Mirror", json_schema_extra=extra(SHAPE)
    )
    elastic: float = Field(
        0.02, ge=0, le=0.1, description="Limit of the smooth deformation, as a fraction of the diameter",
        title="Deformation", json_schema_extra=extra(SHAPE),
    )  # fmt: skip

    # Arrangement
    overlap: Literal["none", "touching", "free", "clustered"] = Field(
        "clustered",
        description="none: a gap of a pixel or more is guaranteed; touching: clusters without overlap; free: random "
        "positions up to the overlap limit; clustered: clusters up to the overlap limit",
    )  # fmt: skip
    max_overlap: tuple[Fraction, ...] = Field(
        (0.02, 0.1, 0.3), min_length=1,
        description="Largest fraction of any particle that others may cover; one is drawn for each image",
        title="Largest overlaps", json_schema_extra=extra(ARRANGEMENT),
    )  # fmt: skip
    clustered_fraction: float = Field(
        0.75, ge=0, le=1, description="Fraction of the particles put next to another one, where there are clusters",
        title="In clusters", json_schema_extra=extra(ARRANGEMENT),
    )  # fmt: skip
    min_visible: float = Field(
        0.2, ge=0, le=1, description="A particle of which less than this fraction is visible is not annotated",
        json_schema_extra=extra(ARRANGEMENT, advanced=True), title="Least visible",
    )  # fmt: skip
    border_particles: bool = Field(
        True, description="Let the border of the image cut particles (they stay annotated)", title="Cut by the border",
        json_schema_extra=extra(ARRANGEMENT),
    )  # fmt: skip
    contrast_mode: Literal["occlusion", "transmission"] = Field(
        "occlusion",
        description="occlusion: the upper particle hides the lower, masks show what is visible; transmission: "
        "absorption adds up, masks are whole and overlap", title="Contrast of overlaps",
        json_schema_extra=extra(ARRANGEMENT),
    )  # fmt: skip

    # Edges
    blending: tuple[Blend, ...] = Field(
        ("hard", "feathered", "poisson"), min_length=1, description="How edges are blended; one is drawn per particle",
        json_schema_extra=extra(EDGES),
    )  # fmt: skip
    feather: tuple[Positive, Annotated[float, Field(gt=0, le=20)]] = Field(
        (0.7, 2.0), description="Range of the half width of a feathered edge", title="Feathered edge",
        json_schema_extra=extra(EDGES, unit="px", advanced=True),
    )  # fmt: skip
    poisson_length: float = Field(
        2.5, gt=0, le=20, description="Distance from the edge over which Poisson blending adapts the grey values",
        json_schema_extra=extra(EDGES, unit="px", advanced=True),
    )  # fmt: skip
    shadow_probability: float = Field(
        0.5, ge=0, le=1, description="Fraction of the images with contact shadows", title="Images with shadows",
        json_schema_extra=extra(EDGES),
    )  # fmt: skip
    shadow: float = Field(
        0.5, ge=0, le=1, description="Limit of the darkening by a contact shadow", title="Shadow strength",
        json_schema_extra=extra(EDGES),
    )  # fmt: skip

    # Appearance
    dtype: Literal["uint8", "uint16", "float32"] = Field(
        "uint8", description="Type of the pixels; float32 runs from 0 (black) to 1 (white)", title="Pixel type",
        json_schema_extra=extra(APPEARANCE),
    )  # fmt: skip
    particle_brightness: float = Field(
        0.1, ge=0, le=1, description="Limit of the change of a particle's brightness",
        json_schema_extra=extra(APPEARANCE),
    )  # fmt: skip
    jitter_probability: float = Field(
        0.5, ge=0, le=1, description="Fraction of the images whose contrast, brightness and gamma are changed",
        title="Images changed", json_schema_extra=extra(APPEARANCE),
    )  # fmt: skip
    contrast: tuple[Positive, Positive] = Field(
        (0.5, 1.6), description="Range of the contrast factor", title="Contrast factor",
        json_schema_extra=extra(APPEARANCE),
    )  # fmt: skip
    brightness: float = Field(
        0.2, ge=0, le=1, description="Limit of the change of brightness, as a fraction of white",
        title="Brightness change", json_schema_extra=extra(APPEARANCE),
    )  # fmt: skip
    gamma: tuple[Positive, Positive] = Field(
        (0.6, 1.6), description="Range of gamma", json_schema_extra=extra(APPEARANCE)
    )
    invert_probability: float = Field(
        0.1, ge=0, le=1, description="Fraction of the images with inverted grey values", title="Images inverted",
        json_schema_extra=extra(APPEARANCE),
    )  # fmt: skip
    illumination: float = Field(
        0.2, ge=0, le=1, description="Limit of uneven illumination, from centre to edge", title="Uneven illumination",
        json_schema_extra=extra(APPEARANCE),
    )  # fmt: skip
    blur: float = Field(
        1.0, ge=0, le=20, description="Limit of the standard deviation of Gaussian blur",
        json_schema_extra=extra(APPEARANCE, unit="px"),
    )  # fmt: skip
    noise_probability: float = Field(
        0.5, ge=0, le=1, description="Fraction of the images that have each of the following kinds of noise",
        title="Images with noise", json_schema_extra=extra(APPEARANCE),
    )  # fmt: skip
    salt_pepper: float = Field(
        0.01, ge=0, le=1, description="Limit of the fraction of white and black pixels", title="Salt and pepper",
        json_schema_extra=extra(APPEARANCE),
    )  # fmt: skip
    gaussian_noise: float = Field(
        0.04, ge=0, le=1, description="Limit of the standard deviation of Gaussian noise, as a fraction of white",
        json_schema_extra=extra(APPEARANCE),
    )  # fmt: skip
    poisson_noise: float = Field(
        0.06, ge=0, le=1, description="Limit of the standard deviation of shot noise where the image is white",
        json_schema_extra=extra(APPEARANCE),
    )  # fmt: skip
    scan_noise: float = Field(
        0.02, ge=0, le=1, description="Limit of the standard deviation of the offset between scan lines",
        json_schema_extra=extra(APPEARANCE),
    )  # fmt: skip

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("particles_per_image", "coverage", "scale", "rotation", "feather", "contrast", "gamma"):
            limits = getattr(self, name)
            if limits is not None and limits[0] > limits[1]:
                raise ValueError(f"the range '{name}' begins at {limits[0]:g} and ends at {limits[1]:g}; swap the two")
        if self.particles_per_image is None and self.coverage is None:
            raise ValueError("give 'particles_per_image' or 'coverage'")
        if self.size_distribution == "lognormal" and self.size_median_nm is None:
            raise ValueError("a log-normal size distribution needs 'size_median_nm'")
        return self


class GenerateJob(Config):
    """Write synthetic images with their masks as a data set.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> source = ns.sample_data() / "annotated"
    >>> config = ns.CutPasteConfig(height=256, width=256)
    >>> job = ns.GenerateJob(source=source, config=config, count=1, workers=1, out="synthetic")
    >>> result = ns.run(job)
    >>> ns.open_dataset("synthetic")
    Dataset(1 image, 'synthetic')
    """

    job: Literal["generate"] = Field("generate", description="The job")
    config: CutPasteConfig = Field(default_factory=CutPasteConfig, description="Parameters of the generator")
    source: Path = Field(description="Data set of annotated micrographs to cut the particles from")
    out: Path = Field(description="Folder of the new data set")
    count: int = Field(100, ge=1, title="Images", description="Number of images")
    workers: int = Field(0, ge=0, le=1024, description="Number of parallel workers; 0 takes all cores")
    overwrite: Overwrite = False
