"""The cathode page of the Generate dock: presets, the middle slice beside its classes, datasets, layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Labels
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QLineEdit

from napari_nanoseg._gui.generate import Generate
from napari_nanoseg._gui.preview_making import CLASS_GREYS, Preview
from napari_nanoseg.config.cathode import CathodeConfig, CathodeJob, cathode_preset
from napari_nanoseg.generators.stream import generate
from napari_nanoseg.io.datasets import open_dataset
from napari_nanoseg.jobs.run import run_job

SMALL = CathodeConfig(
    depth=6, height=80, width=96, pixel_size_nm=140.0, crack_width_nm=(140.0, 420.0), slices=2, seed=3
)
SECONDS = 60_000


@pytest.fixture
def dock(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generate:
    monkeypatch.setenv("HOME", str(tmp_path))
    dock = Generate(ViewerModel())
    qtbot.addWidget(dock)
    dock.kind.setCurrentIndex(2)
    dock.cathode.form.setValue(SMALL)
    dock.show()
    return dock


def _seen(qtbot: QtBot, dock: Generate) -> Preview:
    qtbot.waitUntil(lambda: not dock.preview.busy, timeout=SECONDS)
    preview = dock.preview.picture.preview
    assert preview is not None, dock.preview.picture.text
    return preview


def test_that_the_middle_slice_is_shown_beside_its_classes(qtbot: QtBot, dock: Generate) -> None:
    preview = _seen(qtbot, dock)
    phantom = next(generate(SMALL))
    assert [picture.title for picture in preview.pictures] == ["Slice 3", "Classes"]
    np.testing.assert_array_equal(preview.pictures[0].grey, phantom.image.data[3])
    np.testing.assert_array_equal(preview.pictures[1].grey, CLASS_GREYS[phantom.classes[3]])
    assert len(preview.sample.instances) == len(np.unique(phantom.particles[3])) - 1
    dock.cathode.form.setValue(SMALL.model_copy(update={"packing": 0.97}))
    qtbot.waitUntil(lambda: "cannot fill" in dock.preview.picture.text, timeout=SECONDS)
    dock.cathode.form.setValue(SMALL.model_copy(update={"depth": 4096}))
    qtbot.waitUntil(lambda: "4096 × 80 × 96 voxels" in dock.preview.picture.text, timeout=SECONDS)


def test_that_a_preset_fills_the_form(dock: Generate) -> None:
    page, name = dock.cathode, "NMC training"
    page.preset.setCurrentText(name)
    page.preset.activated.emit(page.preset.currentIndex())
    assert page.form.value() == cathode_preset(name)


def test_that_a_phantom_becomes_layers(qtbot: QtBot, dock: Generate) -> None:
    preview = _seen(qtbot, dock)
    dock.preview.layers.click()
    image, classes, particles = dock.viewer.layers
    phantom = preview.phantom
    assert phantom is not None
    assert image.data is phantom.image.data
    assert isinstance(classes, Labels)
    assert isinstance(particles, Labels)
    np.testing.assert_array_equal(classes.data, phantom.classes)
    np.testing.assert_array_equal(particles.data, phantom.particles)
    np.testing.assert_allclose(image.scale, classes.scale)
    assert "damage" in particles.features
    assert dock.viewer.layers.selection.active is classes


def test_that_the_form_is_written_as_a_dataset(qtbot: QtBot, dock: Generate, tmp_path: Path) -> None:
    assert dock.amount.value().count == 10
    line = dock.amount.editor("count").findChild(QLineEdit)
    assert line is not None
    line.setText("1")
    out = dock.out.path
    assert out is not None
    with qtbot.waitSignal(dock.panel.ended, timeout=SECONDS):
        dock.panel.start_button.click()
    assert "2 images are in" in " ".join(dock.panel.messages.texts("info"))
    assert dock.session.dataset == out
    run_job(CathodeJob(config=SMALL, out=tmp_path / "typed", count=1))
    ours, typed = open_dataset(out), open_dataset(tmp_path / "typed")
    assert ours.names == typed.names
    assert all(np.array_equal(a.image.data, b.image.data) for a, b in zip(ours, typed, strict=True))


def test_that_every_kind_keeps_its_own_number(dock: Generate) -> None:
    dock.kind.setCurrentIndex(1)
    assert dock.amount.value().count == 100
    assert dock.amount.isVisibleTo(dock)
    assert not dock.cathode.amount.isVisibleTo(dock)
