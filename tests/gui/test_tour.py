"""A newcomer's first segmentation in a fresh napari, by mouse and keyboard: from the sample to saved results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("napari")

import napari
from robot import Robot
from tour import OUTLINED, Tour

from napari_nanoseg.documents import read_yaml
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.io.images import read_image
from napari_nanoseg.io.sample_data import sample_data
from napari_nanoseg.io.tables import read_table

STEPS = 250


@pytest.mark.gui
@pytest.mark.timeout(600)
def test_a_newcomer_gets_from_the_sample_to_saved_results(tmp_path: Path, home: Path) -> None:
    viewer = napari.Viewer()
    try:
        Tour(Robot(viewer), tmp_path).all(STEPS, images=4)
        found = viewer.layers["particles: particles"].data
    finally:
        viewer.close()
    table = read_table(tmp_path / "particles.csv")
    assert "equivalent_diameter_nm" in table
    assert len(read_table(tmp_path / "particles.xlsx")) == len(table)
    (model,) = (home / "data" / "napari-nanoseg" / "models").iterdir()
    assert read_yaml(model / "run.yaml")["config"]["config"]["steps"] == STEPS
    annotated = read_image(model / "annotated" / "masks" / "particles.tif")
    assert annotated.data.max() == len(OUTLINED)
    # what the dock shows is what the model finds in a script
    again = load_model(model).segment(read_image(sample_data() / "particles.tif")).to_labels()
    assert (again == found).all()
    assert len(table) == again.max()
    # a minute's training on eight of 90 particles; 1,500 steps reach 0.99
    assert json.loads((tmp_path / "comparison" / "metrics.json").read_text())["f1"] > 0.7
