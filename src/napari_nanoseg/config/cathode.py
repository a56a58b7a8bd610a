"""What the cathode generator is told, and the job that writes a data set with it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from napari_nanoseg.config.base import Config, Overwrite
from napari_nanoseg.config.cathode_presets import CATHODE_PRESETS, CathodePreset
from napari_nanoseg.config.generate import Fraction, Positive, extra
from napari_nanoseg.config.looks import Amount, Ranges, ranged
from napari_nanoseg.config.presets import filled

Count = Annotated[int, Field(ge=2, le=16)]
Length = Annotated[float, Field(gt=0, le=1e7)]
Distance = Annotated[float, Field(ge=0, le=1e7)]

PACKING, CRACKS, MATRIX, OUTPUT = "Particles", "Cracks", "Between particles", "Images and masks"

MOST_DAMAGE = 0.5
"""Part of a particle that cracks may take; beyond it nothing would be left of it."""


class DepthProfile(Config):
    """A value that may change with depth, from the first slice (current collector) to the last (separator)."""

    form: Literal["constant", "linear", "sigmoid", "table"] = Field(
        "constant", description="constant: the first value everywhere; linear: a straight line from the first to the "
        "last value; sigmoid: a step from one to the other; table: the values given, one for each slice",
    )  # fmt: skip
    first: float = Field(0.0, ge=-100, le=100, description="Value in the first slice", json_schema_extra={"step": 0.01})
    last: float = Field(
        0.0, ge=-100, le=100, description="Value in the last slice, of a sigmoid far behind its step; a constant has "
        "no use for it", json_schema_extra={"step": 0.01},
    )  # fmt: skip
    middle: Fraction = Field(0.5, description="Where the sigmoid's step is, as a fraction of the depth")
    width: float = Field(
        0.1, ge=0.001, le=10, description="Width of the sigmoid's step, as a fraction of the depth: this far from the "
        "middle, 27 % and 73 % of the way are done",
    )  # fmt: skip
    values: tuple[float, ...] = Field((), description="Values of the table, one for each slice")

    def over(self, slices: int) -> tuple[float, ...]:
        """Give the value of each slice."""
        if self.form == "table":
            return self.values
        return tuple(self.first + (self.last - self.first) * self._way(z / max(slices - 1, 1)) for z in range(slices))

    def _way(self, at: float) -> float:
        """How far from the first to the last value a place is; 0 and 1 are the first and the last slice."""
        if self.form == "constant":
            return 0.0
        if self.form == "linear":
            return at
        return 0.5 + 0.5 * math.tanh((at - self.middle) / (2 * self.width))


class TomogramConfig(Ranges):
    """How a tomogram shows the phantom: ranges from which every phantom draws its own. Grey is 0 (black) to 1."""

    particle: tuple[Fraction, Fraction] = ranged(0.6, 0.8, "the grey value of particles")
    crack: tuple[Fraction, Fraction] = ranged(0.1, 0.35, "the grey value of cracks")
    void: tuple[Fraction, Fraction] = ranged(0.05, 0.2, "the grey value of voids")
    binder: tuple[Fraction, Fraction] = ranged(0.2, 0.4, "the grey value of carbon and binder")
    particle_spread: tuple[Fraction, Fraction] = ranged(
        0.005, 0.03, "the standard deviation of the grey values of particles about their mean"
    )
    grain_contrast: tuple[Fraction, Fraction] = ranged(
        0.0, 0.03, "the standard deviation of the grey values of grains about their particle's"
    )
    texture: tuple[Fraction, Fraction] = ranged(0.02, 0.12, "the standard deviation of the grey inside carbon/binder")
    blur: tuple[Amount, Amount] = ranged(0.5, 1.2, "the standard deviation of the blur", "px")
    fringe: tuple[Amount, Amount] = ranged(0, 0.8, "the strength of phase-contrast fringes at edges")
    fringe_width: tuple[Positive, Positive] = ranged(1, 2.5, "the width of these fringes", "px")
    rings: tuple[Fraction, Fraction] = ranged(0, 0.03, "the standard deviation of rings about the axis of rotation")
    noise: tuple[Fraction, Fraction] = ranged(0.01, 0.07, "the standard deviation of the noise")
    noise_size: tuple[Amount, Amount] = ranged(0, 0.8, "the standard deviation of the noise's blur", "px")
    shading: tuple[Fraction, Fraction] = ranged(0, 0.08, "the change of the grey value across the image")


class CathodeConfig(Ranges):
    """Parameters of the cathode generator; lengths are in nm, unless their unit is px.

    A range is drawn from uniformly, once per phantom or for each particle. Phantom `index` of a seed has the same
    objects whatever the look.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> config = ns.CathodeConfig(depth=16, height=64, width=64, seed=1)
    >>> config.shape
    (16, 64, 64)
    >>> next(ns.generate(config)).image
    Image(16 x 64 x 64 px, uint8, ZYX, 70 nm/px, 'cathode_000000')
    """

    kind: Literal["cathode"] = Field("cathode", description="The generator")
    depth: int = Field(
        64, ge=1, le=8192, description="Slices of a phantom, from the current collector to the separator",
        json_schema_extra=extra(unit="px", step=16),
    )  # fmt: skip
    height: int = Field(256, ge=16, le=8192, description="Rows of a slice", json_schema_extra=extra(unit="px", step=64))
    width: int = Field(
        256, ge=16, le=8192, description="Columns of a slice", json_schema_extra=extra(unit="px", step=64)
    )
    pixel_size_nm: float = Field(
        70.0, gt=0, le=1e6, description="Size of a voxel along all axes", title="Pixel size",
        json_schema_extra=extra(unit="nm"),
    )  # fmt: skip
    seed: int = Field(
        0, ge=0, le=2**32 - 1, description="The same seed gives the same phantoms", json_schema_extra=extra(step=1)
    )
    damage: DepthProfile = Field(
        DepthProfile(first=0.05), title="Damage over depth",
        description="Fraction of the particles' area that is crack, slice by slice",
        json_schema_extra={"prefix": "damage"},
    )  # fmt: skip
    slope: DepthProfile = Field(
        DepthProfile(), title="Slope over depth",
        description="By how much the damage rises with the packing density of the window around a place, slice by "
        "slice; negative: particles in loose surroundings are more cracked",
        json_schema_extra={"prefix": "slope"},
    )  # fmt: skip

    # Particles
    particle_diameter_nm: tuple[Length, Length] = Field(
        (3000.0, 4000.0), description="Range of the diameter of the secondary particles", title="Particle diameter",
        json_schema_extra=extra(PACKING, unit="nm"),
    )  # fmt: skip
    packing: float = Field(
        0.6, ge=0.02, le=0.98, description="Fraction of the volume that is particle, cracks included",
        json_schema_extra=extra(PACKING, step=0.05),
    )  # fmt: skip
    irregularity: float = Field(
        0.25, ge=0, le=1, description="How far the particles' shapes are from spheres", json_schema_extra=extra(PACKING)
    )
    grain_nm: Length = Field(
        500.0, description="Size of the grains (primary particles)", title="Grain size",
        json_schema_extra=extra(PACKING, unit="nm"),
    )  # fmt: skip

    # Cracks
    damage_scale: tuple[Amount, Amount] = Field(
        (1.0, 1.0), description="Range of a factor on the damage (and its slope), drawn once per phantom",
        json_schema_extra=extra(CRACKS),
    )  # fmt: skip
    crack_width_nm: tuple[Length, Length] = Field(
        (70.0, 420.0), description="Width of cracks, from the tip to where they are widest", title="Crack width",
        json_schema_extra=extra(CRACKS, unit="nm"),
    )  # fmt: skip
    radial_fraction: Fraction = Field(
        0.5, description="Fraction of the particles whose cracks run from the centre to the surface; in the others "
        "they part it into blocks", title="Radial cracks", json_schema_extra=extra(CRACKS),
    )  # fmt: skip
    blocks: tuple[Count, Count] = Field(
        (4, 8), description="Range of the number of pieces that cracks part a particle into", title="Pieces",
        json_schema_extra=extra(CRACKS),
    )  # fmt: skip
    branching: Fraction = Field(
        0.5, description="How readily cracks branch into the boundaries of grains beside them",
        json_schema_extra=extra(CRACKS),
    )  # fmt: skip
    window_nm: Length = Field(
        3500.0, description="Side of the square window, in the slice, whose packing density counts for the slope",
        title="Window", json_schema_extra=extra(CRACKS, unit="nm"),
    )  # fmt: skip

    # Between particles
    gap_nm: tuple[Distance, Distance] = Field(
        (0.0, 280.0), description="Range of the least gap between two particles", title="Gap",
        json_schema_extra=extra(MATRIX, unit="nm"),
    )  # fmt: skip
    binder: Fraction = Field(
        0.6, description="Fraction of the space between particles that carbon and binder fill; the rest is void",
        title="Carbon/binder", json_schema_extra=extra(MATRIX, step=0.05),
    )  # fmt: skip
    large_voids: float = Field(
        0.05, ge=0, le=0.5, description="Fraction of the volume that large voids take, about",
        json_schema_extra=extra(MATRIX),
    )  # fmt: skip
    void_diameter_nm: tuple[Length, Length] = Field(
        (2000.0, 5000.0), description="Range of the diameter of large voids", title="Void diameter",
        json_schema_extra=extra(MATRIX, unit="nm"),
    )  # fmt: skip

    # Images and masks
    output: Literal["slices", "volumes"] = Field(
        "slices", description="slices: images of their own, for networks that see one slice; volumes: stacks",
        json_schema_extra=extra(OUTPUT),
    )  # fmt: skip
    slices: int = Field(
        8, ge=1, le=8192, description="Number of slices that are taken of each phantom, evenly over its depth",
        json_schema_extra=extra(OUTPUT),
    )  # fmt: skip
    masks: Literal["crack", "classes"] = Field(
        "crack", description="crack: cracks are 1, all else is 0; classes: crack 1, void 2, carbon/binder 3, "
        "particle 4", json_schema_extra=extra(OUTPUT),
    )  # fmt: skip
    dtype: Literal["uint8", "uint16", "float32"] = Field(
        "uint8", description="Type of the pixels; whole numbers run from black to white", title="Pixel type",
        json_schema_extra=extra(OUTPUT),
    )  # fmt: skip

    look: TomogramConfig = Field(TomogramConfig(), title="Tomogram", json_schema_extra={"prefix": "look"})

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        return self.depth, self.height, self.width

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name, profile in (("damage", self.damage), ("slope", self.slope)):
            if profile.form == "table" and len(profile.values) != self.depth:
                raise ValueError(
                    f"the table of the {name} has {len(profile.values)} values but the phantom {self.depth} slices; "
                    "give one value for each slice"
                )
        asked = [max(self.damage_scale) * value for value in self.damage.over(self.depth)]
        if min(asked) < 0 or max(asked) > MOST_DAMAGE:
            worst = min(asked) if min(asked) < 0 else max(asked)
            raise ValueError(
                f"a damage of {worst:g} is asked for; it is the cracked fraction of the particles, 0 to {MOST_DAMAGE:g}"
            )
        return self


def cathode_preset(name: str, **changes: Any) -> CathodeConfig:
    """Make the config of a preset.

    Parameters
    ----------
    name : str
        One of the names in :data:`napari_nanoseg.config.cathode_presets.CATHODE_PRESETS`.
    **changes
        Fields that differ from it.

    Raises
    ------
    NanosegError
        When there is no such preset, or a value is bad.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> config = ns.cathode_preset("NMC pristine", depth=16, seed=1)
    >>> config.depth, config.damage.first
    (16, 0.005)
    """
    return CathodeJob.parse({"preset": name, "config": changes, "out": "."}, "cathode preset").config


class CathodeJob(Config):
    """Write phantoms of battery cathodes with their cracks and true damage as a data set.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> small = {"depth": 16, "height": 64, "width": 64}
    >>> job = ns.CathodeJob(preset="NMC pristine", config=small, count=1, out="phantoms")
    >>> ns.run(job).figures["images"]
    8
    """

    job: Literal["cathode"] = Field("cathode", description="The job")
    preset: CathodePreset | None = Field(
        None, description="Known cathode to start from; what is given replaces its values; none: the general defaults",
    )  # fmt: skip
    config: CathodeConfig = Field(default_factory=CathodeConfig, description="Parameters of the generator")
    out: Path = Field(description="Folder of the new data set")
    count: int = Field(10, ge=1, title="Phantoms", description="Number of phantoms")
    workers: int = Field(0, ge=0, le=1024, description="Number of parallel workers; 0 takes all cores")
    overwrite: Overwrite = False

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, values: Any) -> Any:
        """Put the preset's values into the config, so that the job says everything without it."""
        return filled(values, CATHODE_PRESETS)
