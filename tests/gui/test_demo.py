"""What the demo opens in napari: every step of the dock has the layer that belongs to it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from pytestqt.qtbot import QtBot

from napari_nanoseg import measure, read_image, read_labels
from napari_nanoseg._gui.demo import PREDICTED, demo_layers
from napari_nanoseg._gui.nanoseg import NanoSeg
from napari_nanoseg._gui.session import session_of
from napari_nanoseg._gui.show import fill
from napari_nanoseg.io.sample_data import sample_data
from napari_nanoseg.io.tables import write_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A demo that found just what is there."""
    labels, image = sample_data() / "particles_truth.tif", read_image(sample_data() / "particles.tif")
    (tmp_path / "labels").mkdir()
    shutil.copy(labels, tmp_path / "labels" / "particles.tif")
    shutil.copytree(sample_data() / "annotated", tmp_path / "synthetic")
    write_table(measure(read_labels(labels), image.calibration), tmp_path / "table.csv")
    return tmp_path


def test_each_step_begins_with_the_layer_that_belongs_to_it(folder: Path, qtbot: QtBot) -> None:
    viewer = ViewerModel()
    layers, outlined = demo_layers(folder)
    fill(viewer, layers, select=PREDICTED, filled=[outlined])
    dock = NanoSeg(viewer)
    qtbot.addWidget(dock)
    for title in ("Measure", "Compare"):
        dock.step(title)
    session = session_of(viewer)
    assert (session.image.name, session.particles.name) == ("micrograph", outlined)
    assert session.prediction.name == PREDICTED
    assert viewer.layers["found: 80 TP"].visible
