"""Lengths of a volume: in micrometres, or in pixels where the size of a voxel is not known."""

from __future__ import annotations

from dataclasses import dataclass

from napari_nanoseg.calibration import Calibration


@dataclass(frozen=True)
class Lengths:
    """Size of a voxel and the unit it is in.

    Parameters
    ----------
    voxel : tuple of float
        Along Z, Y and X.
    unit : str
        "um", or "" for pixels, which are then taken as cubes.
    """

    voxel: tuple[float, float, float]
    unit: str

    @classmethod
    def of(cls, calibration: Calibration) -> Lengths:
        """Micrometres where the size of a voxel is known."""
        if calibration.pixel_size_nm is None:
            return cls((1.0, 1.0, 1.0), "")
        depth, row, column = calibration.pixel_size_nm
        return cls((depth / 1000, row / 1000, column / 1000), "um")

    def named(self, name: str, power: int = 1) -> str:
        """The name of a column with its unit: ``length_um``, ``volume_um3``; no suffix means pixels."""
        return f"{name}_{self.unit}{power if power > 1 else ''}" if self.unit else name

    @property
    def depth(self) -> str:
        """The name of the column of depths."""
        return "depth_um" if self.unit else "depth"

    def shown(self, power: int = 1) -> str:
        """The unit as it is written in pictures."""
        return ("µm" if self.unit else "px") + {1: "", 2: "²", 3: "³"}[power]
