"""Volumes, in and out: nothing here holds more of one in memory than is asked for."""

from napari_nanoseg.io.volumes.opening import open_volume
from napari_nanoseg.io.volumes.writing import write_volume

__all__ = ["open_volume", "write_volume"]
