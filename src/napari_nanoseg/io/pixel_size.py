"""Pixel sizes as microscopes and programs write them into TIFF files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from napari_nanoseg.calibration import NM_PER_UNIT, Calibration

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

LARGEST_FROM_RESOLUTION_NM = 5000.0
"""A plain resolution tag with larger pixels (fewer than 5080 dpi) is meant for a printer or screen."""

NM_PER_RESOLUTION_UNIT = {2: NM_PER_UNIT["inch"], 3: NM_PER_UNIT["cm"]}
"""Values of the TIFF tag ResolutionUnit."""


def nm_per_unit(text: str) -> float | None:
    r"""Nanometres in a length unit as files spell it (``µm``, ``\u00B5m``, ``Âµm``, ``microns``), None for others."""
    unit = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text).replace("Â", "").strip().lower()
    return NM_PER_UNIT.get(unit) or NM_PER_UNIT.get(unit.removesuffix("s"))


def tiff_calibration(tif: TiffFile, spatial: str) -> Calibration:
    """Pixel size of an open TIFF file.

    The microscope's own tags (FEI/Thermo Fisher, Zeiss) come first, then ImageJ's, OME's and plain resolution tags.

    Parameters
    ----------
    tif : tifffile.TiffFile
        The open file.
    spatial : str
        The spatial axes of the image, ``YX`` or ``ZYX``.

    Returns
    -------
    Calibration
        Sizes for `spatial`; for ``YX`` alone when the distance of slices is not known; none when nothing is known.
    """
    for sizes in _candidates(tif):
        if all(0 < size < float("inf") for size in sizes[-2:]):
            volume = len(sizes) == 3 and 0 < sizes[0] < float("inf") and spatial == "ZYX"
            return Calibration(sizes if volume else sizes[-2:])
    return Calibration()


def _candidates(tif: TiffFile) -> Iterator[tuple[float, ...]]:
    """Sizes in nm (row and column, or slice, row and column) from the most to the least trustworthy."""
    page = tif.pages.first
    for reader in (_fei, _zeiss, _imagej, _ome):
        try:
            sizes = reader(tif)
        except (ValueError, TypeError, KeyError, IndexError, ElementTree.ParseError):
            continue  # a tag that is not as its maker documents it says nothing
        if sizes is not None:
            yield sizes
    factor = NM_PER_RESOLUTION_UNIT.get(_tag(page, "ResolutionUnit", 2))
    if factor and not tif.is_imagej:
        row, column = _resolution(page)
        if 0 < max(row, column) * factor <= LARGEST_FROM_RESOLUTION_NM:
            yield row * factor, column * factor


def _fei(tif: TiffFile) -> tuple[float, ...] | None:
    """Sizes in metres in the sections Scan, EScan or IScan of the tags FEI_SFEG (34680) and FEI_HELIOS (34682)."""
    metadata = tif.fei_metadata or {}
    for section in ("Scan", "EScan", "IScan"):
        values = metadata.get(section) or {}
        if "PixelWidth" in values:
            width = float(values["PixelWidth"])
            return float(values.get("PixelHeight", width)) * 1e9, width * 1e9
    return None


def _zeiss(tif: TiffFile) -> tuple[float, ...] | None:
    """Size with its unit in the tag CZ_SEM (34118)."""
    metadata = tif.sem_metadata or {}
    for name in ("ap_image_pixel_size", "ap_pixel_size"):
        if name in metadata:
            _, value, unit = metadata[name][:3]
            size = float(value) * (nm_per_unit(str(unit)) or 0.0)
            return size, size
    return None


def _imagej(tif: TiffFile) -> tuple[float, ...] | None:
    """Resolution tags in the unit of ImageJ's description; `spacing` is the distance of slices."""
    metadata = tif.imagej_metadata or {}
    factor = nm_per_unit(str(metadata.get("unit", "")))
    if factor is None:
        return None
    row, column = (size * (nm_per_unit(str(metadata.get(key, ""))) or factor)
                   for size, key in zip(_resolution(tif.pages.first), ("yunit", "unit"), strict=True))  # fmt: skip
    if factor == NM_PER_UNIT["inch"] and max(row, column) > LARGEST_FROM_RESOLUTION_NM:
        return None
    if "spacing" not in metadata:
        return row, column
    return float(metadata["spacing"]) * (nm_per_unit(str(metadata.get("zunit", ""))) or factor), row, column


def _ome(tif: TiffFile) -> tuple[float, ...] | None:
    """PhysicalSizeX, Y and Z of the first image; micrometres unless the unit is given."""
    if not tif.ome_metadata:
        return None
    pixels = ElementTree.fromstring(tif.ome_metadata).find(".//{*}Pixels")
    if pixels is None or "PhysicalSizeX" not in pixels.attrib:
        return None
    sizes = []
    for axis in ("Z", "Y" if "PhysicalSizeY" in pixels.attrib else "X", "X"):
        if f"PhysicalSize{axis}" in pixels.attrib:
            factor = nm_per_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
            if factor is None:
                return None
            sizes.append(float(pixels.attrib[f"PhysicalSize{axis}"]) * factor)
    return tuple(sizes)


def _resolution(page: TiffPage) -> tuple[float, float]:
    """Row and column size in the resolution's unit; 0 where there is none."""
    sizes = []
    for name in ("YResolution", "XResolution"):
        pixels, units = _tag(page, name, (0, 1))
        sizes.append(units / pixels if pixels else 0.0)
    return sizes[0], sizes[1]


def _tag(page: TiffPage, name: str, default: Any) -> Any:
    tag = page.tags.get(name)
    return default if tag is None else tag.value
