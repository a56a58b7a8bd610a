"""Choosing layers and paths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Layer
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_nanoseg._gui.model_picker import FILE, ask_for_model
from napari_nanoseg._gui.pickers import LayerPicker, PathPicker
from napari_nanoseg._gui.session import Session, session_of
from napari_nanoseg._gui.settings import settings


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def session(viewer: ViewerModel) -> Session:
    return session_of(viewer)


def texts(picker: LayerPicker) -> list[str]:
    return [picker.itemText(index) for index in range(picker.count())]


def zeros() -> np.ndarray:
    return np.zeros((8, 8), np.uint8)


def test_a_viewer_has_one_session_which_ends_with_it() -> None:
    viewer = ViewerModel()
    session = session_of(viewer)
    assert session_of(viewer) is session
    assert session_of(ViewerModel()) is not session


def test_an_empty_viewer_says_so(session: Session, qtbot: QtBot) -> None:
    picker = LayerPicker(session, "image")
    qtbot.addWidget(picker)
    assert texts(picker) == ["No image is open"]
    assert not picker.isEnabled()
    assert picker.layer is None


def test_the_list_follows_the_viewer(viewer: ViewerModel, session: Session, qtbot: QtBot) -> None:
    picker = LayerPicker(session, "image")
    qtbot.addWidget(picker)
    chosen: list[Layer | None] = []
    picker.picked.connect(chosen.append)
    first = viewer.add_image(zeros(), name="a")
    viewer.add_labels(zeros(), name="labels are no images")
    second = viewer.add_image(zeros(), name="b")
    assert texts(picker) == ["b", "a"]  # newest first, as in the layer list
    assert picker.layer is first  # what was chosen stays
    second.name = "renamed"
    assert texts(picker) == ["renamed", "a"]
    viewer.layers.remove(first)
    assert picker.layer is second
    viewer.layers.remove(second)
    assert picker.layer is None
    assert chosen == [first, second, None]


def test_docks_share_what_is_chosen(viewer: ViewerModel, session: Session, qtbot: QtBot) -> None:
    first, second = viewer.add_image(zeros(), name="a"), viewer.add_image(zeros(), name="b")
    one, other = LayerPicker(session, "image"), LayerPicker(session, "image")
    qtbot.addWidget(one)
    qtbot.addWidget(other)
    one.choose(first)
    assert other.layer is first
    assert other.currentText() == "a"
    other.choose(second)
    assert one.currentText() == "b"
    assert session.image is second


def test_roles_do_not_take_each_others_layers(viewer: ViewerModel, session: Session, qtbot: QtBot) -> None:
    predicted = viewer.add_labels(zeros(), name="found")
    session.put("prediction", predicted)
    truth = viewer.add_labels(zeros(), name="ground truth")
    picker = LayerPicker(session, "truth")
    qtbot.addWidget(picker)
    assert picker.layer is truth


def test_an_optional_layer_is_none_at_first(viewer: ViewerModel, session: Session, qtbot: QtBot) -> None:
    viewer.add_image(zeros(), name="a")
    picker = LayerPicker(session, "image", none="without intensities")
    qtbot.addWidget(picker)
    assert texts(picker) == ["without intensities", "a"]
    assert picker.layer is None


def test_a_deleted_picker_leaves_the_viewer_alone(viewer: ViewerModel, session: Session, qtbot: QtBot) -> None:
    layer = viewer.add_image(zeros(), name="a")
    picker = LayerPicker(session, "image")
    with qtbot.waitSignal(picker.destroyed):
        picker.deleteLater()
    layer.name = "b"
    viewer.add_image(zeros())
    viewer.layers.clear()
    assert session.image is None


def test_a_path_is_typed_or_chosen(qtbot: QtBot, tmp_path: Path) -> None:
    picker = PathPicker("folder")
    qtbot.addWidget(picker)
    assert picker.path is None
    with qtbot.waitSignal(picker.changed) as told:
        picker.choose(tmp_path)
    assert told.args == [tmp_path]
    picker.choose(Path("~/x"))
    assert picker.path == Path.home() / "x"
    picker.choose(None)
    assert picker.path is None


def test_models_lie_in_the_users_folder_unless_preferences_say_otherwise(home: Path, tmp_path: Path) -> None:
    from napari.settings import get_plugin_settings

    assert settings().models.is_relative_to(home)
    assert settings().device == "auto"
    page = get_plugin_settings("napari-nanoseg").general
    page.models_folder = str(tmp_path / "mine")
    try:
        assert settings().models == tmp_path / "mine"
    finally:
        page.models_folder = ""


@pytest.mark.parametrize(
    ("name", "chosen"), [("model_final.pth", "model_final.pth"), ("model.pkl", "model.pkl"), ("weights.h5", "")]
)
def test_weights_of_detectron2_are_chosen_themselves_other_files_stand_for_their_folder(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, chosen: str
) -> None:
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / name), ""))
    parent = QWidget()
    qtbot.addWidget(parent)
    assert ask_for_model(parent, FILE, tmp_path) == tmp_path / chosen


def test_a_known_region_is_not_taken_for_particles(viewer: ViewerModel, session: Session, qtbot: QtBot) -> None:
    annotated = viewer.add_labels(zeros(), name="a: annotated")
    viewer.add_labels(zeros(), name="a: known region")
    session.put("truth", annotated)
    picker = LayerPicker(session, "prediction")
    qtbot.addWidget(picker)
    assert picker.layer is annotated
    viewer.layers.remove(annotated)
    assert picker.layer is viewer.layers["a: known region"]  # there is nothing else
