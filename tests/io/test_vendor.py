"""Microscopes' own formats are read by rosettasciio or refused with what to install."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.images import read_image


def test_without_rosettasciio_the_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rsciio", None)
    (tmp_path / "a.dm4").write_bytes(b"\0\0\0\4")
    with pytest.raises(NanosegError, match="pip install napari-nanoseg\\[microscopy\\]"):
        read_image(tmp_path / "a.dm4")


def test_a_hyperspy_file_has_its_pixel_size(tmp_path: Path) -> None:
    hspy = pytest.importorskip("rsciio.hspy")
    data = np.arange(12.0).reshape(3, 4)
    axes = [
        {
            "name": name,
            "size": size,
            "scale": 0.5,
            "offset": 0.0,
            "units": "µm",
            "navigate": False,
            "index_in_array": index,
        }
        for index, (name, size) in enumerate((("y", 3), ("x", 4)))
    ]
    signal = {
        "data": data,
        "axes": axes,
        "metadata": {"General": {"title": "micrograph"}, "Signal": {}},
        "original_metadata": {},
        "package_info": {},
        "models": {},
        "tmp_parameters": {},
        "learning_results": {},
        "attributes": {"_lazy": False, "ragged": False},
    }
    hspy.file_writer(str(tmp_path / "a.hspy"), signal)
    image = read_image(tmp_path / "a.hspy")
    assert np.array_equal(image.data, data)
    assert image.calibration.pixel_size_nm == (500.0, 500.0)
