"""Titles, units and definitions of columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_nanoseg import Calibration, measure
from napari_nanoseg.measurement.columns import COLUMNS, definition, heading, reading_order


def test_units_are_those_of_the_name() -> None:
    assert definition("area_nm2").endswith("in nm².")
    assert definition("area").endswith("in px².")
    assert heading("feret_max_nm") == "Feret max (nm)"
    assert (heading("my own"), definition("my own")) == ("my own", "")


def test_sizes_come_first_and_pixels_after_nanometres() -> None:
    table = measure(np.ones((3, 3), int), Calibration.of(2.0), np.ones((3, 3)))
    order = reading_order(table.columns)
    assert order[:3] == ["label", "equivalent_diameter_nm", "area_nm2"]
    assert order[-1] == "perimeter"
    assert sorted(order) == sorted(table.columns)


def test_every_column_has_a_definition_that_the_docs_agree_with() -> None:
    page = (Path(__file__).parents[2] / "docs" / "measuring.md").read_text("utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    documented = {row[1].strip(" `"): row[2].strip().replace("`", "") for row in rows}
    for name, column in COLUMNS.items():
        if not name.endswith(("_nm", "_nm2")):
            assert documented[name] == column.meaning, name
