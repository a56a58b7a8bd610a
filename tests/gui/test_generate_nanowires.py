"""The nanowire page of the Generate dock: presets, the same objects in several looks, datasets, layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")

import napari
from napari.components import ViewerModel
from napari.layers import Labels, Layer, Shapes
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QLineEdit

from napari_nanoseg._gui.contributions import sample_network
from napari_nanoseg._gui.generate import Generate
from napari_nanoseg._gui.layers import sample_layers
from napari_nanoseg._gui.nanoseg import NanoSeg
from napari_nanoseg._gui.preview_making import Preview
from napari_nanoseg._gui.train import Train
from napari_nanoseg.config.command import command
from napari_nanoseg.config.jobs import parse_job
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.nanowire_presets import PRESETS
from napari_nanoseg.config.nanowires import NanowireConfig, NanowiresJob, nanowire_preset
from napari_nanoseg.documents import read_yaml
from napari_nanoseg.generators.stream import generate
from napari_nanoseg.io.datasets import open_dataset

SMALL = NanowireConfig(height=96, width=128, length_nm=500.0, wires=(10, 12), seed=3)
LARGER: dict[str, object] = {"height": 224, "width": 224, "dtype": "float32"}
"""For fits, which need some background."""
SECONDS = 60_000


@pytest.fixture
def dock(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generate:
    monkeypatch.setenv("HOME", str(tmp_path))
    dock = Generate(ViewerModel())
    qtbot.addWidget(dock)
    dock.kind.setCurrentIndex(1)
    dock.nanowires.form.setValue(SMALL)
    _count(dock, 3)
    dock.show()
    return dock


def _count(dock: Generate, count: int) -> None:
    line = dock.amount.editor("count").findChild(QLineEdit)
    assert line is not None
    line.setText(str(count))


def _seen(qtbot: QtBot, dock: Generate) -> Preview:
    qtbot.waitUntil(lambda: not dock.preview.busy, timeout=SECONDS)
    preview = dock.preview.picture.preview
    assert preview is not None, dock.preview.picture.text
    return preview


def _titles(preview: Preview) -> list[str]:
    return [picture.title for picture in preview.pictures]


def _change(dock: Generate, **changes: object) -> None:
    dock.nanowires.form.setValue(SMALL.model_copy(update=changes))


def _write(qtbot: QtBot, dock: Generate) -> None:
    with qtbot.waitSignal(dock.panel.ended, timeout=SECONDS):
        dock.panel.start_button.click()


def test_that_an_empty_viewer_shows_the_same_objects_as_optical_density_and_sem(qtbot: QtBot, dock: Generate) -> None:
    preview = _seen(qtbot, dock)
    assert not dock._hint.isVisible()
    assert dock.panel.start_button.isEnabled()
    assert _titles(preview) == ["OD", "SEM"]
    inside = preview.sample.instances.to_labels() > 0
    for picture in preview.pictures:
        assert picture.grey.dtype == np.uint8
        assert np.median(picture.grey[inside]) > np.median(picture.grey[~inside])
    shown = dock.preview.picture.grab().toImage()
    dock.preview.outlines.click()
    assert dock.preview.picture.grab().toImage() != shown


@pytest.mark.parametrize(("look", "titles"), [("sem", ["OD", "SEM"]), ("stxm", ["STXM", "OD", "SEM"])])
def test_that_another_look_is_shown_beside_the_two(qtbot: QtBot, dock: Generate, look: str, titles: list[str]) -> None:
    before = _seen(qtbot, dock)
    _change(dock, look=look)
    preview = _seen(qtbot, dock)
    assert _titles(preview) == titles
    np.testing.assert_array_equal(preview.sample.instances.to_labels(), before.sample.instances.to_labels())
    pictures = {picture.title: picture.grey for picture in preview.pictures}
    for picture in before.pictures:
        np.testing.assert_array_equal(pictures[picture.title], picture.grey)


@pytest.mark.parametrize("name", PRESETS)
def test_that_a_preset_fills_the_form(qtbot: QtBot, dock: Generate, name: str) -> None:
    _seen(qtbot, dock)
    dock.hide()
    dock.nanowires.preset.setCurrentText(name)
    dock.nanowires.preset.activated.emit(dock.nanowires.preset.currentIndex())
    assert dock.nanowires.form.value() == nanowire_preset(name)
    assert not dock.preview.busy  # nothing is computed while the dock is hidden
    dock.nanowires.preset.setCurrentIndex(0)
    dock.nanowires.preset.activated.emit(0)
    assert dock.nanowires.form.value() == NanowireConfig()


def test_that_the_images_shown_are_those_that_are_written_and_trained_on(
    qtbot: QtBot, dock: Generate, tmp_path: Path
) -> None:
    shown = [_seen(qtbot, dock).sample]
    dock.preview.forth.click()
    shown.append(_seen(qtbot, dock).sample)
    made = tmp_path / "nanoseg" / "nanowires"
    assert dock.out.path == made
    dock.copy_button.click()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    job = NanowiresJob(config=SMALL, out=made, count=3)
    assert clipboard.text() == command(job)
    train = Train(dock.viewer)
    qtbot.addWidget(train)
    _write(qtbot, dock)
    written = list(open_dataset(made))
    assert len(written) == 3
    for one, other in zip(shown, written, strict=False):
        np.testing.assert_array_equal(one.image.data, other.image.data)
        for mask, stored in zip(one.instances.masks, other.instances.masks, strict=True):
            np.testing.assert_array_equal(mask, stored)
    assert parse_job(read_yaml(made / "run.yaml")["config"]) == job
    assert "a Mask R-CNN learns them whole" in " ".join(dock.panel.messages.texts("info"))
    assert dock.out.path == made.with_name("nanowires-2")
    assert dock.session.dataset == train.dataset.path == made
    assert "choose Mask R-CNN under 'Network'" in train._hint.text()
    config = train.form.value()
    train.form.setValue(config.with_kind("engine", MaskRCNNConfig()))
    assert "Mask R-CNN under" not in train._hint.text()


def test_that_a_preview_becomes_layers_with_outlines_and_true_sizes(qtbot: QtBot, dock: Generate) -> None:
    sample = _seen(qtbot, dock).sample
    dock.preview.layers.click()
    image, labels, outlines = dock.viewer.layers
    assert [layer.name for layer in dock.viewer.layers] == [
        "synthetic 0", "synthetic 0: annotated", "synthetic 0: overlaps",
    ]  # fmt: skip
    assert isinstance(labels, Labels)
    assert isinstance(outlines, Shapes)
    np.testing.assert_array_equal(image.data, sample.image.data)
    assert len(outlines.data) == sample.instances.overlaps.sum() > 2
    assert sample.truth is not None
    assert labels.features["length_nm"].tolist() == sample.truth["length_nm"].tolist()
    assert dock.viewer.layers.selection.active is labels
    assert {str(unit) for layer in dock.viewer.layers for unit in layer.units} == {"nanometer"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"deposition": "layered", "layers": 1, "wires": (300, 300)}, "of 300 objects fit into 1 layer when"),
        ({"length_nm": 0.5, "width_nm": 0.1}, "less than one pixel of 10 nm"),
        ({"wires": (0, 0)}, "There is nothing to draw"),
        ({"height": 8192, "width": 8192}, "no preview of 8192 × 8192 px with 4 rays each"),
    ],
)
def test_that_what_is_impossible_is_said_in_place_of_the_picture(
    qtbot: QtBot, dock: Generate, changes: dict[str, object], sentence: str
) -> None:
    _seen(qtbot, dock)
    _change(dock, **changes)
    qtbot.waitUntil(lambda: sentence in dock.preview.picture.text, timeout=SECONDS)
    if "height" not in changes:  # large ones can be written
        with qtbot.waitSignal(dock.panel.failed, timeout=SECONDS) as failed:
            dock.panel.start_button.click()
        assert sentence in failed.args[0]
        assert dock.out.path is not None
        assert not dock.out.path.exists()
    _change(dock)
    _seen(qtbot, dock)


def test_that_only_the_last_change_is_shown(qtbot: QtBot, dock: Generate) -> None:
    _seen(qtbot, dock)
    shown: list[int] = []
    dock.preview.changed.connect(lambda: shown.append(_seen(qtbot, dock).pictures[0].grey.shape[0]))
    for height in (100, 110, 120):
        _change(dock, height=height)
    qtbot.waitUntil(lambda: dock.preview._previews._latest.busy, timeout=SECONDS)
    _change(dock, height=130)
    _seen(qtbot, dock)
    assert shown == [130]


def test_that_cancelling_keeps_what_is_finished_and_the_rest_can_follow(
    qtbot: QtBot, dock: Generate, tmp_path: Path
) -> None:
    _count(dock, 100_000)
    dock.out.choose(tmp_path / "made")
    images = tmp_path / "made" / "images"
    dock.panel.start_button.click()
    qtbot.waitUntil(lambda: images.is_dir() and len(list(images.iterdir())) > 3, timeout=SECONDS)
    with qtbot.waitSignal(dock.panel.cancelled, timeout=SECONDS):
        dock.panel.cancel_button.click()
    finished = len(open_dataset(tmp_path / "made"))
    _count(dock, finished + 2)
    _write(qtbot, dock)
    assert len(open_dataset(tmp_path / "made")) == finished + 2


def test_that_each_generator_has_its_own_source_and_folder(qtbot: QtBot, dock: Generate, tmp_path: Path) -> None:
    _seen(qtbot, dock)
    dock.kind.setCurrentIndex(0)
    assert dock._hint.text().startswith("No image is open")
    assert dock.preview.picture.text == "The preview appears here."
    assert not dock.panel.start_button.isEnabled()
    for data, options, kind in sample_network():
        getattr(dock.viewer, f"add_{kind}")(data, **options)
    qtbot.waitUntil(lambda: dock.panel.start_button.isEnabled(), timeout=SECONDS)
    assert dock.out.path == tmp_path / "nanoseg" / "network-synthetic"
    dock.kind.setCurrentIndex(1)
    assert dock.nanowires.form.value() == SMALL
    assert dock.out.path == tmp_path / "nanoseg" / "nanowires"
    assert _titles(_seen(qtbot, dock)) == ["OD", "SEM"]


def test_that_the_form_takes_a_fit_to_the_open_image_and_to_its_outlined_wires(qtbot: QtBot, dock: Generate) -> None:
    _seen(qtbot, dock)
    fold = dock.nanowires.fit
    fold.open()
    fold.button.click()
    assert dock.panel.messages.texts("error") == [
        "No image is open; open the one that generated images should look like."
    ]
    few = SMALL.detector.model_copy(update={"photons": (300.0, 300.0)})
    hidden = SMALL.model_copy(update=LARGER | {"detector": few})
    real = next(generate(hidden.model_copy(update={"seed": 5})))
    for data in sample_layers(real):
        dock.viewer.add_layer(Layer.create(*data))
    _change(dock, **LARGER | {"length_nm": 400.0})
    fold.sizes.setChecked(True)
    with qtbot.waitSignal(dock.panel.ended, timeout=SECONDS):
        fold.button.click()
    fitted = dock.nanowires.form.value()
    assert isinstance(fitted, NanowireConfig)
    assert dock.panel.messages.texts("info")[0].startswith("The form holds the fitted generator.")
    assert 200 < np.mean(fitted.detector.photons) < 450
    assert fitted.length_nm == pytest.approx(500, rel=0.25)
    _seen(qtbot, dock)  # of the fitted generator


@pytest.mark.gui
def test_nanowires_in_a_whole_viewer(tmp_path: Path) -> None:
    from robot import Robot

    viewer = napari.Viewer(show=True)
    try:
        robot = Robot(viewer)
        dock = NanoSeg(viewer)
        viewer.window.add_dock_widget(dock, name="NanoSeg", area="right")
        page = dock.step("Generate")
        assert isinstance(page, Generate)
        page.kind.setCurrentIndex(1)
        page.nanowires.form.setValue(SMALL)
        robot.wait(lambda: "particles" in page.preview.caption.text(), 60, "the preview")
        before = page.preview.picture.preview
        robot.type_into(page.nanowires.form.editor("seed").findChild(QLineEdit), "8")
        robot.wait(lambda: page.preview.picture.preview not in (None, before), 30, "the preview of another seed")
        robot.click(page, "Show as layers")
        assert [type(layer).__name__ for layer in viewer.layers] == ["Image", "Labels", "Shapes"]
        robot.type_into(page.amount.editor("count").findChild(QLineEdit), "2")
        robot.type_into(page.out.findChild(QLineEdit), str(tmp_path / "wires"))
        robot.click(page, "Write dataset")
        robot.wait(lambda: not page.running, 60, "the dataset")
        robot.settle()  # Qt shows a new button in the next turn of its loop
        robot.click(page, "Next: Train")
        train = dock.step("Train")
        assert isinstance(train, Train)
        assert train.dataset.path == tmp_path / "wires"
        assert "choose Mask R-CNN" in robot.sentences(train)
    finally:
        viewer.close()
