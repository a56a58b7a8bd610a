"""What the nanowire generator is told, and the job that writes a data set with it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from napari_nanoseg.config.base import Config, Overwrite
from napari_nanoseg.config.generate import Fraction, Positive, extra
from napari_nanoseg.config.looks import (
    DetectorConfig,
    PtychographyConfig,
    Ranges,
    SemConfig,
    StxmConfig,
    TemConfig,
)
from napari_nanoseg.config.nanowire_presets import PRESETS, Preset
from napari_nanoseg.config.presets import filled

Look = Literal["od", "transmission", "ptychography", "stxm", "sem", "tem"]
Section = Literal["rectangle", "hexagon", "ellipse", "circle", "lath"]
Count = Annotated[int, Field(ge=0, le=2000)]
Length = Annotated[float, Field(gt=0, le=1e7)]
Absorption = Annotated[float, Field(ge=0, le=1000)]

GREY_LOOKS = ("sem", "tem")
"""Looks whose pixels run from black to white; those of the others are physical."""

WIRES, FORMS, OTHERS = "Size of wires", "Form of wires", "Other objects"
ARRANGEMENT, ABSORPTION, OUTPUT = "Arrangement", "Absorption", "Image and masks"


def _absorption(low: float, high: float, what: str) -> Any:
    return Field(
        (low, high), description=f"Range of the absorption of {what}, drawn once per image",
        title=what.capitalize(), json_schema_extra=extra(ABSORPTION, unit="1/µm"),
    )  # fmt: skip


class NanowireConfig(Ranges):
    """Parameters of the nanowire generator; lengths are in nm, unless their unit is px.

    A range is drawn from uniformly. Sizes have a mean and a relative standard deviation. Image `index` of a seed has
    the same objects whatever the look, so that looks can be compared.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> config = ns.NanowireConfig(height=128, width=128, wires=(4, 6), length_nm=400, width_nm=60, seed=1)
    >>> sample = next(ns.generate(config))
    >>> sample.image
    Image(128 x 128 px, float32, YX, 10 nm/px, 'nanowires_000000')
    >>> sorted(sample.truth)[:3]
    ['bent', 'broken', 'class']
    """

    kind: Literal["nanowires"] = Field("nanowires", description="The generator")
    look: Look = Field(
        "od", description="The instrument: optical density -ln(I/I0), transmission I/I0, X-ray ptychography, STXM "
        "(the last two as optical density), SEM (secondary electrons) or TEM (bright field)",
    )  # fmt: skip
    height: int = Field(
        512, ge=32, le=8192, description="Rows of an image", json_schema_extra=extra(unit="px", step=64)
    )
    width: int = Field(
        512, ge=32, le=8192, description="Columns of an image", json_schema_extra=extra(unit="px", step=64)
    )
    depth: int = Field(
        200, ge=1, le=16384, description="Depth of the space that objects lie in, along the beam",
        json_schema_extra=extra(unit="px", step=50),
    )  # fmt: skip
    pixel_size_nm: float = Field(
        10.0, gt=0, le=1e6, description="Size of a pixel", title="Pixel size", json_schema_extra=extra(unit="nm")
    )
    seed: int = Field(
        0, ge=0, le=2**32 - 1, description="The same seed gives the same images", json_schema_extra=extra(step=1)
    )
    wires: tuple[Count, Count] = Field((40, 80), description="Range of the number of wires in an image")

    # Size
    distribution: Literal["lognormal", "normal", "uniform"] = Field(
        "lognormal", description="Distribution of all sizes about their mean",
        json_schema_extra=extra(WIRES),
    )  # fmt: skip
    length_nm: Length = Field(
        1500.0, description="Mean length of wires", title="Length", json_schema_extra=extra(WIRES, unit="nm")
    )
    length_sd: Fraction = Field(
        0.35, description="Standard deviation of the length, as a fraction of the mean", title="SD of the length",
        json_schema_extra=extra(WIRES),
    )  # fmt: skip
    aspect_ratio: float | None = Field(
        None, ge=1, le=10000, description="Mean of length over width; when given it replaces the mean length; "
        "none: the length is given", json_schema_extra=extra(WIRES, start=20.0),
    )  # fmt: skip
    width_nm: Length = Field(
        90.0, description="Mean width of wires", title="Wire width", json_schema_extra=extra(WIRES, unit="nm")
    )
    width_sd: Fraction = Field(
        0.25, description="Standard deviation of the width, as a fraction of the mean", title="SD of the width",
        json_schema_extra=extra(WIRES),
    )  # fmt: skip

    # Form
    cross_sections: tuple[Section, ...] = Field(
        ("rectangle", "hexagon", "ellipse", "circle"), min_length=1,
        description="Cross-sections; one is drawn for each wire. A lath is a flat rectangle", title="Cross-sections",
        json_schema_extra=extra(FORMS),
    )  # fmt: skip
    thickness_ratio: tuple[Positive, Annotated[float, Field(gt=0, le=1)]] = Field(
        (0.6, 1.0), description="Range of thickness over width (1 for circles; of hexagons 0.866 is regular)",
        json_schema_extra=extra(FORMS),
    )  # fmt: skip
    lath_ratio: tuple[Positive, Annotated[float, Field(gt=0, le=1)]] = Field(
        (0.1, 0.3), description="Range of thickness over width of laths", json_schema_extra=extra(FORMS)
    )
    taper: tuple[Fraction, Annotated[float, Field(ge=0, le=0.99)]] = Field(
        (0.0, 0.15), description="Range of the fraction by which one end is thinner than the other",
        json_schema_extra=extra(FORMS),
    )  # fmt: skip
    bent_fraction: Fraction = Field(
        0.2, description="Fraction of the wires that are bent", title="Bent", json_schema_extra=extra(FORMS)
    )
    persistence_length_nm: tuple[Length, Length] = Field(
        (5000.0, 50000.0), description="Range of the persistence length of bent wires: over it, the direction is "
        "forgotten", title="Persistence length", json_schema_extra=extra(FORMS, unit="nm"),
    )  # fmt: skip
    broken_fraction: Fraction = Field(
        0.0, description="Fraction of the wires that are broken in two", title="Broken", json_schema_extra=extra(FORMS)
    )
    break_gap_nm: tuple[Annotated[float, Field(ge=0, le=1e6)], Annotated[float, Field(ge=0, le=1e6)]] = Field(
        (20.0, 100.0), description="Range of the gap between the halves of a broken wire", title="Gap of breaks",
        json_schema_extra=extra(FORMS, unit="nm"),
    )  # fmt: skip
    bundled_fraction: Fraction = Field(
        0.0, description="Fraction of the wires that lie side by side in bundles", title="Bundled",
        json_schema_extra=extra(FORMS),
    )  # fmt: skip
    bundle_size: tuple[Annotated[int, Field(ge=2, le=20)], Annotated[int, Field(ge=2, le=20)]] = Field(
        (2, 4), description="Range of the number of wires in a bundle", json_schema_extra=extra(FORMS)
    )
    branched_fraction: Fraction = Field(
        0.0, description="Fraction of the wires that carry small wires, which are objects of their own",
        title="Branched", json_schema_extra=extra(FORMS),
    )  # fmt: skip
    branches: tuple[Annotated[int, Field(ge=1, le=200)], Annotated[int, Field(ge=1, le=200)]] = Field(
        (5, 15), description="Range of the number of small wires on a branched one", json_schema_extra=extra(FORMS)
    )
    branch_scale: tuple[Positive, Annotated[float, Field(gt=0, le=1)]] = Field(
        (0.15, 0.3), description="Range of the length of small wires as a fraction of the large one's; they are half "
        "as wide as it", json_schema_extra=extra(FORMS),
    )  # fmt: skip

    # Other objects
    rods: tuple[Count, Count] = Field(
        (0, 0), description="Range of the number of short rods with round ends", json_schema_extra=extra(OTHERS)
    )
    spheres: tuple[Count, Count] = Field(
        (0, 0), description="Range of the number of spheres", json_schema_extra=extra(OTHERS)
    )
    cubes: tuple[Count, Count] = Field(
        (0, 0), description="Range of the number of cubes", json_schema_extra=extra(OTHERS)
    )
    agglomerates: tuple[Count, Count] = Field(
        (0, 0), description="Range of the number of agglomerates of spheres and cubes", json_schema_extra=extra(OTHERS)
    )
    particle_size_nm: Length = Field(
        150.0, description="Mean diameter of spheres and rods and mean side of cubes", title="Particle size",
        json_schema_extra=extra(OTHERS, unit="nm"),
    )  # fmt: skip
    particle_size_sd: Fraction = Field(
        0.2, description="Standard deviation of the particle size, as a fraction of the mean",
        title="SD of the particle size", json_schema_extra=extra(OTHERS),
    )  # fmt: skip
    rod_aspect_ratio: tuple[Annotated[float, Field(ge=1, le=100)], Annotated[float, Field(ge=1, le=100)]] = Field(
        (2.5, 4.5), description="Range of the length of rods over their width", json_schema_extra=extra(OTHERS)
    )
    agglomerate_particles: tuple[Annotated[int, Field(ge=2, le=200)], Annotated[int, Field(ge=2, le=200)]] = Field(
        (8, 30), description="Range of the number of particles in an agglomerate", json_schema_extra=extra(OTHERS)
    )

    # Arrangement
    orientation: Literal["isotropic", "in-plane", "aligned"] = Field(
        "in-plane", description="isotropic: any direction in space; in-plane: any direction in the image plane; "
        "aligned: about one direction in the image plane", json_schema_extra=extra(ARRANGEMENT),
    )  # fmt: skip
    tilt_sd: float = Field(
        8.0, ge=0, le=90, description="Standard deviation of the tilt out of the image plane, unless isotropic",
        title="Tilt", json_schema_extra=extra(ARRANGEMENT, unit="degree"),
    )  # fmt: skip
    direction: float = Field(
        0.0, ge=-360, le=360, description="Direction of alignment, counter-clockwise from the horizontal",
        json_schema_extra=extra(ARRANGEMENT, unit="degree"),
    )  # fmt: skip
    order_parameter: float = Field(
        0.8, ge=0, le=1, description="Mean of cos 2a over the angles a to the direction of alignment: 0 is random, "
        "1 is parallel", json_schema_extra=extra(ARRANGEMENT),
    )  # fmt: skip
    deposition: Literal["random", "layered", "settled"] = Field(
        "random", description="random: anywhere in the depth, through each other; layered: flat, in layers without "
        "overlap inside a layer; settled: dropped one by one, each lies on what is there",
        json_schema_extra=extra(ARRANGEMENT),
    )  # fmt: skip
    layers: int = Field(
        3, ge=1, le=100, description="Number of layers of layered wires", json_schema_extra=extra(ARRANGEMENT)
    )
    border: bool = Field(
        True, description="Let the border of the image cut objects (they stay annotated)", title="Cut by the border",
        json_schema_extra=extra(ARRANGEMENT),
    )  # fmt: skip

    # Absorption
    wire_absorption: tuple[Absorption, Absorption] = _absorption(4, 12, "wires")
    rod_absorption: tuple[Absorption, Absorption] = _absorption(4, 12, "rods")
    sphere_absorption: tuple[Absorption, Absorption] = _absorption(4, 12, "spheres")
    cube_absorption: tuple[Absorption, Absorption] = _absorption(4, 12, "cubes")
    agglomerate_absorption: tuple[Absorption, Absorption] = _absorption(4, 12, "agglomerates")

    # Image and masks
    masks: Literal["whole", "visible"] = Field(
        "whole", description="whole: a crossing belongs to all wires; visible: to the uppermost, as SEM sees it",
        json_schema_extra=extra(OUTPUT),
    )  # fmt: skip
    min_visible: Fraction = Field(
        0.1, description="An object of which less than this fraction is visible is not annotated, where masks show "
        "what is visible", title="Least visible", json_schema_extra=extra(OUTPUT, advanced=True),
    )  # fmt: skip
    dtype: Literal["uint8", "uint16", "float32"] = Field(
        "float32", description="Type of the pixels; float32 keeps optical densities, whole numbers run from the "
        "darkest to the brightest pixel, for SEM and TEM from black to white", title="Pixel type",
        json_schema_extra=extra(OUTPUT),
    )  # fmt: skip
    tone: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        (), max_length=1024, description="Tone curve of finished pixels: grey values from 0 (black) to 1 (white) that "
        "evenly spaced ones from 0 to 1 become, as a fit to real images finds them; empty: pixels stay as they are",
        title="Tone curve", json_schema_extra=extra(OUTPUT, advanced=True),
    )  # fmt: skip
    rays: int = Field(
        2, ge=1, le=8, description="Rays per pixel along rows and along columns", title="Rays per pixel side",
        json_schema_extra=extra(OUTPUT, advanced=True),
    )  # fmt: skip

    detector: DetectorConfig = Field(DetectorConfig(), json_schema_extra={"prefix": "detector"})
    ptychography: PtychographyConfig = Field(PtychographyConfig(), json_schema_extra={"prefix": "ptychography"})
    stxm: StxmConfig = Field(StxmConfig(), title="STXM", json_schema_extra={"prefix": "stxm"})
    sem: SemConfig = Field(SemConfig(), title="SEM", json_schema_extra={"prefix": "sem"})
    tem: TemConfig = Field(TemConfig(), title="TEM", json_schema_extra={"prefix": "tem"})

    @model_validator(mode="after")
    def _tone_fits(self) -> Self:
        if len(self.tone) == 1:
            raise ValueError("a tone curve needs at least two grey values; give more or none")
        if any(first > second for first, second in pairwise(self.tone)):
            raise ValueError("a tone curve must not fall; sort its grey values")
        if self.tone and self.dtype == "float32" and self.look not in GREY_LOOKS:
            raise ValueError(f"the pixels of {self.look} as float32 are no grey values; leave the tone curve out")
        return self


def nanowire_preset(name: str, **changes: Any) -> NanowireConfig:
    """Make the config of a preset.

    Parameters
    ----------
    name : str
        One of the names in :data:`napari_nanoseg.config.nanowire_presets.PRESETS`.
    **changes
        Fields that differ from it.

    Raises
    ------
    NanosegError
        When there is no such preset, or a value is bad.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> config = ns.nanowire_preset("Ag nanowires SEM", wires=(30, 60))
    >>> config.look, config.wires
    ('sem', (30, 60))
    """
    return NanowiresJob.parse({"preset": name, "config": changes, "out": "."}, "nanowire preset").config


class StartsFromPreset(Config):
    """A job with the config of the nanowire generator, which a preset may fill."""

    preset: Preset | None = Field(
        None, description="Known material and instrument to start from; what is given replaces its values; "
        "none: the general defaults",
    )  # fmt: skip
    config: NanowireConfig = Field(default_factory=NanowireConfig, description="Parameters of the generator")

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, values: Any) -> Any:
        """Put the preset's values into the config, so that the job says everything without it."""
        return filled(values, PRESETS)


