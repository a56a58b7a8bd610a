"""Instruments: from path lengths and surfaces to an image. One file each."""

from __future__ import annotations

from napari_nanoseg.generators.nanowires.looks.absorption import OPTICAL_DENSITY, TRANSMISSION
from napari_nanoseg.generators.nanowires.looks.ptychography import PTYCHOGRAPHY
from napari_nanoseg.generators.nanowires.looks.sem import SEM
from napari_nanoseg.generators.nanowires.looks.stxm import STXM
from napari_nanoseg.generators.nanowires.looks.tem import TEM
from napari_nanoseg.generators.nanowires.looks.view import Instrument

LOOKS: dict[str, Instrument] = {
    "od": OPTICAL_DENSITY,
    "transmission": TRANSMISSION,
    "ptychography": PTYCHOGRAPHY,
    "stxm": STXM,
    "sem": SEM,
    "tem": TEM,
}
"""By the value of ``NanowireConfig.look``."""
