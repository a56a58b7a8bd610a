"""The Compare dock: layers of what was found and missed, figures, saved as the command saves them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

napari = pytest.importorskip("napari")

from napari.components import ViewerModel  # noqa: E402
from napari.layers import Layer  # noqa: E402
from panels import finish, run, said  # noqa: E402
from qtpy.QtCore import Qt  # noqa: E402
from qtpy.QtWidgets import QApplication, QFileDialog, QLabel  # noqa: E402

from napari_nanoseg import (  # noqa: E402
    Calibration,
    Image,
    Instances,
    NanosegError,
    Sample,
    agreement,
    evaluate,
    read_image,
    read_labels,
)
from napari_nanoseg._gui.compare import CLICK, Compare  # noqa: E402
from napari_nanoseg._gui.error_view import SHOWN, comparison_layers  # noqa: E402
from napari_nanoseg._gui.known_regions import UNMARKED, WHOLE, Known  # noqa: E402
from napari_nanoseg._gui.layers import image_layer, labels_layer  # noqa: E402
from napari_nanoseg.cli import app  # noqa: E402
from napari_nanoseg.config.evaluate import EvaluateConfig  # noqa: E402
from napari_nanoseg.evaluation.coco import BOX_FIGURES, MASK_FIGURES  # noqa: E402
from napari_nanoseg.evaluation.error_map import error_map, pixel_map  # noqa: E402
from napari_nanoseg.evaluation.matching import pool  # noqa: E402
from napari_nanoseg.io.datasets import write_sample  # noqa: E402
from napari_nanoseg.io.images import write_image, write_labels  # noqa: E402

SIZE = Calibration.of(2.0)


def pair() -> tuple[np.ndarray, np.ndarray]:
    """Truth 3 and 8 and prediction 11 (of 3, IoU 0.9) and 12 (of nothing)."""
    truth, prediction = np.zeros((40, 60), np.int32), np.zeros((40, 60), np.int32)
    truth[5:15, 5:15], truth[20:30, 20:30] = 3, 8
    prediction[5:15, 6:15], prediction[25:35, 45:55] = 11, 12
    return truth, prediction


def micrograph() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (40, 60)).astype(np.uint8)


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*image_layer(Image(micrograph(), "YX", SIZE), "grey")))
    truth, prediction = pair()
    viewer.add_layer(Layer.create(*labels_layer(prediction, SIZE, "found by the model")))
    viewer.add_layer(Layer.create(*labels_layer(truth, SIZE, "ground truth")))
    return viewer


@pytest.fixture
def dock(qtbot, viewer) -> Compare:
    dock = Compare(viewer)
    qtbot.addWidget(dock)
    dock.resize(300, 700)
    dock.show()
    return dock


def test_the_truth_is_guessed_and_every_particle_gets_a_layer(qtbot, dock, viewer) -> None:
    assert (dock.truth.layer.name, dock.prediction.layer.name) == ("ground truth", "found by the model")
    active = viewer.layers.selection.active
    run(qtbot, dock)
    truth, prediction = pair()
    layers, evaluation = comparison_layers(viewer), evaluate(truth, prediction)
    for kind, expected in error_map(truth, prediction, evaluation)._asdict().items():
        assert np.array_equal(layers[kind].data, expected)
        assert layers[kind].scale.tolist() == [2, 2]
        assert layers[kind].visible
    assert np.array_equal(layers["pixels"].data, pixel_map(truth, prediction))
    assert not layers["pixels"].visible
    colours = {tuple(layers[kind].get_color(int(layers[kind].data.max()))) for kind in layers}
    assert len(colours) == 3
    assert layers["true_positives"].features.to_dict("list") == {
        "index": [11], "outcome": ["TP"], "iou": [0.9], "partner": [3],
    }  # fmt: skip
    assert viewer.layers.selection.active is active
    assert {name: dock.figures.text_of(name) for name in ("precision", "recall", "f1", "recall_border")} == {
        "precision": "0.500", "recall": "0.500", "f1": "0.500", "recall_border": "no such particle",
    }  # fmt: skip
    texts = [label.text() for label in dock.legend.findChildren(QLabel)]
    assert {"found: 1 TP", "not there: 1 FP", "missed: 1 FN"} <= set(texts)
    assert all(label.toolTip() for label in dock.figures.findChildren(QLabel))
    assert len([label for label in dock.figures.findChildren(QLabel) if label.isVisible()]) == 2 * len(SHOWN)


def test_scores_give_an_average_precision_with_limits_in_pixels_or_nm(qtbot, dock, viewer, tmp_path) -> None:
    run(qtbot, dock)
    assert dock.precisions.missing.isVisible()
    assert not dock.precisions.table.isVisible()
    square = np.ones((10, 10), bool)
    boxes = [(5, 5, 15, 15), (5, 8, 15, 18)]
    truth, found = (Instances.from_masks((40, 60), boxes, [square] * 2, scores) for scores in (None, [0.9, 0.8]))
    truth_layer, prediction_layer = (
        viewer.add_layer(Layer.create(*labels_layer(side, SIZE, f"overlapping {number}")))
        for number, side in enumerate((truth, found))
    )
    dock.truth.choose(truth_layer)
    dock.prediction.choose(prediction_layer)
    run(qtbot, dock)
    assert dock.precisions.table.isVisible()
    assert not dock.precisions.missing.isVisible()
    shown = {name: dock.precisions.text_of(name) for name in (*MASK_FIGURES, *BOX_FIGURES)}
    some = {"1.000": ("ap", "ap50", "ap75", "ap_small"), "none": ("ap_medium", "ap_large")}
    assert shown == {f"{kind}{name}": text for text, names in some.items() for name in names for kind in ("", "box_")}
    in_nm = {"size_unit": "nm", "size_limits": (5.0, 15.0)}  # the particles are 20 nm
    dock.form.setValue(dock.form.value().model_copy(update=in_nm))
    run(qtbot, dock)
    assert (dock.precisions.text_of("ap_small"), dock.precisions.text_of("box_ap_large")) == ("none", "1.000")
    assert any("≥ 15 nm" in label.text() for label in dock.precisions.findChildren(QLabel))
    labels = prediction_layer.data.copy()
    labels[30, 30] = 7
    prediction_layer.data = labels
    run(qtbot, dock)
    assert dock.precisions.missing.isVisible()
    for layer in (truth_layer, prediction_layer, viewer.layers["grey"]):
        layer.units = ("pixel", "pixel")
    run(qtbot, dock)
    assert "pixel size is not known" in said(dock)


def test_sizes_and_shapes_are_in_a_fold(qtbot, dock, viewer, tmp_path, monkeypatch) -> None:
    assert not dock.agreement.isVisible()
    run(qtbot, dock)
    assert dock.agreement.isVisible()
    assert not dock.agreement.table.isVisible()
    dock.agreement.open()
    assert dock.agreement.table.isVisible()
    assert dock.agreement.figure.isVisible()
    expected = agreement(*pair(), calibration=SIZE)
    table = dock.agreement.table.table.set_index("quantity")
    assert table.index.tolist() == [one.title for one in expected.values()]
    assert table.loc["Area (nm²)", "wasserstein"] == expected["area"].figures()["wasserstein"] == 20
    assert (table.loc["Area (nm²)", "bias"], table["pairs"].tolist()) == (-40, [1, 1, 0, 1, 1])  # squares have no axis
    heads = [dock.agreement.table.model().headerData(column, Qt.Orientation.Horizontal) for column in range(4)]
    assert heads == ["Quantity", "Median, true", "Median,\npredicted", "KS"]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "sizes.svg"), ""))
    dock.agreement.figure.ask()
    finish(qtbot, dock)
    assert "sizes.svg" in said(dock, "info")
    assert "Feret max (nm)" in (tmp_path / "sizes.svg").read_text("utf-8")
    assert (tmp_path / "sizes.svg.run.yaml").is_file()
    dock.form.setValue(dock.form.value().model_copy(update={"pixel_size_nm": 500.0}))
    run(qtbot, dock)
    assert dock.agreement.table.table["median_truth"][0] == 100 * 500**2
    for layer in viewer.layers:
        layer.scale = (2, 3)
    dock.form.setValue(dock.form.value().model_copy(update={"pixel_size_nm": None}))
    run(qtbot, dock)
    assert dock.agreement.table.table["quantity"][0] == "Area (px²)"
    assert "not square" in said(dock, "warning")
    dock.form.setValue(dock.form.value().model_copy(update={"compare_sizes": False}))
    run(qtbot, dock)
    assert not dock.agreement.isVisible()


def test_what_layers_show_but_files_do_not_goes_into_the_command(qtbot, tmp_path) -> None:
    dock = Compare(from_files(tmp_path))
    qtbot.addWidget(dock)
    run(qtbot, dock)
    for layer in dock.viewer.layers:
        layer.scale = (7, 7)
    dock.copy_button.click()
    finish(qtbot, dock)
    command = shlex.split(QApplication.clipboard().text())
    assert command[command.index("--pixel-size-nm") + 1] == "7.0"


def test_the_next_comparison_takes_the_place_of_the_first(qtbot, dock, viewer) -> None:
    run(qtbot, dock)
    first = comparison_layers(viewer)
    first["true_positives"].visible = False
    count, places = len(viewer.layers), {kind: viewer.layers.index(layer) for kind, layer in first.items()}
    dock.form.setValue(dock.form.value().model_copy(update={"iou_threshold": 0.95}))
    run(qtbot, dock)
    assert len(viewer.layers) == count
    second = comparison_layers(viewer)
    assert {kind: viewer.layers.index(layer) for kind, layer in second.items()} == places
    assert sorted(layer.name for layer in second.values()) == [
        "found: 0 TP", "missed: 2 FN", "not there: 2 FP", "pixels: right and wrong",
    ]  # fmt: skip
    assert not second["true_positives"].visible
    viewer.layers.remove(second["false_negatives"])
    run(qtbot, dock)
    assert len(viewer.layers) == count


def test_a_click_says_what_became_of_a_particle(qtbot, dock, viewer) -> None:
    run(qtbot, dock)
    layers = comparison_layers(viewer)
    for (row, column), sentence, kind in (
        ((10, 10), "Predicted particle 11 is true particle 3: IoU 0.900.", "true_positives"),
        ((30, 50), "Predicted particle 12 is not there", "false_positives"),
        ((25, 25), "True particle 8 was missed", "false_negatives"),
    ):
        dock.clicks.at(np.array([2.0 * row, 2.0 * column]))
        assert dock.particle.text().startswith(sentence)
        assert viewer.status == dock.particle.text()
        assert [name for name, layer in layers.items() if layer._overlays["selection_box"].visible] == [kind]
    dock.clicks.at(np.array([0.0, 0.0]))
    assert dock.particle.text() == CLICK
    assert not any(layer._overlays["selection_box"].visible for layer in layers.values())


def test_a_stack_is_compared_slice_by_slice(qtbot) -> None:
    truth, prediction = (np.stack([labels, np.zeros_like(labels), labels]) for labels in pair())
    viewer, place = ViewerModel(), Calibration((5.0, 2.0, 2.0))
    viewer.add_layer(Layer.create(*labels_layer(prediction, place, "prediction")))
    viewer.add_layer(Layer.create(*labels_layer(truth, place, "truth")))
    dock = Compare(viewer)
    qtbot.addWidget(dock)
    run(qtbot, dock)
    expected = pool([evaluate(*planes) for planes in zip(truth, prediction, strict=True)])
    assert dock.figures.text_of("f1") == f"{expected.f1:.3f}"
    layers = comparison_layers(viewer)
    assert layers["false_negatives"].data.shape == truth.shape
    viewer.dims.set_current_step(0, 2)
    dock.clicks.at(np.array([10.0, 20.0, 20.0]))
    assert "IoU 0.900" in dock.particle.text()
    assert layers["true_positives"]._overlays["selection_box"].visible
    viewer.dims.set_current_step(0, 0)
    assert not layers["true_positives"]._overlays["selection_box"].visible


def from_files(folder: Path) -> ViewerModel:
    truth, prediction = pair()
    write_image(folder / "grey.tif", Image(micrograph(), "YX", SIZE))
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*image_layer(read_image(folder / "grey.tif"), "grey")))
    for name, labels in (("prediction", prediction), ("truth", truth)):
        write_labels(folder / f"{name}.tif", labels, SIZE)
        data, options, kind = labels_layer(np.asarray(read_labels(folder / f"{name}.tif")), SIZE, name)
        options["metadata"]["source"] = str(folder / f"{name}.tif")
        viewer.add_layer(Layer.create(data, options, kind))
    return viewer


def test_what_is_saved_is_what_the_command_writes(qtbot, tmp_path, monkeypatch) -> None:
    dock = Compare(from_files(tmp_path))
    qtbot.addWidget(dock)
    run(qtbot, dock)
    out = tmp_path / "Größe"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(out), ""))
    dock.save_button.click()
    finish(qtbot, dock)
    assert str(out) in said(dock, "info")
    dock.copy_button.click()
    finish(qtbot, dock)
    command = shlex.split(QApplication.clipboard().text())
    assert command[:2] == ["nanoseg", "evaluate"]
    result = CliRunner().invoke(app, command[1:])
    assert result.exit_code == 0, result.output
    typed = tmp_path / "prediction_comparison"
    files = sorted(path.relative_to(typed) for path in typed.rglob("*") if path.is_file())
    assert sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file()) == files
    assert {str(path) for path in files} >= {"overlays/truth.png", "pixels/truth.tif", "metrics.json", "run.yaml"}
    for file in files:
        if file.name != "run.yaml":
            assert (out / file).read_bytes() == (typed / file).read_bytes(), file
    record = yaml.safe_load((out / "run.yaml").read_text("utf-8"))
    assert record["config"]["job"] == "evaluate"
    assert (record["layers"]["truth"], record["layers"]["prediction"]) == ("truth", "prediction")


def test_layers_without_a_file_are_recorded_by_name(qtbot, dock, tmp_path, monkeypatch) -> None:
    run(qtbot, dock)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "out"), ""))
    dock.save_button.click()
    finish(qtbot, dock)
    record = yaml.safe_load((tmp_path / "out" / "run.yaml").read_text("utf-8"))
    assert record["layers"]["truth"] == "ground truth"
    assert record["config"] == EvaluateConfig().model_dump(mode="json")
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text("utf-8"))
    found = agreement(*pair(), calibration=SIZE)
    by_quantity = {name: one.figures() for name, one in found.items()}
    assert figures == evaluate(*pair()).figures() | {"images": 1, "agreement": by_quantity}
    assert record["layers"]["pixel_size_nm"] == [2, 2]
    dock.copy_button.click()
    finish(qtbot, dock)
    assert "is not in a file" in said(dock)


@pytest.mark.parametrize("swapped", ["truth", "prediction"])
def test_a_micrograph_as_labels_is_refused(qtbot, swapped: str) -> None:
    viewer = ViewerModel()
    layers = dict(zip(("truth", "prediction"), pair(), strict=True)) | {swapped: micrograph()}
    truth, prediction = (viewer.add_labels(layers[name], name=name) for name in ("truth", "prediction"))
    dock = Compare(viewer)
    qtbot.addWidget(dock)
    dock.show()
    dock.truth.choose(truth)
    dock.prediction.choose(prediction)
    run(qtbot, dock)
    assert f"'{swapped}' looks like a grey image, not like labels" in said(dock)
    assert len(viewer.layers) == 2


def test_the_record_names_the_file_of_the_image_where_labels_have_none(qtbot, tmp_path, monkeypatch) -> None:
    viewer = from_files(tmp_path)
    viewer.layers["truth"].metadata = {}
    dock = Compare(viewer)
    qtbot.addWidget(dock)
    run(qtbot, dock)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "out"), ""))
    dock.save_button.click()
    finish(qtbot, dock)
    record = yaml.safe_load((tmp_path / "out" / "run.yaml").read_text("utf-8"))
    assert list(record["inputs"]) == [str(tmp_path / "grey.tif")]
    assert record["layers"]["truth"] == "truth"


def test_bad_input_is_one_sentence(qtbot, tmp_path, monkeypatch) -> None:
    viewer = ViewerModel()
    dock = Compare(viewer)
    qtbot.addWidget(dock)
    dock.show()
    assert not dock.panel.start_button.isEnabled()
    dock.compare()
    assert "Two labels layers" in said(dock)
    one = viewer.add_labels(np.ones((5, 5), int), name="truth")
    assert not dock.panel.start_button.isEnabled()
    dock.compare()
    assert "'truth' is chosen twice" in said(dock)
    other = viewer.add_labels(np.ones((6, 7), int), name="prediction")
    dock.truth.choose(one)
    dock.prediction.choose(other)
    run(qtbot, dock)
    assert "'truth' has 5 x 5 pixels but 'prediction' 6 x 7" in said(dock)
    one.data = np.zeros((6, 7), int)
    run(qtbot, dock)
    assert "'truth' has no particles" in said(dock)
    one.data, other.data = np.ones((6, 7), int), np.zeros((6, 7), int)
    run(qtbot, dock)
    assert dock.figures.text_of("recall") == "0.000"
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "file"), ""))
    dock.save_button.click()
    finish(qtbot, dock)
    assert "Cannot write" in said(dock)


@pytest.mark.parametrize("how", ["prediction", "truth", "removed"])
def test_a_comparison_leaves_with_the_layers_that_were_compared(qtbot, dock, viewer, how) -> None:
    run(qtbot, dock)
    assert dock.heading.text() == "'found by the model' compared with 'ground truth':"
    compared = [viewer.layers["found by the model"], viewer.layers["ground truth"]]
    other = viewer.add_layer(Layer.create(*labels_layer(pair()[1], SIZE, "another")))
    if how == "removed":
        viewer.layers.remove("found by the model")
        assert dock.prediction.layer is other
    else:
        getattr(dock, how).choose(other)
    assert dock.compared is None
    assert not dock.save_button.isEnabled()
    assert dock.agreement.table.table is None
    assert dock.agreement.figure.figure is None
    for widget in (dock.heading, dock.legend, dock.figures, dock.precisions, dock.agreement, dock.outdated):
        assert not widget.isVisible()
    qtbot.waitUntil(lambda: comparison_layers(viewer) == {})
    assert all(layer.visible for layer in compared if layer in viewer.layers)
    run(qtbot, dock)
    assert len(comparison_layers(viewer)) == 4


def test_layers_chosen_while_others_are_compared_get_no_results_of_them(qtbot, dock, viewer) -> None:
    other = viewer.add_layer(Layer.create(*labels_layer(pair()[1], SIZE, "another")))
    dock.compare()
    dock.prediction.choose(other)
    finish(qtbot, dock)
    assert dock.compared is None
    assert "Another layer than 'found by the model' is chosen" in said(dock)
    assert comparison_layers(viewer) == {}


@pytest.mark.parametrize("what", ["truth painted", "prediction scaled", "settings"])
def test_an_outdated_comparison_is_marked_and_not_saved(qtbot, dock, viewer, what) -> None:
    run(qtbot, dock)
    assert dock.save_button.isEnabled()
    if what == "truth painted":
        viewer.layers["ground truth"].data_setitem((np.array([0]), np.array([0])), 5)
    elif what == "prediction scaled":
        viewer.layers["found by the model"].scale = (3, 3)
    else:
        dock.form.setValue(EvaluateConfig(iou_threshold=0.95))
    assert dock.outdated.isVisible()
    assert not dock.save_button.isEnabled()
    assert len(comparison_layers(viewer)) == 4
    dock.outdated.again.emit()
    finish(qtbot, dock)
    assert not dock.outdated.isVisible()
    assert dock.save_button.isEnabled()


def test_the_size_of_the_image_counts_where_the_labels_have_none(qtbot, dock, viewer) -> None:
    run(qtbot, dock)
    viewer.layers["grey"].scale = (5, 5)
    assert dock.freshness.current
    for name in ("ground truth", "found by the model"):
        viewer.layers[name].units = ("pixel", "pixel")
    run(qtbot, dock)
    viewer.layers["grey"].scale = (6, 6)
    assert "pixel size or the axes of 'grey'" in dock.outdated.text


def test_pictures_are_saved_on_the_image_of_the_comparison(qtbot, dock, viewer, tmp_path, monkeypatch) -> None:
    run(qtbot, dock)
    offered: list[str] = []
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda _, __, name, *___: offered.append(name) or (str(tmp_path / "before"), "")
    )
    dock.save_button.click()
    finish(qtbot, dock)
    assert offered == ["found by the model_comparison"]
    dock.session.put("image", viewer.add_image(np.zeros((40, 60), np.uint8), scale=(2, 2), units=("nm", "nm")))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "after"), ""))
    dock.save_button.click()
    finish(qtbot, dock)
    name = "overlays/ground truth.png"
    assert (tmp_path / "after" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()


def test_a_layer_removed_meanwhile_is_named(qtbot, dock, viewer) -> None:
    dock.panel.start_button.click()
    viewer.layers.remove("ground truth")
    finish(qtbot, dock)
    assert "'ground truth' was removed" in said(dock)
    assert comparison_layers(viewer) == {}


KNOWN = np.zeros((40, 60), bool)
KNOWN[:, :40] = True


@pytest.fixture
def partly(qtbot, viewer) -> Compare:
    """The left two thirds are known: of 11, 12 and 13, which are not there, 12 is not judged."""
    viewer.layers["ground truth"].name = "grey: annotated"
    prediction = viewer.layers["found by the model"].data.copy()
    prediction[2:8, 30:36] = 13
    viewer.layers["found by the model"].data = prediction
    viewer.add_layer(Layer.create(*labels_layer(KNOWN.astype(np.uint8), SIZE, "grey: known region", visible=False)))
    dock = Compare(viewer)
    qtbot.addWidget(dock)
    dock.show()
    dock.truth.choose(viewer.layers["grey: annotated"])
    dock.prediction.choose(viewer.layers["found by the model"])
    return dock


def test_where_the_truth_is_not_known_nothing_is_judged(qtbot, partly, viewer, tmp_path, monkeypatch) -> None:
    assert partly.known.currentText() == "some; known: grey: known region"
    run(qtbot, partly)
    truth, prediction = (viewer.layers[name].data for name in ("grey: annotated", "found by the model"))
    expected = evaluate(truth, prediction, known=KNOWN)
    assert (expected.false_positives, evaluate(truth, prediction).false_positives) == (1, 2)
    assert partly.figures.text_of("precision") == f"{expected.precision:.3f}"
    assert partly.figures.text_of("not_judged") == "1"
    layers = comparison_layers(viewer)
    assert np.unique(layers["false_positives"].data).tolist() == [0, 13]
    assert not layers["pixels"].data[30, 50]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "out"), ""))
    partly.save_button.click()
    finish(qtbot, partly)
    assert json.loads((tmp_path / "out" / "metrics.json").read_text("utf-8"))["not_judged"] == 1
    record = yaml.safe_load((tmp_path / "out" / "run.yaml").read_text("utf-8"))
    assert record["layers"]["known"] == "grey: known region"


def test_what_is_known_can_be_chosen(qtbot, partly, viewer) -> None:
    counts = {WHOLE: "", UNMARKED: "2", "some; known: box": "2"}
    box = [np.array([[-0.5, -0.5], [-0.5, 28], [39, 28], [39, -0.5]])]
    viewer.add_shapes(box, name="box", scale=(2, 2), units=("nm", "nm"))
    assert partly.known.currentText() == "some; known: grey: known region"
    for text, count in counts.items():
        run(qtbot, partly)
        partly.known.setCurrentText(text)
        partly.known.activated.emit(partly.known.currentIndex())
        assert "the settings were changed" in partly.outdated.text
        assert not partly.save_button.isEnabled()
        run(qtbot, partly)
        assert partly.figures.text_of("not_judged") == count
    assert not any("TP" in text for text in (partly.known.itemText(index) for index in range(partly.known.count())))
    viewer.layers.remove("box")
    assert partly.known.currentText() == "some; known: grey: known region"
    assert partly.outdated.isVisible()


def test_a_script_says_what_is_known(partly, viewer) -> None:
    truth, prediction = (viewer.layers[name].data for name in ("grey: annotated", "found by the model"))
    for known, mask in (
        (None, None),
        ("grey: known region", KNOWN),
        (viewer.layers["grey: known region"], KNOWN),
    ):
        partly.set(truth="found by the model")
        partly.set(known=known, truth="grey: annotated", prediction="found by the model")
        assert partly.run().figures() == evaluate(truth, prediction, known=mask).figures()
    with pytest.raises(NanosegError, match="'known' cannot be 'nothing'; choose one of these layers"):
        partly.set(known="nothing")


def test_drawing_in_the_known_region_marks_the_comparison(qtbot, partly, viewer) -> None:
    viewer.layers["grey: known region"].visible = True
    run(qtbot, partly)
    viewer.layers["grey: known region"].data_setitem((np.array([0]), np.array([50])), 1)
    assert "'grey: known region' was edited" in partly.outdated.text
    assert not partly.save_button.isEnabled()


def test_a_known_region_of_another_image_is_one_sentence(qtbot, partly, viewer) -> None:
    partly.known.choose(Known(viewer.add_labels(np.ones((5, 5), int), name="small")))
    run(qtbot, partly)
    assert "'small' has 5 x 5 pixels but the labels 'grey: annotated' 40 x 60" in said(partly)
    assert partly.compared is None


def test_the_known_region_of_the_annotation_is_that_of_the_same_truth(qtbot, dock, viewer) -> None:
    region = viewer.add_labels(KNOWN.astype(int), name="background", scale=(2, 2), units=("nm", "nm"))
    assert dock.known.known is None
    dock.session.put("particles", dock.truth.layer)
    dock.session.put("region", region)
    dock.session.put("whole", False)
    assert dock.known.known == Known(region)
    viewer.layers.remove(region)
    assert dock.known.known == Known()
    dock.truth.choose(viewer.layers["found by the model"])
    assert dock.known.known is None


def test_what_is_known_counts_in_every_slice_of_a_stack(qtbot, partly, viewer) -> None:
    for name in ("grey: annotated", "found by the model"):
        stack = np.stack([viewer.layers[name].data] * 2)
        viewer.add_layer(Layer.create(*labels_layer(stack, Calibration((2.0, 2.0, 2.0)), f"stack {name}")))
    partly.truth.choose(viewer.layers["stack grey: annotated"])
    partly.prediction.choose(viewer.layers["stack found by the model"])
    partly.known.choose(Known(viewer.layers["grey: known region"]))
    run(qtbot, partly)
    assert said(partly) == ""
    assert partly.figures.text_of("not_judged") == "2"


def test_the_data_set_of_the_truth_says_what_is_known(qtbot, tmp_path, monkeypatch) -> None:
    viewer, truth = from_files(tmp_path), pair()[0]
    write_sample(tmp_path / "set", Sample(Image(micrograph(), "YX", SIZE), Instances.from_labels(truth), KNOWN, "a"))
    viewer.layers["truth"].metadata = {"source": str(tmp_path / "set" / "masks" / "a.tif")}
    dock = Compare(viewer)
    qtbot.addWidget(dock)
    assert dock.known.currentText() == "some; known: known/a.png"
    run(qtbot, dock)
    assert dock.figures.text_of("not_judged") == "1"
    out = tmp_path / "out"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(out), ""))
    dock.save_button.click()
    finish(qtbot, dock)
    dock.copy_button.click()
    finish(qtbot, dock)
    result = CliRunner().invoke(app, shlex.split(QApplication.clipboard().text())[1:])
    assert result.exit_code == 0, result.output
    typed = tmp_path / "prediction_comparison"
    for name in ("metrics.json", "evaluation.csv", "overlays/a.png", "pixels/a.tif"):
        assert (out / name).read_bytes() == (typed / name).read_bytes(), name
    dock.known.choose(None)
    dock.copy_button.click()
    finish(qtbot, dock)
    assert "not what is chosen in 'Outlined'" in said(dock)


@pytest.mark.gui
def test_clicks_in_a_real_window(qtbot) -> None:
    from robot import Robot

    viewer = napari.Viewer()
    try:
        robot = Robot(viewer)
        truth, prediction = pair()
        viewer.add_layer(Layer.create(*labels_layer(prediction, SIZE, "prediction")))
        viewer.add_layer(Layer.create(*labels_layer(truth, SIZE, "truth")))
        dock = Compare(viewer)
        viewer.window.add_dock_widget(dock, name="Compare")
        robot.settle(0.3)
        viewer.reset_view()
        robot.click(dock, "Compare")
        robot.wait(lambda: not dock.running and dock.compared is not None, 20)
        viewer.layers["truth"].visible = viewer.layers["prediction"].visible = False
        robot.settle(0.3)
        layer = comparison_layers(viewer)["true_positives"]
        robot.click_at(layer, 10, 10)
        assert "IoU 0.900" in dock.particle.text()
        robot.click_at(layer, 25, 25)
        assert "missed" in dock.particle.text()
        shot = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
        for colour in ((0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00), (0xCC, 0x79, 0xA7)):
            assert (np.abs(shot - colour).max(axis=2) < 12).sum() > 100
    finally:
        viewer.close()
