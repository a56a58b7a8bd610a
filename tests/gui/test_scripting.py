"""Docks in scripts: settings by name, and a run that waits and returns what the Python API returns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Layer
from pandas.testing import assert_frame_equal
from panels import said
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QTimer

import napari_nanoseg as ns
from napari_nanoseg._gui.layers import image_layer, labels_layer
from napari_nanoseg._gui.session import session_of
from napari_nanoseg._gui.step import Step
from napari_nanoseg.samples import Sample

Open = Callable[[type[Step]], Step]


@pytest.fixture
def sample(make_sample: Callable[..., Sample]) -> Sample:
    return make_sample("discs", 1)


@pytest.fixture
def viewer(sample: Sample) -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*image_layer(sample.image, "discs")))
    return viewer


@pytest.fixture
def opened(qtbot: QtBot, viewer: ViewerModel) -> Open:
    def make(kind: type[Step]) -> Step:
        dock = kind(viewer)
        qtbot.addWidget(dock)
        return dock

    return make


def test_segment_measure_and_compare_return_what_the_python_api_returns(
    opened: Open, viewer: ViewerModel, sample: Sample
) -> None:
    segment = opened(ns.SegmentDock)
    segment.set(model="watershed", image="discs", diameter=20, min_area=12.5)
    found = segment.run()

    expected = ns.load_model("watershed").segment(sample.image, diameter=20, min_area=12.5)
    np.testing.assert_array_equal(found, expected)
    layer = viewer.layers["discs: particles"]
    np.testing.assert_array_equal(layer.data, expected)

    measure = opened(ns.MeasureDock)
    measure.set(labels=layer, image=viewer.layers["discs"])
    table = measure.run()
    assert_frame_equal(table, ns.measure(expected, image=sample.image))
    assert any("intensity" in column for column in table)
    measure.set(image=None, pixel_size_nm=4)
    assert_frame_equal(measure.run(), ns.measure(expected, pixel_size_nm=4))

    truth = viewer.add_layer(Layer.create(*labels_layer(sample.instances, sample.image.calibration, "truth")))
    compare = opened(ns.CompareDock)
    compare.set(truth=truth, prediction=layer, iou_threshold=0.6)
    evaluation = compare.run()
    assert evaluation.figures() == ns.evaluate(sample.instances, expected, iou_threshold=0.6).figures()
    assert len([one for one in viewer.layers if one.name.startswith(("found", "missed", "not there"))]) == 3


def test_thresholds_keep_all_their_digits(opened: Open) -> None:
    dock = opened(ns.SegmentDock)
    dock.set(probability=0.61234, overlap=0.3)
    assert (dock.config.probability, dock.config.overlap) == (0.61234, 0.3)
    dock.set(probability=None)
    assert (dock.config.probability, dock.config.overlap) == (None, 0.3)


def test_an_optical_density(opened: Open, viewer: ViewerModel, sample: Sample) -> None:
    dock = opened(ns.DensityDock)
    dock.set(image="discs", percentile=90)
    density = dock.run()
    expected = ns.optical_density(sample.image, percentile=90)
    np.testing.assert_array_equal(density.image.data, expected.image.data)
    np.testing.assert_array_equal(viewer.layers["discs: optical density"].data, expected.image.data)


def test_a_generated_dataset(opened: Open, tmp_path: Path) -> None:
    dock = opened(ns.GenerateDock)
    size = {"height": 96, "width": 128, "length_nm": 500.0, "wires": (10, 12)}
    dock.set(generator="Nanowires", out=tmp_path / "wires", count=2, **size, seed=3)
    result = dock.run()
    assert result.figures["images"] == 2
    made = ns.open_dataset(tmp_path / "wires")[0]
    np.testing.assert_array_equal(made.image.data, next(ns.generate(ns.NanowireConfig(**size, seed=3))).image.data)


def test_particles_of_the_layers_are_pasted_though_the_dock_is_hidden(
    opened: Open, viewer: ViewerModel, sample: Sample, tmp_path: Path
) -> None:
    viewer.add_layer(Layer.create(*labels_layer(sample.instances, sample.image.calibration, "outlined")))
    dock = opened(ns.GenerateDock)
    dock.set(image="discs", labels="outlined", out=tmp_path / "pasted", count=1)
    assert dock.run().figures["images"] == 1


def test_an_annotation_is_saved_once(opened: Open, viewer: ViewerModel, sample: Sample, tmp_path: Path) -> None:
    viewer.add_layer(Layer.create(*labels_layer(sample.instances, sample.image.calibration, "outlined")))
    dock = opened(ns.AnnotateDock)
    dock.set(image="discs", labels="outlined", whole=True, dataset=tmp_path / "annotated")
    dataset = dock.run()
    np.testing.assert_array_equal(dataset[0].instances, sample.instances)
    assert dataset[0].known is None
    with pytest.raises(ns.NanosegError, match="has an image 'discs' already"):
        dock.run()


def test_training_takes_its_settings_and_says_what_is_missing(
    opened: Open, viewer: ViewerModel, sample: Sample, tmp_path: Path
) -> None:
    viewer.add_layer(Layer.create(*labels_layer(sample.instances[:0], sample.image.calibration, "outlined")))
    dock = opened(ns.TrainDock)
    dock.set(labels="outlined", steps=30, name="mine", start_from=None)
    with pytest.raises(ns.NanosegError, match="No particle is outlined"):
        dock.run()
    dock.set(dataset=tmp_path / "annotated")
    job = dock.plan().job
    assert (job.config.steps, job.dataset, job.start_from) == (30, tmp_path / "annotated", None)
    assert job.out.name == "mine"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"diametre": 58}, "has no setting 'diametre' (did you mean 'diameter'?)"),
        ({"diameter": -1}, "'diameter' is -1: it must be more than 0"),
        ({"image": "dics"}, "'image' cannot be 'dics'; choose one of these layers: 'discs'"),
        ({"image": None}, "'image' cannot be None"),
        ({"model": "nothing"}, "choose one of these: starter, watershed, threshold"),
        ({"model": 3}, "'model' is 3"),
    ],
)
def test_wrong_settings_are_named_and_nothing_is_changed(opened: Open, wrong: dict[str, object], sentence: str) -> None:
    dock = opened(ns.SegmentDock)
    dock.set(model="threshold", tile=512)
    before = dock.chosen()
    with pytest.raises(ns.NanosegError) as told:
        dock.set(**{"tile": 256, "min_area": 9, "model": "watershed"} | wrong)
    assert sentence in str(told.value)
    assert dock.chosen() == before


def test_a_layer_of_another_viewer_is_refused(opened: Open) -> None:
    other = ViewerModel().add_image(np.zeros((4, 4)), name="discs")
    with pytest.raises(ns.NanosegError, match="'image' cannot be the layer 'discs'; choose one of these"):
        opened(ns.SegmentDock).set(image=other)


def test_what_cannot_be_done_ends_in_the_sentence_of_the_dock(opened: Open, viewer: ViewerModel) -> None:
    measure = opened(ns.MeasureDock)
    with pytest.raises(ns.NanosegError, match="no labels to measure"):
        measure.run()
    viewer.add_labels(np.zeros((160, 192), int), name="empty")
    with pytest.raises(ns.NanosegError) as told:
        measure.run()
    assert "'empty' has no particles" in str(told.value)
    assert str(told.value) == said(measure)


def test_a_cancelled_run_says_so(opened: Open, viewer: ViewerModel) -> None:
    dock = opened(ns.SegmentDock)
    dock.set(model="watershed")
    QTimer.singleShot(0, dock.panel.cancel)
    with pytest.raises(ns.NanosegError, match="Segment was cancelled"):
        dock.run()
    assert len(viewer.layers) == 1
    assert len(dock.run()) == 30


def test_ctrl_c_stops_the_run(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    dock = opened(ns.SegmentDock)
    dock.set(model="watershed")

    def interrupt(_: float) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_nanoseg._gui.waiting.time.sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        dock.run()
    assert not dock.running


def test_a_dock_that_is_closed_does_not_keep_the_script_waiting(qtbot: QtBot, viewer: ViewerModel) -> None:
    dock = ns.SegmentDock(viewer)
    dock.set(model="watershed")
    QTimer.singleShot(0, dock.deleteLater)
    with pytest.raises(ns.NanosegError, match="Segment was stopped: its dock was closed"):
        dock.run()


def test_run_belongs_to_the_thread_of_the_window(opened: Open) -> None:
    dock, told = opened(ns.SegmentDock), list[str]()

    def run() -> None:
        try:
            dock.run()
        except ns.NanosegError as error:
            told.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "not in a thread" in told[0]


def test_docks_of_one_viewer_share_what_a_script_chooses(opened: Open, viewer: ViewerModel) -> None:
    second = viewer.add_image(np.zeros((160, 192)), name="second")
    opened(ns.SegmentDock).set(image=second)
    assert session_of(viewer).image is second
