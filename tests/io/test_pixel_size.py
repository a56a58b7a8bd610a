"""Pixel sizes as microscopes and programs write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.images import read_calibration, read_image
from napari_nanoseg.io.pixel_size import nm_per_unit

PIXELS = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40)
STACK = np.stack([PIXELS, PIXELS + 1, PIXELS + 2])


def size_after(path: Path, data: np.ndarray = PIXELS, **options: Any) -> tuple[float, ...] | None:
    tifffile.imwrite(path / "a.tif", data, **options)
    return read_image(path / "a.tif").calibration.pixel_size_nm


@pytest.mark.parametrize(
    ("text", "nm"),
    [("nm", 1), ("µm", 1e3), ("μm", 1e3), ("um", 1e3), ("\\u00B5m", 1e3), ("\\u03BCm", 1e3), ("Âµm", 1e3),
     ("micron", 1e3), ("Microns", 1e3), ("nanometers", 1), ("Å", 0.1), ("mm", 1e6), ("pixel", None), ("", None),
     ("sec", None)],
)  # fmt: skip
def test_units_as_files_spell_them(text: str, nm: float | None) -> None:
    assert nm_per_unit(text) == nm


@pytest.mark.parametrize("unit", ["micron", "um", "\\u00B5m"])
def test_imagej(tmp_path: Path, unit: str) -> None:
    sizes = size_after(tmp_path, imagej=True, resolution=(500.0, 250.0), metadata={"unit": unit})
    assert sizes == pytest.approx((4.0, 2.0))


def test_imagej_stacks_have_a_spacing_or_none_is_guessed(tmp_path: Path) -> None:
    metadata = {"unit": "nm", "axes": "ZYX", "spacing": 12.0}
    assert size_after(tmp_path, STACK, imagej=True, resolution=(0.5, 0.5), metadata=metadata) == (12.0, 2.0, 2.0)
    del metadata["spacing"]
    assert size_after(tmp_path, STACK, imagej=True, resolution=(0.5, 0.5), metadata=metadata) == (2.0, 2.0)


def test_imagej_without_a_length_unit_has_no_size(tmp_path: Path) -> None:
    assert size_after(tmp_path, imagej=True, resolution=(1.0, 1.0), metadata={"unit": "pixel"}) is None
    assert size_after(tmp_path, imagej=True, resolution=(72.0, 72.0), metadata={"unit": "inch"}) is None
    assert size_after(tmp_path, imagej=True) is None


def test_ome(tmp_path: Path) -> None:
    metadata = {"axes": "YX", "PhysicalSizeX": 0.002, "PhysicalSizeY": 0.003}
    assert size_after(tmp_path, ome=True, metadata=metadata) == pytest.approx((3.0, 2.0))
    metadata |= {"PhysicalSizeXUnit": "Å", "PhysicalSizeYUnit": "Å"}
    assert size_after(tmp_path, ome=True, metadata=metadata) == pytest.approx((0.0003, 0.0002))
    stack = {"axes": "ZYX", "PhysicalSizeX": 2, "PhysicalSizeXUnit": "nm", "PhysicalSizeZ": 0.05}
    assert size_after(tmp_path, STACK, ome=True, metadata=stack) == pytest.approx((50.0, 2.0, 2.0))
    assert size_after(tmp_path, ome=True, metadata={"axes": "YX"}) is None
    pixels = {"axes": "YX", "PhysicalSizeX": 1, "PhysicalSizeXUnit": "pixel"}
    assert size_after(tmp_path, ome=True, metadata=pixels) is None


@pytest.mark.parametrize("dpi", [72, 96, 300, 1200])
def test_a_printers_resolution_is_not_a_pixel_size(tmp_path: Path, dpi: int) -> None:
    assert size_after(tmp_path, resolution=(dpi, dpi), resolutionunit="INCH") is None
    assert size_after(tmp_path, resolution=(dpi / 2.54, dpi / 2.54), resolutionunit="CENTIMETER") is None


def test_a_microscopes_resolution_is_one(tmp_path: Path) -> None:
    assert size_after(tmp_path, resolution=(5e6, 2.5e6), resolutionunit="CENTIMETER") == pytest.approx((4.0, 2.0))
    assert size_after(tmp_path, resolution=(5e6, 2.5e6), resolutionunit="NONE") is None


@pytest.mark.parametrize("name", ["AP_IMAGE_PIXEL_SIZE", "AP_PIXEL_SIZE"])
@pytest.mark.parametrize(("unit", "size"), [("nm", 5.582), ("pm", 0.005582), ("µm", 5582.0)])
def test_zeiss(tmp_path: Path, name: str, unit: str, size: float) -> None:
    text = f"0\r\n0\r\nAP_MAG\r\nMag = 20.00 K X\r\n{name}\r\nImage Pixel Size = 5.582 {unit}\r\n".encode("cp1252")
    tags = [(34118, "s", len(text) + 1, text, True)]
    assert size_after(tmp_path, extratags=tags) == pytest.approx((size, size))


@pytest.mark.parametrize("tag", [34680, 34682])
@pytest.mark.parametrize("section", ["Scan", "EScan", "IScan"])
def test_fei(tmp_path: Path, tag: int, section: str) -> None:
    text = f"[User]\r\nDate=1\r\n[{section}]\r\nPixelWidth=1.5e-009\r\nPixelHeight=3e-009\r\n".encode()
    tags = [(tag, "s", len(text) + 1, text, True)]
    assert size_after(tmp_path, extratags=tags, resolution=(96, 96), resolutionunit="INCH") == pytest.approx((3.0, 1.5))


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (34118, b"AP_PIXEL_SIZE\r\nPixel Size = unknown\r\n"),
        (34118, b"AP_PIXEL_SIZE\r\nPixel Size = 0 nm\r\n"),
        (34682, b"[Scan]\r\nPixelWidth=none\r\n"),
        (34682, b"[Scan]\r\nPixelWidth=0\r\nPixelHeight=0\r\n"),
        (34682, b"garbage"),
    ],
)
def test_a_damaged_tag_says_nothing(tmp_path: Path, tag: int, text: bytes) -> None:
    assert size_after(tmp_path, extratags=[(tag, "s", len(text) + 1, text, True)]) is None


def test_the_size_alone_is_read_without_the_pixels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, imagej=True, resolution=(500.0, 250.0), metadata={"unit": "um"})
    assert read_calibration(tmp_path / "a.tif").pixel_size_nm == pytest.approx((4.0, 2.0))
    (tmp_path / "a.png").write_bytes(b"x")
    assert not read_calibration(tmp_path / "a.png").known
    (tmp_path / "b.tif").write_bytes(b"x")
    with pytest.raises(NanosegError, match="not a TIFF file"):
        read_calibration(tmp_path / "b.tif")
