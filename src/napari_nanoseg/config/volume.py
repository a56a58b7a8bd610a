"""How a file is taken for a volume, where it does not say so itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from napari_nanoseg.config.base import ADVANCED, Config

Length = Annotated[int, Field(ge=1, le=2**24)]
Nanometres = Annotated[float, Field(gt=0)]
VOXEL: dict[str, Any] = {"unit": "nm", "start": (10.0, 10.0, 10.0)}


class VolumeConfig(Config):
    """What a file of voxels does not tell about itself.

    For raw voxels, a YAML or JSON file of the same name beside them may hold these fields; what is given here wins.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> np.zeros((4, 32, 32), "<u2").tofile("scan.raw")
    >>> config = ns.VolumeConfig(shape=(4, 32, 32), dtype="uint16", voxel_size_nm=(50, 20, 20))
    >>> ns.open_volume("scan.raw", config)
    Volume(4 x 32 x 32 px, uint16, ZYX, 50 x 20 x 20 nm/px, 'scan.raw')
    """

    dataset: str | None = Field(
        None,
        description="Path of the dataset in an HDF5 file, or of the image in a Zarr folder; empty: the only one",
    )
    shape: tuple[Length, Length, Length] | None = Field(
        None, title="Shape", description="Slices, rows and columns of raw voxels; none: as described beside the file",
        json_schema_extra=ADVANCED | {"unit": "px", "start": (100, 1000, 1000)},
    )  # fmt: skip
    dtype: Literal["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"] | None = Field(
        None,
        title="Type",
        description="Type of raw voxels; none: as described beside the file",
        json_schema_extra=ADVANCED,
    )
    byte_order: Literal["little", "big"] | None = Field(
        None, description="Byte order of raw voxels; none: as described beside the file, else little",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    offset: int | None = Field(
        None, ge=0, description="Bytes before the first of raw voxels; none: as described beside the file, else 0",
        json_schema_extra=ADVANCED | {"unit": "bytes", "start": 0},
    )  # fmt: skip
    voxel_size_nm: tuple[Nanometres, Nanometres, Nanometres] | None = Field(
        None, title="Voxel size", description="Size of a voxel along Z, Y and X; none: the one stored in the file",
        json_schema_extra=VOXEL,
    )  # fmt: skip
