"""Choosing an annotated micrograph from the layers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Layer
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QComboBox

from napari_nanoseg import NanosegError
from napari_nanoseg._gui.annotation_picker import UNMARKED, WHOLE, AnnotationPicker
from napari_nanoseg._gui.contributions import sample_annotated
from napari_nanoseg._gui.session import session_of


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def picker(viewer: ViewerModel, qtbot: QtBot) -> AnnotationPicker:
    picker = AnnotationPicker(session_of(viewer))
    qtbot.addWidget(picker)
    return picker


def gradient() -> np.ndarray:
    return np.add.outer(np.arange(20), np.arange(30)).astype(np.uint8)


def known(picker: AnnotationPicker) -> QComboBox:
    return picker.findChildren(QComboBox)[-1]


def test_what_is_missing_is_said_in_order(viewer: ViewerModel, picker: AnnotationPicker) -> None:
    with pytest.raises(NanosegError, match="No image is open"):
        picker.sample()
    viewer.add_image(gradient())
    with pytest.raises(NanosegError, match="no labels layer"):
        picker.sample()


def test_the_annotated_sample_is_understood_as_it_opens(viewer: ViewerModel, picker: AnnotationPicker) -> None:
    for data, options, kind in sample_annotated():
        viewer.add_layer(Layer.create(data, options, kind))
    sample = picker.sample()
    assert len(sample.instances) == 8
    assert sample.known is not None
    assert 0.3 < sample.known.mean() < 0.4
    assert known(picker).currentText() == "some; known: particles: known region"


def test_whether_all_are_outlined_is_the_users_word(viewer: ViewerModel, picker: AnnotationPicker) -> None:
    viewer.add_image(gradient())
    labels = viewer.add_labels(np.zeros((20, 30), np.int32), name="outlined")
    labels.data[2:6, 2:6] = 1
    assert picker.sample().known is None
    assert known(picker).currentText() == WHOLE
    region = viewer.add_shapes([[[10, 10], [10, 19], [19, 19], [19, 10]]], name="clean")
    assert [known(picker).itemText(index) for index in range(3)] == [WHOLE, UNMARKED, "some; known: clean"]
    known(picker).setCurrentIndex(2)
    known(picker).activated.emit(2)
    marked = picker.sample().known
    assert marked is not None
    assert marked[4, 4]  # a particle is known
    assert marked[15, 15]
    assert not marked[15, 25]
    viewer.layers.remove(region)
    only = picker.sample().known
    assert only is not None
    assert only.sum() == 16


def test_drawing_is_noticed_once_it_has_settled(viewer: ViewerModel, picker: AnnotationPicker, qtbot: QtBot) -> None:
    viewer.add_image(gradient())
    labels = viewer.add_labels(np.zeros((20, 30), np.int32))
    with qtbot.waitSignal(picker.changed):
        labels.paint((5, 5), 3)
    with qtbot.waitSignal(picker.changed):
        labels.data = np.ones((20, 30), np.int32)
