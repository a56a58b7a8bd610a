"""The Segment dock: the same labels as the command and as Python, and nothing that happens meanwhile breaks it."""

from __future__ import annotations

import shlex
import shutil
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("napari")

import dask.array as da
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog, QPushButton
from typer.testing import CliRunner

import napari_nanoseg as ns
from napari_nanoseg._gui import segment as segment_module
from napari_nanoseg._gui.diameter_hint import empty_diameter
from napari_nanoseg._gui.layers import image_layer, instances_of, record_of
from napari_nanoseg._gui.layers.calibrating import set_pixel_size
from napari_nanoseg._gui.model_picker import NOTHING
from napari_nanoseg._gui.segment import NO_IMAGE, NO_MODEL, Segment
from napari_nanoseg._gui.segmenting import Request, job_of
from napari_nanoseg._gui.settings import Settings
from napari_nanoseg.cli import app
from napari_nanoseg.config.baseline import BaselineWishes
from napari_nanoseg.config.command import command
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.events import Progress, tell
from napari_nanoseg.io.images import read_image, read_label_array, write_image
from napari_nanoseg.io.model_library import baseline_folders, starter_folder
from napari_nanoseg.io.recent_models import recent_models, remember_model
from napari_nanoseg.io.run_record import sha256
from napari_nanoseg.samples import Image, Sample


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models in the preferences."""
    chosen = Settings("cpu", tmp_path / "Modelle", 0)
    monkeypatch.setattr("napari_nanoseg._gui.segment.settings", lambda: chosen)
    monkeypatch.setattr("napari_nanoseg._gui.model_picker.settings", lambda: chosen)
    return chosen.models


@pytest.fixture
def model(disc_model: Path, library: Path) -> Path:
    shutil.copytree(disc_model, library / "discs")
    return library / "discs"


@pytest.fixture
def image(make_sample: Callable[..., Sample], tmp_path: Path) -> Image:
    path = tmp_path / "Größe 1 µm.tif"
    write_image(path, make_sample("a", 7).image)
    return read_image(path)


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def dock(viewer: ViewerModel, qtbot: QtBot) -> Segment:
    made = Segment(viewer)
    qtbot.addWidget(made)
    return made


def show(viewer: ViewerModel, image: Image, name: str = "a", **options: Any) -> ImageLayer:
    data, given, kind = image_layer(image, name)
    return viewer.add_layer(Layer.create(data, {**given, **options}, kind))


def run(dock: Segment, qtbot: QtBot, button: QPushButton | None = None) -> None:
    with qtbot.waitSignal(dock.panel.ended, timeout=60_000):
        (button or dock.panel.start_button).click()


def settled(dock: Segment, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not dock._rethreshold.busy, timeout=20_000)


def texts(dock: Segment) -> str:
    return " ".join(text for kind in ("info", "warning", "error") for text in dock.panel.messages.texts(kind))


def offered(dock: Segment) -> list[str]:
    buttons = (dock._next.itemAt(index) for index in range(dock._next.count()))
    return [item.widget().text() for item in buttons if item is not None]


@pytest.mark.usefixtures("without_starter")
def test_without_a_model_or_an_image_it_says_what_to_do(viewer: ViewerModel, image: Image, qtbot: QtBot) -> None:
    dock = Segment(viewer)
    qtbot.addWidget(dock)
    assert dock._hint.text() == NO_IMAGE
    assert not dock.panel.start_button.isEnabled()
    show(viewer, image)
    assert dock._hint.text() == NO_MODEL
    assert dock.models.itemText(0) == NOTHING
    assert offered(dock) == ["Next: Train"]


def test_a_fresh_user_can_segment_with_the_starter(dock: Segment, viewer: ViewerModel, image: Image) -> None:
    assert dock.session.model == starter_folder()
    assert dock.models.currentText() == "starter (any particles)"
    show(viewer, image)
    assert dock._hint.isHidden()
    assert dock.panel.start_button.isEnabled()
    assert offered(dock) == []


def test_a_model_without_a_network_has_no_probabilities_and_says_what_it_guessed(
    dock: Segment, viewer: ViewerModel, image: Image, qtbot: QtBot
) -> None:
    show(viewer, image)
    dock.thresholds.probability.slider.setValue(90)
    dock.models.choose(baseline_folders()["watershed"])
    assert dock.models.currentText() == "watershed (no training)"
    assert dock.thresholds.probability.isHidden()
    assert dock.thresholds.overlap.isHidden()
    assert not dock.thresholds.min_area.isHidden()
    assert dock.request().config.probability is None
    run(dock, qtbot)
    expected = ns.load_model("watershed").segment(image)
    np.testing.assert_array_equal(viewer.layers["a: particles"].data, expected.to_labels())
    assert "no network is needed" in texts(dock)
    assert "taken to be brighter" in texts(dock)
    assert dock.diameter.button.text().startswith("Use ")
    dock.thresholds.min_area.setValue(1e6)
    settled(dock, qtbot)
    assert not viewer.layers["a: particles"].data.any()
    assert "Check the particle diameter" in texts(dock)
    dock.models.choose(starter_folder())
    assert not dock.thresholds.probability.isHidden()
    assert dock.request().config.probability == 0.9, "what was chosen comes back"


def test_parameters_of_a_model_without_a_network_are_shown_and_used(
    dock: Segment, viewer: ViewerModel, image: Image, qtbot: QtBot
) -> None:
    show(viewer, image)
    dock.models.choose(starter_folder())
    assert dock.baseline.isHidden()
    dock.models.choose(baseline_folders()["watershed"])
    assert not dock.baseline.isHidden()
    wishes = BaselineWishes(smoothing=3.0, depth=0.4)
    dock.baseline.setValue(wishes)
    run(dock, qtbot)
    assert dock.result is not None
    expected = ns.load_model("watershed").segment(image, SegmentConfig(baseline=wishes))
    np.testing.assert_array_equal(dock.result.labels, expected.to_labels())
    assert dock.result.record["config"]["config"]["baseline"]["smoothing"] == 3.0
    assert "--smoothing 3.0" in command(job_of(dock.request(), Path("a.tif")))
    dock.models.choose(starter_folder())
    assert dock.request().config.baseline == BaselineWishes()


def test_dock_command_and_python_give_identical_labels(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    layer = show(viewer, image)
    dock.models.refresh()
    dock.models.choose(model)
    dock.thresholds.probability.slider.setValue(40)
    run(dock, qtbot)
    particles = viewer.layers["a: particles"]
    assert dock.session.prediction is particles
    expected = ns.load_model(model).segment(image, SegmentConfig(probability=0.4, device="cpu"))
    assert len(expected) > 0
    np.testing.assert_array_equal(particles.data, expected.to_labels())

    run(dock, qtbot, dock.copy_button)
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    words = shlex.split(clipboard.text())
    result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, result.output
    out = Path(words[words.index("--out") + 1])
    np.testing.assert_array_equal(read_label_array(out / f"{Path(image.source).stem}.tif"), particles.data)
    record = record_of(particles)
    written = yaml.safe_load((out / f"{Path(image.source).stem}.run.yaml").read_text(encoding="utf-8"))
    for name in ("config", "inputs", "versions", "figures", "device"):
        assert record is not None
        assert record[name] == written[name], name
    assert layer.name == "a"


def test_the_result_is_a_layer_with_everything(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    layer = show(viewer, image, translate=(100, 50))
    dock.models.choose(model)
    events: list[Any] = []
    dock.panel.said.connect(events.append)
    run(dock, qtbot)
    particles = viewer.layers["a: particles"]
    assert particles.scale.tolist() == layer.scale.tolist() == [2, 2]
    assert particles.translate.tolist() == [100, 50]
    assert particles.units == layer.units
    table, found = particles.features, instances_of(particles)
    assert table["index"].tolist() == found.ids.tolist()
    assert {"area_nm2", "score"} <= set(table.columns)
    record = record_of(particles)
    assert record is not None
    assert record["inputs"][str(model)] == sha256(model)
    assert record["figures"] == {"particles": len(found)}
    assert any(isinstance(event, Progress) for event in events)
    assert f"{len(found)} particles found. Using cpu, as asked." in texts(dock)
    assert offered(dock) == ["Next: Measure", "Next: Compare"]
    assert recent_models() == [model]


def test_thresholds_change_the_same_layer_without_the_network(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    show(viewer, image)
    dock.models.choose(model)
    run(dock, qtbot)
    particles, asked = viewer.layers["a: particles"], ns.load_model(model)
    for probability, overlap in ((0.85, 0.25), (0.2, 0.6), (0.55, 0.55)):
        dock.thresholds.probability.spin.setValue(probability)
        dock.thresholds.overlap.spin.setValue(overlap)
        settled(dock, qtbot)
        config = SegmentConfig(probability=probability, overlap=overlap, device="cpu")
        np.testing.assert_array_equal(particles.data, asked.segment(image, config).to_labels())
        assert particles.features["index"].tolist() == instances_of(particles).ids.tolist()
        record = record_of(particles)
        assert record is not None
        assert record["config"]["config"]["probability"] == probability
        assert record["figures"]["particles"] == len(particles.features)
    dock.thresholds.probability.spin.setValue(1)
    settled(dock, qtbot)
    assert not particles.data.any()
    assert "No particle was found. Lower the probability" in texts(dock)
    dock.thresholds.probability.reset.click()
    dock.thresholds.overlap.reset.click()
    settled(dock, qtbot)
    np.testing.assert_array_equal(particles.data, asked.segment(image, SegmentConfig(device="cpu")).to_labels())
    assert len(viewer.layers) == 2


def test_what_was_painted_is_never_overwritten(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    show(viewer, image)
    dock.models.choose(model)
    run(dock, qtbot)
    particles = viewer.layers["a: particles"]
    particles.paint((5, 5), 99)
    painted = particles.data.copy()
    dock.thresholds.probability.spin.setValue(0.6)
    settled(dock, qtbot)
    np.testing.assert_array_equal(particles.data, painted)
    assert len(viewer.layers) == 3
    assert "'a: particles' was edited and stays as it is" in texts(dock)
    assert dock.session.prediction is viewer.layers[-1]
    run(dock, qtbot)  # the new one is as it was made: it is replaced
    assert len(viewer.layers) == 3


@pytest.mark.parametrize("kind", ["stack", "dask", "multiscale", "rgb", "2-D in 3-D"])
def test_every_kind_of_image_layer_can_be_segmented(
    kind: str, model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    plane = image.data
    data: Any = {
        "stack": np.stack([plane, plane]),
        "dask": da.from_array(np.stack([plane, plane]), chunks=(1, *plane.shape)),
        "multiscale": [plane, plane[::2, ::2]],
        "rgb": np.dstack([plane] * 3),
        "2-D in 3-D": plane[None],
    }[kind]
    layer = ImageLayer(data, name=kind, rgb=kind == "rgb", multiscale=kind == "multiscale")
    viewer.add_layer(layer)
    dock.models.choose(model)
    run(dock, qtbot)
    assert not dock.panel.messages.texts("error")
    particles = viewer.layers[f"{kind}: particles"]
    expected = ns.load_model(model).segment(plane, SegmentConfig(device="cpu")).to_labels()
    planes = particles.data if particles.ndim == 3 else particles.data[None]
    assert particles.ndim == layer.ndim
    assert len(planes) == (2 if kind in ("stack", "dask") else 1)
    for found in planes:
        np.testing.assert_array_equal(found > 0, expected > 0)


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Generator[threading.Event, None, None]:
    """Holds the segmentation back until it is set; only then it begins."""
    go_on, real = threading.Event(), segment_module.segment

    def held(request: Request) -> Any:
        while not go_on.wait(0.01):
            tell(Progress(0, 1, "tiles"))
        return real(request)

    monkeypatch.setattr(segment_module, "segment", held)
    yield go_on
    go_on.set()


@pytest.mark.parametrize("change", ["removed", "renamed", "other data", "other shape", "scaled", "all removed"])
def test_whatever_happens_to_the_image_meanwhile_the_result_comes(
    change: str, model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot, slowly: threading.Event
) -> None:
    layer = show(viewer, image)
    dock.models.choose(model)
    with qtbot.waitSignal(dock.panel.ended, timeout=60_000):
        dock.panel.start_button.click()
        if change == "removed":
            viewer.layers.remove(layer)
        elif change == "all removed":
            viewer.layers.clear()
        elif change == "renamed":
            layer.name = "b"
        elif change == "other data":
            layer.data = layer.data // 2
        elif change == "other shape":
            layer.data = np.zeros((3, 20, 20))
        else:
            layer.scale = (4, 4)
        slowly.set()
    particles = viewer.layers[-1]
    assert isinstance(particles, Labels)
    assert particles.data.shape == image.data.shape
    assert particles.name == ("b: particles" if change == "renamed" else "a: particles")
    assert ("removed meanwhile" in texts(dock)) == ("removed" in change)
    assert ("changed meanwhile" in texts(dock)) == (change.startswith("other"))
    assert particles.scale.tolist() == ([4, 4] if change == "scaled" else [2, 2])


def test_cancelled_it_leaves_nothing(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot, slowly: threading.Event
) -> None:
    show(viewer, image)
    dock.models.choose(model)
    with qtbot.waitSignal(dock.panel.cancelled, timeout=60_000):
        dock.panel.start_button.click()
        dock.panel.cancel_button.click()
    assert len(viewer.layers) == 1
    assert dock.panel.start_button.isEnabled()


def test_thresholds_changed_while_it_runs_count(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot, slowly: threading.Event
) -> None:
    show(viewer, image)
    dock.models.choose(model)
    with qtbot.waitSignal(dock.panel.ended, timeout=60_000):
        dock.panel.start_button.click()
        dock.thresholds.min_area.setValue(100_000)
        slowly.set()
    settled(dock, qtbot)
    assert not viewer.layers["a: particles"].data.any()


def test_thresholds_and_messages_leave_with_the_image_and_come_back_with_it(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    layer, other = show(viewer, image), show(viewer, image, "b")
    dock.image.choose(layer)
    dock.models.choose(model)
    run(dock, qtbot)
    before = viewer.layers["a: particles"].data.copy()
    assert dock.save_button.isEnabled()
    dock.image.choose(other)
    assert texts(dock) == ""
    assert not dock.save_button.isEnabled()
    assert not dock.coco_button.isEnabled()
    dock.thresholds.probability.spin.setValue(1)
    settled(dock, qtbot)
    np.testing.assert_array_equal(viewer.layers["a: particles"].data, before)
    dock.image.choose(layer)
    assert dock.save_button.isEnabled()
    dock.thresholds.probability.spin.setValue(0.99)
    settled(dock, qtbot)
    assert not np.array_equal(viewer.layers["a: particles"].data, before)


@pytest.mark.parametrize("change", ["edited", "removed", "scaled", "another model", "settings"])
def test_thresholds_do_not_act_on_what_is_outdated(
    change: str, model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    dock.show()
    layer = show(viewer, image)
    dock.models.choose(model)
    run(dock, qtbot)
    before = viewer.layers["a: particles"].data.copy()
    if change == "edited":
        layer.data = layer.data // 2
    elif change == "removed":
        viewer.layers.remove(layer)
    elif change == "scaled":
        layer.scale = (4, 4)
    elif change == "settings":
        dock.form.setValue(dock.form.value().model_copy(update={"diameter": 50.0}))
    else:
        dock.models.choose(baseline_folders()["watershed"])
    assert dock.outdated.isVisible()
    dock.thresholds.probability.spin.setValue(1)
    dock.thresholds.min_area.setValue(100_000)
    settled(dock, qtbot)
    np.testing.assert_array_equal(viewer.layers["a: particles"].data, before)


def test_the_particles_of_another_image_are_not_the_prediction_of_the_chosen_one(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot, slowly: threading.Event
) -> None:
    layer, other = show(viewer, image), show(viewer, image, "b")
    dock.image.choose(layer)
    dock.models.choose(model)
    chosen = viewer.add_labels(np.ones(image.data.shape, int), name="particles of b")
    dock.session.put("prediction", chosen)
    with qtbot.waitSignal(dock.panel.ended, timeout=60_000):
        dock.panel.start_button.click()
        dock.image.choose(other)
        slowly.set()
    assert "a: particles" in viewer.layers
    assert dock.session.prediction is chosen
    assert "found in 'a'." in texts(dock)
    assert not dock.save_button.isEnabled()


def test_labels_are_saved_with_the_pixel_size_that_they_have_now(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    show(viewer, image)
    dock.models.choose(model)
    run(dock, qtbot)
    set_pixel_size(viewer.layers, viewer.layers["a: particles"], 7.0)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "out.tif"), ""))
    run(dock, qtbot, dock.save_button)
    assert read_image(tmp_path / "out.tif").calibration == ns.Calibration.of(7.0)


def test_a_result_layer_that_is_gone_is_not_looked_for(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    show(viewer, image)
    dock.models.choose(model)
    run(dock, qtbot)
    dock.thresholds.probability.spin.setValue(0.6)
    viewer.layers.remove("a: particles")
    settled(dock, qtbot)
    assert len(viewer.layers) == 1
    assert not dock.save_button.isEnabled()
    run(dock, qtbot)
    assert "a: particles" in viewer.layers


def test_a_model_that_vanishes_or_is_damaged_is_one_sentence(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot, library: Path
) -> None:
    show(viewer, image)
    dock.models.choose(model)
    assert dock.panel.start_button.isEnabled()
    (model / "weights.safetensors").unlink()
    dock.panel.start_button.click()
    assert "weights.safetensors" in texts(dock)
    assert not dock.panel.running
    assert dock.models.currentText() == "discs (cannot be used)"
    shutil.rmtree(model)
    dock.models.refresh()
    assert not dock.panel.start_button.isEnabled()
    assert f"There is no model at {model} any more" in dock.panel.start_button.toolTip()


def test_damaged_weights_are_found_when_it_runs(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    show(viewer, image)
    dock.models.choose(model)
    weights = model / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5] + b"12345")
    with qtbot.waitSignal(dock.panel.failed, timeout=60_000):
        dock.panel.start_button.click()
    assert "weights.safetensors is damaged" in texts(dock)
    assert len(viewer.layers) == 1


def test_the_model_used_last_is_the_first_choice(
    model: Path, tmp_path: Path, viewer: ViewerModel, qtbot: QtBot
) -> None:
    other = shutil.copytree(model, tmp_path / "elsewhere" / "discs")
    remember_model(tmp_path / "gone")
    remember_model(other)
    dock = Segment(viewer)
    qtbot.addWidget(dock)
    assert dock.session.model == other
    names = [dock.models.itemText(index) for index in range(dock.models.count())]
    shipped = ["starter (any particles)", "watershed (no training)", "threshold (no training)"]
    assert names[:5] == [*shipped, "discs (Modelle)", "discs (elsewhere)"]
    assert dock.models.currentIndex() == 4


def test_any_folder_or_file_can_be_chosen(
    model: Path, tmp_path: Path, dock: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    texts = [dock.models.itemText(index) for index in range(dock.models.count())]
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(other))
    dock.models._activate(texts.index("Choose a folder…"))
    assert dock.session.model == other
    assert dock.models.currentText() == "other"
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(model / "model.yaml"), ""))
    dock.models._activate([dock.models.itemText(i) for i in range(dock.models.count())].index("Choose a file…"))
    assert dock.session.model == model
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    dock.models._activate([dock.models.itemText(i) for i in range(dock.models.count())].index("Choose a file…"))
    assert dock.session.model == model
    assert dock.models.currentText() == "discs"


def test_empty_fields_say_what_they_mean(model: Path, viewer: ViewerModel, image: Image, dock: Segment) -> None:
    layer = show(viewer, image)
    dock.models.choose(model)
    entry = dock.models.entry
    assert entry is not None
    assert entry.card is not None
    assert entry.card.training_diameter is not None
    card, trained = entry.card, entry.card.training_diameter
    assert empty_diameter(card, image) == (f"{trained:.0f} px, from the pixel sizes", None)
    layer.scale = (1, 1)
    half = Image(image.data, "YX", ns.Calibration((1.0, 1.0)))
    assert empty_diameter(card, half) == (f"{2 * trained:.0f} px, from the pixel sizes", None)
    assert empty_diameter(card, Image(image.data)) == (f"{trained:.0f} px, as in the training", trained)
    assert dock.thresholds.probability.spin.value() == pytest.approx(entry.card.thresholds["prob"], abs=0.005)


@pytest.mark.parametrize(
    ("data", "words"), [(np.zeros((2, 2, 9, 9), np.uint8), "'a' has 4 dimensions"), (None, "open one|Open an image")]
)
def test_a_layer_that_cannot_be_segmented_is_refused_before_the_start(
    data: Any, words: str, model: Path, viewer: ViewerModel, dock: Segment
) -> None:
    if data is not None:
        viewer.add_image(data, name="a")
    dock.models.choose(model)
    assert not dock.panel.start_button.isEnabled()
    assert any(word in dock.panel.start_button.toolTip() for word in words.split("|"))


def test_an_image_that_no_file_holds_is_saved_before_its_command_is_copied(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    viewer.add_image(image.data, name="made here", scale=(2, 2), units="nm")
    dock.models.choose(model)
    run(dock, qtbot, dock.copy_button)
    assert "No file holds just the image 'made here'" in texts(dock)
    assert not dock.save_image_button.isHidden()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "saved"), ""))
    run(dock, qtbot, dock.save_image_button)
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert str(tmp_path / "saved.tif") in shlex.split(clipboard.text())
    assert read_image(tmp_path / "saved.tif").calibration == ns.Calibration((2.0, 2.0))
    run(dock, qtbot, dock.copy_button)
    assert "The command is on the clipboard." in texts(dock)


def test_labels_are_saved_as_the_job_does_and_painted_ones_are_recorded_so(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    show(viewer, image)
    dock.models.choose(model)
    assert not dock.save_button.isEnabled()
    run(dock, qtbot)
    particles = viewer.layers["a: particles"]
    target = tmp_path / "out" / "labels.tif"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    run(dock, qtbot, dock.save_button)
    np.testing.assert_array_equal(read_label_array(target), particles.data)
    assert read_image(target).calibration == image.calibration
    record = yaml.safe_load(target.with_suffix(".run.yaml").read_text(encoding="utf-8"))
    assert record.pop("outputs") == {"labels.tif": sha256(target)}
    assert record == record_of(particles)
    particles.paint((3, 3), 500)
    run(dock, qtbot, dock.save_button)
    record = yaml.safe_load(target.with_suffix(".run.yaml").read_text(encoding="utf-8"))
    assert record["edited"] is True
    assert record["figures"]["particles"] == len(np.unique(particles.data)) - 1
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (image.source, ""))
    before = Path(image.source).read_bytes()
    dock.save_button.click()
    assert "would replace the image" in texts(dock)
    assert Path(image.source).read_bytes() == before
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(blocked / "x.tif"), ""))
    run(dock, qtbot, dock.save_button)
    assert "Cannot write" in texts(dock)


def uncalibrated(viewer: ViewerModel, image: Image, enlarged: int) -> ImageLayer:
    """Show an image without pixel size, whose particles are some times as large as in the training."""
    return viewer.add_image(np.kron(image.data, np.ones((enlarged, enlarged), image.data.dtype)), name="a")


def looked(dock: Segment, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not dock.diameter.busy, timeout=20_000)


def test_another_particle_size_than_the_models_is_said_and_used_on_one_click(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    uncalibrated(viewer, image, 3)
    dock.models.choose(model)
    dock.show()
    looked(dock, qtbot)
    assert dock.diameter.sentence.isVisible()
    assert "px large and brighter than the background; the model takes them for 20 px." in dock.diameter.sentence.text()
    assert dock.request().config.diameter is None
    dock.diameter.button.click()
    diameter = dock.request().config.diameter
    assert diameter is not None
    assert 45 < diameter < 80
    assert dock.diameter.button.text() == f"Use {diameter:.0f} px"
    assert not dock.diameter.sentence.isVisible()
    run(dock, qtbot)
    run(dock, qtbot, dock.copy_button)
    record = record_of(viewer.layers["a: particles"])
    assert record is not None
    assert record["config"]["diameter"] == diameter


def test_the_annotation_of_the_image_is_believed_before_the_guess(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    layer = uncalibrated(viewer, image, 3)
    labels = viewer.add_labels(np.zeros(layer.data.shape, np.int32), name="outlined")
    labels.data[50:90, 50:90] = 1
    dock.session.put("particles", labels)
    dock.models.choose(model)
    dock.show()
    looked(dock, qtbot)
    assert (
        dock.diameter.sentence.text() == "The outlined particles are about 45 px large; the model takes them for 20 px."
    )
    labels.paint((5, 5), 0)
    labels.data[50:90, 50:90] = 0
    labels.data[50:68, 50:68] = 1
    labels.events.data()
    looked(dock, qtbot)
    assert not dock.diameter.sentence.isVisible()
    labels.data = np.zeros((30, 30), np.int32)  # not of this image any more
    looked(dock, qtbot)
    assert "look about" in dock.diameter.sentence.text()


@pytest.mark.parametrize("why", ["fits", "pixel sizes", "typed", "nothing to see", "hidden"])
def test_no_particle_size_is_suggested_where_none_is_needed(
    why: str, model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    layer = uncalibrated(viewer, image, 1 if why == "fits" else 3)
    if why == "pixel sizes":
        layer.scale, layer.units = (2, 2), "nm"
    elif why == "nothing to see":
        layer.data = np.random.default_rng(1).normal(size=(200, 200))
    elif why == "typed":
        dock.form.setValue(SegmentConfig(diameter=20, device="cpu"))
    dock.models.choose(model)
    if why != "hidden":
        dock.show()
    looked(dock, qtbot)
    assert dock.diameter.sentence.isHidden()


def test_the_size_is_looked_at_anew_with_another_image(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    layer = uncalibrated(viewer, image, 3)
    dock.models.choose(model)
    dock.show()
    looked(dock, qtbot)
    assert dock.diameter.sentence.isVisible()
    layer.data = image.data
    looked(dock, qtbot)
    assert not dock.diameter.sentence.isVisible()
    viewer.layers.clear()
    looked(dock, qtbot)
    assert not dock.diameter.sentence.isVisible()


@pytest.fixture
def any_size(model: Path, library: Path) -> Path:
    """The model with a card that knows no size of particles."""
    folder = Path(shutil.copytree(model, library / "any"))
    card = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8")) | {"training_diameter": None}
    (folder / "model.yaml").write_text(yaml.safe_dump(card, sort_keys=False), encoding="utf-8")
    return folder


def empty_means(dock: Segment) -> str:
    return dock.form._nones["diameter"]


def test_the_estimated_size_is_said_and_taken_over_on_one_click(
    any_size: Path, model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    layer = uncalibrated(viewer, image, 3)
    dock.models.choose(any_size)
    dock.show()
    assert empty_means(dock) == "estimated from the image"
    assert not dock.diameter.button.isVisible()
    run(dock, qtbot)
    looked(dock, qtbot)
    record = record_of(viewer.layers["a: particles"])
    assert record is not None
    estimated = record["figures"]["diameter_px"]
    assert estimated == pytest.approx(60, rel=0.25)
    assert empty_means(dock) == f"{estimated:.0f} px, estimated"
    assert dock.diameter.sentence.text() == f"The model took the particles for {estimated:.0f} px."
    assert dock.request().config.diameter is None
    dock.thresholds.probability.spin.setValue(0.6)
    settled(dock, qtbot)
    assert (record_of(viewer.layers["a: particles"]) or {})["figures"]["diameter_px"] == estimated

    dock.models.choose(model)
    assert empty_means(dock) == "20 px, as in the training"
    dock.models.choose(any_size)
    other = viewer.add_image(image.data, name="b")
    dock.image.choose(other)
    assert empty_means(dock) == "estimated from the image"
    assert not dock.diameter.button.isVisible()
    dock.image.choose(layer)
    assert empty_means(dock) == f"{estimated:.0f} px, estimated"
    dock.diameter.button.click()
    assert dock.request().config.diameter == round(estimated)
    assert not dock.diameter.button.isVisible()
    run(dock, qtbot)
    assert (record_of(viewer.layers["a: particles"]) or {})["figures"]["diameter_px"] == round(estimated)
    dock.form.setValue(SegmentConfig(device="cpu"))
    layer.data = layer.data[:300]
    assert empty_means(dock) == "estimated from the image"


def test_outlined_particles_are_offered_before_the_estimate(
    any_size: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    layer = uncalibrated(viewer, image, 3)
    labels = viewer.add_labels(np.zeros(layer.data.shape, np.int32), name="outlined")
    dock.session.put("particles", labels)
    dock.models.choose(any_size)
    dock.show()
    looked(dock, qtbot)
    assert not dock.diameter.sentence.isVisible()
    labels.data_setitem(tuple(np.mgrid[50:90, 50:90].reshape(2, -1)), 1)
    looked(dock, qtbot)
    begin = "The outlined particles are about 45 px large; "
    assert dock.diameter.sentence.text() == f"{begin}left empty, the diameter is estimated."
    run(dock, qtbot)
    looked(dock, qtbot)
    estimated = (record_of(viewer.layers["a: particles"]) or {})["figures"]["diameter_px"]
    assert dock.diameter.sentence.text() == f"{begin}the model took them for {estimated:.0f} px."
    assert dock.diameter.button.text() == "Use 45 px"
    dock.diameter.button.click()
    assert dock.request().config.diameter == 45


def test_where_no_particle_of_any_size_is_seen_no_size_is_made_up(
    any_size: Path, viewer: ViewerModel, dock: Segment, qtbot: QtBot
) -> None:
    viewer.add_image(np.zeros((90, 90), np.uint8), name="black")
    dock.models.choose(any_size)
    dock.show()
    run(dock, qtbot)
    looked(dock, qtbot)
    assert "all pixels are the same, so there is no particle" in texts(dock)
    assert (record_of(viewer.layers["black: particles"]) or {})["figures"] == {"particles": 0}
    assert empty_means(dock) == "estimated from the image"
    assert not dock.diameter.button.isVisible()


def test_labels_come_before_their_measurements(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    show(viewer, image)
    dock.models.choose(model)
    run(dock, qtbot)
    particles = viewer.layers["a: particles"]
    with qtbot.waitSignal(dock._rethreshold.chosen):
        dock.thresholds.probability.spin.setValue(0.6)
    np.testing.assert_array_equal(particles.data, instances_of(particles).to_labels())
    assert not len(particles.features.columns)
    settled(dock, qtbot)
    assert "area_nm2" in particles.features
    expected = ns.measure(instances_of(particles), image.calibration).rename(columns={"label": "index"})
    assert particles.features.equals(expected)


def test_a_typed_threshold_is_used_as_it_is_read(
    model: Path, viewer: ViewerModel, image: Image, dock: Segment, qtbot: QtBot
) -> None:
    show(viewer, image)
    dock.models.choose(model)
    threshold = dock.thresholds.probability
    dock.show()
    threshold.set_own(0.4321)
    assert threshold.spin.text() == "≈0.43"
    assert threshold.value is None
    threshold.spin.selectAll()
    qtbot.keyClicks(threshold.spin, "0.43")
    qtbot.keyClick(threshold.spin, Qt.Key.Key_Return)
    assert threshold.spin.text() == "0.43"
    assert threshold.value == 0.43
    assert dock.request().config.probability == 0.43
    threshold.reset.click()
    assert threshold.spin.text() == "≈0.43"
    assert threshold.value is None
    threshold.set_own(0.5)
    assert threshold.spin.text() == "0.50"
