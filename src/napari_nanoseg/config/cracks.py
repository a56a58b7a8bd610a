"""How the cracks of a volume are found."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from napari_nanoseg.config.base import ADVANCED, Config, Device, Overwrite
from napari_nanoseg.config.damage import DamageConfig
from napari_nanoseg.config.segment import Border, Invert, SegmentConfig, Tile
from napari_nanoseg.config.volume import VolumeConfig


class CrackThreshold(Config):
    """Conventional thresholding of a whole volume: what a network is compared with.

    It knows grey values and nothing else, so that it cannot tell cracks from voids or from carbon and binder.
    """

    method: Literal["otsu", "percentile", "value"] = Field(
        "otsu",
        description="Where cracks end and particles begin: Otsu's threshold or a percentile of all voxels, or a value",
    )
    percentile: float = Field(
        20.0, ge=0, le=100, description="For the method percentile: the share of the voxels below the threshold",
        json_schema_extra={"unit": "%"},
    )  # fmt: skip
    value: float | None = Field(
        None, description="For the method value: the grey value; none: another method",
        json_schema_extra={"start": 100.0},
    )  # fmt: skip
    polarity: Literal["bright", "dark"] = Field(
        "bright", description="Whether particles are brighter or darker than cracks and their surroundings"
    )
    within: Literal["particles", "anywhere"] = Field(
        "particles", description="Cracks lie inside particles, as far as a closing of these reaches, or anywhere"
    )
    closing: int = Field(
        5, ge=1, le=100, description="Cracks are inside particles where these close over them: half the widest crack",
        json_schema_extra={"unit": "px"},
    )  # fmt: skip
    smoothing: float = Field(
        0.0, ge=0, le=50,
        description="Sigma of a Gaussian filter of the slices before the threshold; it hides thin cracks",
        json_schema_extra={"unit": "px"},
    )  # fmt: skip

    @model_validator(mode="after")
    def _told(self) -> Self:
        if self.method == "value" and self.value is None:
            raise ValueError("the method 'value' needs a grey value; give one, or choose otsu or percentile")
        return self


class CracksConfig(Config):
    """How the cracks of a volume are found, slab by slab, and what is told about them.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> config = ns.CracksConfig(analyse=False, threshold={"method": "percentile", "percentile": 10})
    >>> found = ns.cracks(config, ns.sample_data() / "cathode" / "cathode.tif", "threshold", "cracks")
    >>> ns.open_volume("cracks/classes.ome.zarr")
    Volume(32 x 144 x 144 px, uint8, ZYX, 140 nm/px, 'classes.ome.zarr')
    """

    input: VolumeConfig = Field(VolumeConfig(), title="File", description="What the file does not tell about itself")
    threshold: CrackThreshold = Field(
        CrackThreshold(),
        title="Thresholding",
        description="Parameters of the model 'threshold'; networks do not use them",
        json_schema_extra={"prefix": "threshold"},
    )
    probability: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Least probability of the voxels of a class; none: the model's own (network)",
    )
    invert: Invert = None
    border: Border = None
    tile: Tile = 1024
    slab: int = Field(
        16, ge=8, le=1024, multiple_of=8,
        description="Slices that are held in memory and finished together, a multiple of 8; a network that sees "
        "several at once may want more",
        json_schema_extra=ADVANCED | {"unit": "px", "step": 8},
    )  # fmt: skip
    output: Literal["ome-zarr", "tiff"] = Field(
        "ome-zarr", description="Form of the class map: OME-Zarr, with several resolutions, or one TIFF stack"
    )
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:1 or mps")
    workers: int | None = Field(
        None, ge=1, le=1024,
        description="Slabs computed at the same time, each in its memory; none: one here, on a cluster one per worker",
        json_schema_extra=ADVANCED | {"start": 2},
    )  # fmt: skip
    cluster: str | None = Field(
        None,
        description="Address of the scheduler of a dask cluster that sees the same files, such as tcp://host:8786; "
        "empty: this machine",
        json_schema_extra=ADVANCED,
    )

    analyse: bool = Field(
        True, description="Write maps, tables and pictures of damage and packing beside the class map"
    )
    damage: DamageConfig = Field(
        DamageConfig(), title="Damage", description="What damage and packing are; the classes are those of the model"
    )

    @property
    def network(self) -> SegmentConfig:
        """What of this is for a network."""
        own = ("probability", "invert", "border", "tile", "device")
        return SegmentConfig(**{name: getattr(self, name) for name in own})


class CracksJob(Config):
    """Find the cracks of a volume and say how damaged it is: what `nanoseg cracks` does.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> volume = ns.sample_data() / "cathode" / "cathode.tif"
    >>> job = ns.CracksJob(volume=volume, model="threshold", out="cracks", config=ns.CracksConfig(analyse=False))
    >>> sorted(ns.run(job).files)
    ['classes', 'run']
    """

    job: Literal["cracks"] = "cracks"
    config: CracksConfig = CracksConfig()
    volume: Path = Field(description="TIFF stack, folder of slices, HDF5 file, OME-Zarr folder, NPY file or raw voxels")
    model: Path | None = Field(
        None,
        description="Model folder or file, or the name of a model of the library; 'threshold' needs no network; none: "
        "there is a class map",
    )
    classes: Path | None = Field(
        None, description="Class map or mask of cracks that is there already, to be analysed; none: a model makes it"
    )
    particle_mask: Path | None = Field(
        None, description="Mask of the particles, in any form of a volume; none: as the class map and grey values tell"
    )
    labels: Path | None = Field(
        None, description="Label volume of the particles, cracks included; none: connected pieces are particles"
    )
    baseline: bool = Field(
        False, description="Do the same with the model 'threshold' too, into the folder 'baseline', to compare"
    )
    out: Path = Field(description="Folder for class map, maps and tables; of a job that was cancelled: it goes on")
    overwrite: Overwrite = False
