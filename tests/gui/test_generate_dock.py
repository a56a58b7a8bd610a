"""What is previewed is what is written; bad input is one sentence and leaves nothing behind."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Labels, Layer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QLineEdit, QPushButton

from napari_nanoseg._gui.generate import Generate
from napari_nanoseg._gui.layers import sample_layers
from napari_nanoseg._gui.preview_making import Preview
from napari_nanoseg.config.command import command
from napari_nanoseg.config.generate import CutPasteConfig, GenerateJob
from napari_nanoseg.config.jobs import parse_job
from napari_nanoseg.documents import read_yaml
from napari_nanoseg.io.datasets import open_dataset, write_sample
from napari_nanoseg.samples import Sample

SMALL = CutPasteConfig(height=96, width=128, backgrounds=("flat", "inpainted"), seed=3)
SECONDS = 60_000

Dock = Callable[..., Generate]


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def make_dock(qtbot: QtBot, viewer: ViewerModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dock:
    monkeypatch.setenv("HOME", str(tmp_path))

    def make(config: CutPasteConfig = SMALL, count: int = 3) -> Generate:
        dock = Generate(viewer)
        qtbot.addWidget(dock)
        dock.cutpaste.form.setValue(config)
        line = dock.amount.editor("count").findChild(QLineEdit)
        assert line is not None
        line.setText(str(count))
        dock.show()
        return dock

    return make


@pytest.fixture
def discs(make_sample: Callable[..., Sample]) -> Sample:
    return make_sample("discs", 1)


def _open(viewer: ViewerModel, sample: Sample) -> None:
    for data in sample_layers(sample):
        viewer.add_layer(Layer.create(*data))


def _seen(qtbot: QtBot, dock: Generate) -> Preview:
    """The preview, when it is the one for what the dock holds."""
    qtbot.waitUntil(lambda: not dock.preview.busy and not dock.cutpaste.annotation._settled.isActive(), timeout=SECONDS)
    preview = dock.preview.picture.preview
    assert preview is not None, dock.preview.picture.text
    return preview


def _told(qtbot: QtBot, dock: Generate) -> str:
    qtbot.waitUntil(lambda: dock.preview.picture.text.endswith("."), timeout=SECONDS)
    return dock.preview.picture.text


def _write(qtbot: QtBot, dock: Generate) -> None:
    with qtbot.waitSignal(dock.panel.ended, timeout=SECONDS):
        qtbot.mouseClick(dock.panel.start_button, Qt.MouseButton.LeftButton)


def _failure(qtbot: QtBot, dock: Generate) -> str:
    with qtbot.waitSignal(dock.panel.failed, timeout=SECONDS) as failed:
        qtbot.mouseClick(dock.panel.start_button, Qt.MouseButton.LeftButton)
    return str(failed.args[0])


def test_that_an_empty_viewer_is_told_what_to_do(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample
) -> None:
    dock = make_dock()
    assert dock._hint.text().startswith("No image is open; open one")
    assert not dock.panel.start_button.isEnabled()
    _open(viewer, discs)
    assert len(_seen(qtbot, dock).sample.instances) > 0
    assert not dock._hint.isVisible()
    assert dock.panel.start_button.isEnabled()


@pytest.mark.parametrize("stored", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("known", [False, True])
def test_that_the_images_shown_are_those_that_are_written(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample, tmp_path: Path, stored: type, known: bool
) -> None:
    image = replace(discs.image, data=(discs.image.data * (1 if stored == np.uint8 else 1.37)).astype(stored))
    _open(viewer, replace(discs, image=image, known=discs.instances.to_labels() >= 0 if known else None))
    lognormal = SMALL.model_copy(update={"size_distribution": "lognormal", "size_median_nm": 31.7})
    dock = make_dock(lognormal, count=2)
    shown = [_seen(qtbot, dock).sample]
    dock.preview.forth.click()
    shown.append(_seen(qtbot, dock).sample)
    dock.out.choose(tmp_path / "made")
    _write(qtbot, dock)
    written = list(open_dataset(tmp_path / "made"))
    assert len(written) == 2
    for one, other in zip(shown, written, strict=True):
        np.testing.assert_array_equal(one.image.data, other.image.data)
        np.testing.assert_array_equal(one.instances.to_labels(), other.instances.to_labels())
        assert one.image.calibration.nm_per_pixel == pytest.approx(other.image.calibration.nm_per_pixel)


def test_that_the_preview_follows_the_form_and_only_the_last_change_is_shown(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample
) -> None:
    _open(viewer, discs)
    dock = make_dock()
    _seen(qtbot, dock)
    shown: list[tuple[int, ...]] = []
    dock.preview.changed.connect(lambda: shown.append(_shape(dock)))
    for height in (100, 110, 120, 130):
        dock.cutpaste.form.setValue(SMALL.model_copy(update={"height": height}))
    _seen(qtbot, dock)
    assert shown == [(130, 128)]
    dock.cutpaste.form.setValue(SMALL.model_copy(update={"height": 140}))
    qtbot.waitUntil(lambda: dock.preview._previews._latest.busy, timeout=SECONDS)
    dock.cutpaste.form.setValue(SMALL.model_copy(update={"height": 150}))  # the one for 140 is dropped
    _seen(qtbot, dock)
    assert shown == [(130, 128), (150, 128)]


def _shape(dock: Generate) -> tuple[int, ...]:
    preview = dock.preview.picture.preview
    return () if preview is None else preview.pictures[0].grey.shape


def test_that_an_edited_annotation_is_seen(qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample) -> None:
    _open(viewer, discs)
    dock = make_dock()
    before = _seen(qtbot, dock)
    labels = viewer.layers["discs: annotated"]
    assert isinstance(labels, Labels)
    labels.data = np.where(labels.data > 5, 0, labels.data)
    qtbot.waitUntil(lambda: dock.cutpaste.annotation._settled.isActive() or dock.preview.busy, timeout=SECONDS)
    assert _seen(qtbot, dock) is not before


def test_the_outlines_can_be_hidden_and_images_turned(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample
) -> None:
    _open(viewer, discs)
    dock = make_dock()
    first = _seen(qtbot, dock).sample
    with_outlines = dock.preview.picture.grab().toImage()
    dock.preview.outlines.click()
    assert dock.preview.picture.grab().toImage() != with_outlines
    assert not dock.preview.back.isEnabled()
    dock.preview.forth.click()
    assert not np.array_equal(_seen(qtbot, dock).sample.image.data, first.image.data)
    dock.preview.back.click()
    assert np.array_equal(_seen(qtbot, dock).sample.image.data, first.image.data)
    assert dock.preview.caption.text() == f"Image 0: {len(first.instances)} particles"


def test_that_problems_stand_in_the_place_of_the_picture(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample
) -> None:
    _open(viewer, discs)
    dock = make_dock()
    _seen(qtbot, dock)
    line = dock.cutpaste.form.editor("seed").findChild(QLineEdit)
    assert line is not None
    line.setText("x")
    assert _told(qtbot, dock) == "'Seed' is 'x': it must be a whole number."
    assert not dock.panel.start_button.isEnabled()
    line.setText("3")
    _seen(qtbot, dock)
    assert dock.panel.start_button.isEnabled()
    dock.cutpaste.form.setValue(SMALL.model_copy(update={"scale": (9.0, 9.0)}))
    qtbot.waitUntil(lambda: dock.preview.picture.preview is None and not dock.preview.busy, timeout=SECONDS)
    assert "make the images larger" in dock.preview.picture.text


def test_that_the_preview_becomes_layers(qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample) -> None:
    _open(viewer, discs)
    dock = make_dock()
    sample = _seen(qtbot, dock).sample
    dock.preview.layers.click()
    image, labels = viewer.layers["synthetic 0"], viewer.layers["synthetic 0: annotated"]
    assert np.array_equal(image.data, sample.image.data)
    assert np.array_equal(labels.data, sample.instances.to_labels())
    assert [str(unit) for unit in image.units] == ["nanometer", "nanometer"]
    assert dock.session.particles is viewer.layers["discs: annotated"]  # the annotation stays the one that is chosen


def test_writing_offers_the_training_and_names_what_was_done(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample, tmp_path: Path
) -> None:
    _open(viewer, discs)
    dock = make_dock()
    _seen(qtbot, dock)
    assert dock.out.path == tmp_path / "nanoseg" / "discs-synthetic"
    _write(qtbot, dock)
    made = tmp_path / "nanoseg" / "discs-synthetic"
    assert len(open_dataset(made)) == 3
    assert dock.session.dataset == made
    assert dock.out.path == tmp_path / "nanoseg" / "discs-synthetic-2"
    opened: list[str] = []
    dock.go_to.connect(opened.append)
    next(button for button in dock.findChildren(QPushButton) if button.text() == "Next: Train").click()
    assert opened == ["Train"]


def test_that_the_command_does_what_the_dock_does(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample, tmp_path: Path
) -> None:
    _open(viewer, discs)
    dock = make_dock()
    _seen(qtbot, dock)
    dock.out.choose(tmp_path / "a b" / "made")
    with qtbot.waitSignal(dock.panel.ended, timeout=SECONDS):
        dock.copy_button.click()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    source = tmp_path / "a b" / "made-source"
    job = GenerateJob(config=SMALL, source=source, out=tmp_path / "a b" / "made", count=3)
    assert clipboard.text() == command(job)
    assert shlex.split(clipboard.text())[:3] == ["nanoseg", "generate", "cutpaste"]
    assert np.array_equal(open_dataset(source)[0].image.data, discs.image.data)
    _write(qtbot, dock)  # the same job, from the same source
    assert parse_job(read_yaml(tmp_path / "a b" / "made" / "run.yaml")["config"]) == job
    assert sorted(path.name for path in (tmp_path / "a b").iterdir()) == ["made", "made-source"]


def test_a_dataset_folder_as_the_source(qtbot: QtBot, make_dock: Dock, discs: Sample, tmp_path: Path) -> None:
    write_sample(tmp_path / "annotated", discs)
    dock = make_dock()
    dock.cutpaste.source.setCurrentIndex(1)
    assert not dock._hint.isVisible()
    assert _told(qtbot, dock) == "Choose the folder of a dataset, or the annotation in the layers."
    dock.cutpaste.folder.choose(tmp_path)
    qtbot.waitUntil(lambda: "has no folder 'images'" in dock.preview.picture.text, timeout=SECONDS)
    dock.cutpaste.folder.choose(tmp_path / "annotated")
    _seen(qtbot, dock)
    assert dock.out.path == tmp_path / "annotated-synthetic"
    dock.out.choose(tmp_path / "annotated")
    qtbot.mouseClick(dock.panel.start_button, Qt.MouseButton.LeftButton)
    assert not dock.running
    dock.out.choose(tmp_path / "made")
    _write(qtbot, dock)
    assert len(open_dataset(tmp_path / "made")) == 3
    assert not (tmp_path / "made-source").exists()


def test_that_a_folder_with_something_else_stays_as_it_was(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample, tmp_path: Path
) -> None:
    _open(viewer, discs)
    dock = make_dock()
    _seen(qtbot, dock)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    dock.out.choose(tmp_path / "mine")
    assert "choose an empty folder" in _failure(qtbot, dock)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    assert not (tmp_path / "mine-source").exists()
    assert dock.session.dataset is None


def test_that_a_dataset_is_replaced_only_when_told(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample, tmp_path: Path
) -> None:
    _open(viewer, discs)
    dock = make_dock(count=1)
    _seen(qtbot, dock)
    dock.out.choose(tmp_path / "made")
    _write(qtbot, dock)
    before = {path.name: path.read_bytes() for path in (tmp_path / "made").rglob("*.tif")}
    dock.cutpaste.form.setValue(dock.cutpaste.form.value().with_fields(seed=5))
    _seen(qtbot, dock)
    dock.out.choose(tmp_path / "made")
    assert "--overwrite" in _failure(qtbot, dock)
    assert {path.name: path.read_bytes() for path in (tmp_path / "made").rglob("*.tif")} == before
    dock.overwrite.setChecked(True)
    _write(qtbot, dock)
    after = {path.name: path.read_bytes() for path in (tmp_path / "made").rglob("*.tif")}
    assert after.keys() == before.keys()
    assert after != before
    assert not (tmp_path / "made.part").exists()


def test_that_a_place_that_cannot_be_written_is_one_sentence(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample, tmp_path: Path
) -> None:
    _open(viewer, discs)
    dock = make_dock()
    _seen(qtbot, dock)
    (tmp_path / "file").write_text("x")
    dock.out.choose(tmp_path / "file" / "made")
    assert "choose another folder" in _failure(qtbot, dock)
    dock.out.choose(tmp_path / "fine")
    _write(qtbot, dock)
    assert len(open_dataset(tmp_path / "fine")) == 3


def test_that_layers_may_go_while_images_are_written(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample, tmp_path: Path
) -> None:
    _open(viewer, discs)
    dock = make_dock(count=20)
    _seen(qtbot, dock)
    dock.out.choose(tmp_path / "made")
    with qtbot.waitSignal(dock.panel.done, timeout=SECONDS):
        qtbot.mouseClick(dock.panel.start_button, Qt.MouseButton.LeftButton)
        viewer.layers.clear()
    assert len(open_dataset(tmp_path / "made")) == 20
    assert dock._hint.text().startswith("No image is open")
    assert not dock.panel.start_button.isEnabled()


def test_that_cancelling_keeps_what_is_finished_and_the_rest_can_follow(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample, tmp_path: Path
) -> None:
    _open(viewer, discs)
    dock = make_dock(count=100_000)
    _seen(qtbot, dock)
    dock.out.choose(tmp_path / "made")
    images = tmp_path / "made" / "images"
    qtbot.mouseClick(dock.panel.start_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: images.is_dir() and len(list(images.iterdir())) > 3, timeout=SECONDS)
    with qtbot.waitSignal(dock.panel.cancelled, timeout=SECONDS):
        dock.panel.cancel_button.click()
    finished = len(open_dataset(tmp_path / "made"))
    line = dock.amount.editor("count").findChild(QLineEdit)
    assert line is not None
    line.setText(str(finished + 2))
    _write(qtbot, dock)
    assert len(open_dataset(tmp_path / "made")) == finished + 2
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("made")) == ["made", "made-source"]


def test_that_a_hidden_dock_computes_nothing_and_a_shown_one_catches_up(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample
) -> None:
    dock = make_dock()
    dock.hide()
    _open(viewer, discs)
    with qtbot.waitSignal(dock.cutpaste.annotation.changed):
        pass
    assert not dock.preview.busy
    dock.show()
    _seen(qtbot, dock)


def test_that_a_dock_may_go_while_its_preview_is_made(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample
) -> None:
    _open(viewer, discs)
    dock = make_dock()
    qtbot.waitUntil(lambda: dock.preview._previews._latest.busy, timeout=SECONDS)
    running = dock.preview._previews._latest._worker
    assert running is not None
    with qtbot.waitSignal(dock.destroyed):
        dock.deleteLater()
    qtbot.waitUntil(lambda: running.over, timeout=SECONDS)


def test_that_very_large_images_have_no_preview_but_can_be_written(
    qtbot: QtBot, make_dock: Dock, viewer: ViewerModel, discs: Sample
) -> None:
    _open(viewer, discs)
    dock = make_dock(SMALL.model_copy(update={"height": 16384, "width": 16384}))
    qtbot.waitUntil(lambda: "such images can be written" in dock.preview.picture.text, timeout=SECONDS)
    assert dock.panel.start_button.isEnabled()