class NanowiresJob(StartsFromPreset):
    """Write synthetic images of nanowires with their masks and true sizes as a data set.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> small = {"height": 128, "width": 128, "wires": (4, 6), "length_nm": 400, "width_nm": 60}
    >>> job = ns.NanowiresJob(config=small, count=1, workers=1, out="wires")
    >>> result = ns.run(job)
    >>> ns.open_dataset("wires")
    Dataset(1 image, 'wires')
    """

    job: Literal["nanowires"] = Field("nanowires", description="The job")
    out: Path = Field(description="Folder of the new data set")
    count: int = Field(100, ge=1, title="Images", description="Number of images")
    workers: int = Field(0, ge=0, le=1024, description="Number of parallel workers; 0 takes all cores")
    overwrite: Overwrite = False


class FitNanowiresJob(StartsFromPreset):
    """Fit the nanowire generator to real images: write a config whose images look like them.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> job = ns.FitNanowiresJob(images=["a.tif", "b.tif"], preset="Ag nanowires SEM", out="fitted.yaml")
    >>> job.config.look
    'sem'
    """

    job: Literal["fit_nanowires"] = Field("fit_nanowires", description="The job")
    images: tuple[Path, ...] = Field(
        min_length=1, description="Micrographs to be matched (files or folders); nothing has to be outlined in them"
    )
    annotated: Path | None = Field(
        None, description="Folder with images/ and masks/ in which some wires are outlined, for their sizes; none: the "
        "sizes stay those of the config",
    )  # fmt: skip
    out: Path = Field(description="Config to write (.yaml), for 'nanoseg generate nanowires --config'")
    overwrite: Overwrite = False
