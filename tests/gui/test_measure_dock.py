"""The Measure dock: the table of a layer, linked with it both ways, saved and repeated elsewhere."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml
from pandas.testing import assert_frame_equal
from typer.testing import CliRunner

napari = pytest.importorskip("napari")

from napari.components import ViewerModel  # noqa: E402
from napari.layers import Layer  # noqa: E402
from panels import finish, run, said  # noqa: E402
from qtpy.QtWidgets import QApplication, QFileDialog  # noqa: E402

from napari_nanoseg import Calibration, Image, Instances, measure, read_image, read_labels  # noqa: E402
from napari_nanoseg._gui.freshness import SETTLED_MS  # noqa: E402
from napari_nanoseg._gui.layers import calibration_of, image_layer, labels_layer  # noqa: E402
from napari_nanoseg._gui.measure import Measure, sentence  # noqa: E402
from napari_nanoseg.cli import app  # noqa: E402
from napari_nanoseg.config.measure import MeasureConfig  # noqa: E402
from napari_nanoseg.io.images import write_image, write_labels  # noqa: E402
from napari_nanoseg.io.tables import read_table  # noqa: E402

SIZE = Calibration.of(2.0)


def particles() -> np.ndarray:
    labels = np.zeros((120, 200), np.int32)
    for number, (row, column) in enumerate(((10, 10), (10, 60), (60, 20), (70, 150)), start=1):
        labels[row : row + 12 + number, column : column + 20] = 3 * number
    labels[-4:, 100:110] = 40
    return labels


def micrograph() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (120, 200)).astype(np.uint8)


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*image_layer(Image(micrograph(), "YX", SIZE), "grey")))
    viewer.add_layer(Layer.create(*labels_layer(particles(), SIZE, "found")))
    return viewer


@pytest.fixture
def dock(qtbot, viewer) -> Measure:
    dock = Measure(viewer)
    qtbot.addWidget(dock)
    dock.resize(300, 900)
    dock.show()
    return dock


def click(dock: Measure, row: float, column: float, plane: float = 0) -> None:
    """Click a place of the first layer of labels, in pixels."""
    layer = dock.labels.layer
    point = (plane, row, column)[-layer.ndim :]
    dock.clicks.at(np.asarray(layer.data_to_world(point)))


def choose(dock: Measure, label: int, plane: int | None = None) -> None:
    """Choose a row as the arrow keys do."""
    assert dock.table.select(label, plane)
    dock.table.selected.emit(label)


def box(layer: Layer) -> tuple[tuple[float, float], tuple[float, float]] | None:
    overlay = layer._overlays["selection_box"]
    return overlay.bounds if overlay.visible else None


def test_the_table_is_that_of_python(qtbot, dock, viewer) -> None:
    run(qtbot, dock)
    assert dock.table.table.equals(measure(particles(), SIZE, micrograph()))
    assert viewer.layers["found"].features["index"].tolist() == [3, 6, 9, 12, 40]
    assert "mean_intensity" in viewer.layers["found"].features
    assert dock.summary.isVisible()
    assert dock.figure.isVisible()
    assert "5 particles, 1 of them at the border and left out below" in dock.summary.text()
    assert "Equivalent diameter of 4 in nm:" in dock.summary.text()
    assert dock.summary.text().splitlines()[-1].endswith("by volume")


def test_results_leave_with_the_layer_that_was_measured(qtbot, dock, viewer, tmp_path, monkeypatch) -> None:
    run(qtbot, dock)
    assert dock.summary.text().startswith("'found': 5 particles")
    viewer.layers.clear()
    other = viewer.add_labels(np.where(particles() == 3, 3, 0), name="another: image")
    assert dock.labels.layer is other
    assert dock.measurement is None
    assert dock.table.table is None
    assert dock.figure.figure is None
    assert not dock.summary.isVisible()
    assert not dock.save_table_button.isEnabled()
    assert not dock.save_figure_button.isEnabled()
    assert not dock.outdated.isVisible()
    offered: list[str] = []
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda _, __, name, *___: offered.append(name) or (str(tmp_path / name), "")
    )
    run(qtbot, dock)
    assert dock.table.table["label"].tolist() == [3]
    other.name = "renamed"
    dock.save_table_button.click()
    finish(qtbot, dock)
    dock.save_figure_button.click()
    finish(qtbot, dock)
    assert offered == ["renamed_particles.csv", "renamed_sizes.png"]
    record = yaml.safe_load((tmp_path / "renamed_particles.csv.run.yaml").read_text())
    assert record["layers"]["labels"] == "renamed"


def test_choosing_another_layer_while_one_is_measured_shows_nothing_of_it(qtbot, dock, viewer) -> None:
    other = viewer.add_labels(np.where(particles() == 3, 3, 0), name="other")
    dock.session.prediction = viewer.layers["found"]
    dock.measure()
    dock.session.prediction = other
    finish(qtbot, dock)
    assert dock.measurement is None
    assert dock.table.table is None
    assert "'found' are not shown" in said(dock, "info")


def unsaved(dock: Measure) -> bool:
    return not (dock.save_table_button.isEnabled() or dock.save_figure_button.isEnabled())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda viewer, dock: viewer.layers["found"].paint((100, 20), 8), "'found' was edited"),
        (lambda viewer, dock: setattr(viewer.layers["found"], "data", particles()), "'found' was edited"),
        (lambda viewer, dock: setattr(viewer.layers["found"], "scale", (3, 3)), "the axes of 'found' were changed"),
        (lambda viewer, dock: setattr(viewer.layers["grey"], "data", micrograph()), "'grey' was edited"),
        (lambda viewer, dock: viewer.layers.remove("grey"), "'grey' was removed"),
        (lambda viewer, dock: dock.image.choose(viewer.add_image(micrograph())), "another layer than 'grey'"),
        (lambda viewer, dock: dock.intensities.setChecked(False), "the settings were changed"),
        (lambda viewer, dock: dock.form.setValue(MeasureConfig(exclude_border=False)), "the settings were changed"),
    ],
)  # fmt: skip
def test_whatever_changes_a_result_marks_it_until_it_is_measured_again(qtbot, dock, viewer, change, words) -> None:
    run(qtbot, dock)
    assert not unsaved(dock)
    change(viewer, dock)
    assert dock.outdated.isVisible()
    assert words in dock.outdated.text
    assert unsaved(dock)
    dock.outdated.again.emit()
    finish(qtbot, dock)
    assert not dock.outdated.isVisible()
    assert not unsaved(dock)


def test_what_only_looks_like_a_change_marks_nothing(qtbot, dock, viewer) -> None:
    run(qtbot, dock)
    layer = viewer.layers["found"]
    layer.name = "other name"
    layer.scale = tuple(layer.scale)
    layer.selected_label, layer.contour, layer.visible = 3, 1, False
    layer.refresh()
    qtbot.wait(SETTLED_MS + 100)
    assert dock.freshness.current
    assert not dock.outdated.isVisible()
    assert dock.summary.text().startswith("'other name': 5 particles")


def test_undo_marks_a_result_that_was_measured_before_it(qtbot, dock, viewer) -> None:
    layer = viewer.layers["found"]
    layer.paint((100, 20), 8)
    run(qtbot, dock)
    layer.undo()
    qtbot.waitUntil(dock.outdated.isVisible)
    assert unsaved(dock)


def test_a_cancelled_measurement_leaves_the_mark(qtbot, dock, viewer) -> None:
    run(qtbot, dock)
    viewer.layers["found"].paint((100, 20), 8)
    dock.measure()
    dock.panel.cancel()
    finish(qtbot, dock)
    assert dock.outdated.isVisible()
    assert len(dock.table.table) == 5


def test_painting_while_it_is_measured_marks_the_result(qtbot, dock, viewer) -> None:
    dock.measure()
    viewer.layers["found"].paint((100, 20), 8)
    finish(qtbot, dock)
    assert dock.outdated.isVisible()
    assert unsaved(dock)


def test_labels_that_a_script_changed_without_a_word_are_not_saved(qtbot, dock, viewer, tmp_path, monkeypatch) -> None:
    run(qtbot, dock)
    viewer.layers["found"].data[100, 20] = 8
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "t.csv"), ""))
    dock.save_table_button.click()
    finish(qtbot, dock)
    assert "'found' are not those that were measured" in said(dock)
    assert not (tmp_path / "t.csv").exists()


def test_messages_of_an_earlier_layer_leave(qtbot, dock, viewer) -> None:
    viewer.layers["found"].data = np.zeros_like(particles())
    run(qtbot, dock)
    assert "'found' has no particles" in said(dock)
    dock.labels.choose(viewer.add_labels(particles(), name="other"))
    assert said(dock) == ""


def test_without_intensities(qtbot, dock) -> None:
    dock.intensities.setChecked(False)
    assert "mean_intensity" not in run(qtbot, dock).table.table


def test_overlapping_particles_count_in_full(qtbot, viewer) -> None:
    mask = np.ones((10, 10), bool)
    instances = Instances.from_masks((120, 200), [[5, 5, 15, 15], [10, 10, 20, 20]], [mask, mask], scores=[0.5, 0.9])
    viewer.layers.remove("found")
    layer = viewer.add_layer(Layer.create(*labels_layer(instances, SIZE, "found")))
    dock = Measure(viewer)
    qtbot.addWidget(dock)
    run(qtbot, dock)
    assert dock.table.table["area"].tolist() == [100, 100]
    assert dock.table.table["overlapping"].tolist() == [True, True]
    assert "2 share pixels with others" in dock.summary.text()
    layer.data_setitem((np.array([0]), np.array([0])), 9)
    run(qtbot, dock)
    assert dock.table.table["area"].tolist() == [75, 100, 1]
    assert not dock.table.table["overlapping"].any()
    assert "share pixels" not in dock.summary.text()


def test_a_row_brings_its_particle_into_view(qtbot, dock, viewer) -> None:
    run(qtbot, dock)
    layer = viewer.layers["found"]
    viewer.scene.camera.zoom = 0.01
    choose(dock, 12)
    assert viewer.scene.camera.center[-2:] == pytest.approx((2 * 77.5, 2 * 159.5))
    assert 20 * 2 * viewer.scene.camera.zoom == pytest.approx(min(viewer.canvas.size) / 4)
    assert layer.selected_label == 12
    assert not layer.show_selected_label
    assert box(layer) == ((68.0, 148.0), (87.0, 171.0))
    zoom = viewer.scene.camera.zoom
    choose(dock, 3)
    assert viewer.scene.camera.zoom == zoom
    assert viewer.scene.camera.center[-2:] == pytest.approx((2 * 16, 2 * 19.5))


def test_a_click_on_a_particle_finds_its_row(qtbot, dock, viewer) -> None:
    run(qtbot, dock)
    before = viewer.scene.camera.center
    click(dock, 15, 65)
    assert dock.table.row["label"] == 6
    assert viewer.scene.camera.center == before
    assert box(viewer.layers["found"]) is not None
    click(dock, 0, 0)
    assert dock.table.row is None
    assert box(viewer.layers["found"]) is None
    click(dock, 500, -3)
    viewer.layers["found"].visible = False
    click(dock, 15, 65)
    assert dock.table.row is None


def test_painting_makes_the_table_outdated(qtbot, dock, viewer) -> None:
    run(qtbot, dock)
    layer = viewer.layers["found"]
    assert not dock.outdated.isVisible()
    layer.paint((100, 20), 8)
    assert dock.outdated.isVisible()
    dock.outdated.again.emit()
    finish(qtbot, dock)
    assert not dock.outdated.isVisible()
    assert dock.table.table["label"].tolist() == [3, 6, 8, 9, 12, 40]
    layer.data = layer.data.copy()
    assert dock.outdated.isVisible()


def test_pixels_without_a_size_are_said(qtbot) -> None:
    viewer = ViewerModel()
    labels = viewer.add_labels(particles())
    dock = Measure(viewer)
    qtbot.addWidget(dock)
    dock.show()
    run(qtbot, dock)
    assert "pixel size is not known" in said(dock, "warning")
    assert "of 4 in px" in dock.summary.text()
    assert "area_nm2" not in dock.table.table
    assert not dock.use_button.isVisible()
    dock.form.setValue(dock.form.value().model_copy(update={"pixel_size_nm": 4.0}))
    assert dock.use_button.isVisible()
    other = viewer.add_labels(particles(), translate=(1, 1))
    far = viewer.add_labels(particles(), scale=(3, 3))
    dock.use_button.click()
    assert calibration_of(labels) == calibration_of(other) == Calibration.of(4.0)
    assert other.translate.tolist() == [4, 4]
    assert far.scale.tolist() == [3, 3]
    assert not dock.use_button.isVisible()
    assert dock.outdated.isVisible()
    assert run(qtbot, dock).table.table.equals(measure(particles(), Calibration.of(4.0)))


def test_a_typed_size_counts_at_once(qtbot, dock) -> None:
    dock.form.setValue(dock.form.value().model_copy(update={"pixel_size_nm": 4.0, "exclude_border": False}))
    run(qtbot, dock)
    assert dock.table.table.equals(measure(particles(), Calibration.of(4.0), micrograph()))
    assert "of 5 in nm" in sentence(dock.measurement)


def test_a_stack_is_measured_and_shown_slice_by_slice(qtbot) -> None:
    stack = np.stack([particles(), np.zeros_like(particles()), np.where(particles() == 3, 3, 0)])
    viewer = ViewerModel()
    layer = viewer.add_layer(Layer.create(*labels_layer(stack, Calibration((10.0, 2.0, 2.0)), "found")))
    dock = Measure(viewer)
    qtbot.addWidget(dock)
    run(qtbot, dock)
    assert dock.table.table.equals(measure(stack, SIZE))
    viewer.dims.set_current_step(0, 2)
    click(dock, 15, 15, 2)
    assert (dock.table.row["slice"], dock.table.row["label"]) == (2, 3)
    assert box(layer) is not None
    viewer.dims.set_current_step(0, 1)
    assert box(layer) is None
    choose(dock, 6, 0)
    assert viewer.dims.current_step[0] == 0
    assert box(layer) is not None


@pytest.mark.parametrize("name", ["t.csv", "t.xlsx", "räume.CSV"])
def test_the_saved_table_is_that_of_the_command(qtbot, tmp_path, monkeypatch, name) -> None:
    image_file, labels_file = tmp_path / "grey.tif", tmp_path / "labels.tif"
    write_image(image_file, Image(micrograph(), "YX", SIZE))
    write_labels(labels_file, particles(), SIZE)
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*image_layer(read_image(image_file), "grey")))
    data, options, kind = labels_layer(np.asarray(read_labels(labels_file)), SIZE, "found")
    options["metadata"]["source"] = str(labels_file)
    viewer.add_layer(Layer.create(data, options, kind))
    dock = Measure(viewer)
    qtbot.addWidget(dock)
    run(qtbot, dock)
    path = tmp_path / "out" / name
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), "CSV (*.csv)"))
    dock.save_table_button.click()
    finish(qtbot, dock)
    assert str(path) in said(dock, "info")
    record = yaml.safe_load(path.with_name(f"{path.name}.run.yaml").read_text("utf-8"))
    assert set(record["inputs"]) == {str(labels_file), str(image_file)}
    assert record["config"]["job"] == "measure"
    assert record["layers"]["labels"] == dock.labels.layer.name
    dock.copy_button.click()
    finish(qtbot, dock)
    command = shlex.split(QApplication.clipboard().text())
    assert command[:2] == ["nanoseg", "measure"]
    assert CliRunner().invoke(app, command[1:]).exit_code == 0
    typed = tmp_path / "labels_particles.csv"
    if path.suffix == ".xlsx":
        assert_frame_equal(read_table(path), read_table(typed), check_dtype=False)
    else:
        assert path.read_bytes() == typed.read_bytes()


def test_layers_without_a_file_are_recorded_by_name(qtbot, dock, tmp_path, monkeypatch) -> None:
    dock.viewer.layers["found"].metadata["nanoseg"]["record"] = {"config": {"job": "segment"}}
    run(qtbot, dock)
    path = tmp_path / "size"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), "Excel (*.xlsx)"))
    dock.save_table_button.click()
    finish(qtbot, dock)
    assert len(read_table(tmp_path / "size.xlsx")) == 5
    record = yaml.safe_load((tmp_path / "size.xlsx.run.yaml").read_text("utf-8"))
    assert record["layers"]["labels"] == "found"
    assert record["layers"]["labels_made_by"] == {"config": {"job": "segment"}}
    assert record["layers"]["pixel_size_nm"] == [2.0, 2.0]
    dock.figure.save_asked.emit(tmp_path / "figure.svg")
    finish(qtbot, dock)
    assert "Equivalent diameter (nm)" in (tmp_path / "figure.svg").read_text("utf-8")
    assert (tmp_path / "figure.svg.run.yaml").exists()
    dock.copy_button.click()
    finish(qtbot, dock)
    assert "'found' is not in a file" in said(dock)


def test_the_record_names_the_file_of_the_image_where_labels_have_none(qtbot, tmp_path, monkeypatch) -> None:
    write_image(tmp_path / "grey.tif", Image(micrograph(), "YX", SIZE))
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*image_layer(read_image(tmp_path / "grey.tif"), "grey")))
    viewer.add_layer(Layer.create(*labels_layer(particles(), SIZE, "found")))
    dock = Measure(viewer)
    qtbot.addWidget(dock)
    run(qtbot, dock)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "t.csv"), ""))
    dock.save_table_button.click()
    finish(qtbot, dock)
    record = yaml.safe_load((tmp_path / "t.csv.run.yaml").read_text("utf-8"))
    assert list(record["inputs"]) == [str(tmp_path / "grey.tif")]
    assert (record["layers"]["labels"], record["layers"]["image"]) == ("found", "grey")


def test_bad_input_is_one_sentence(qtbot, tmp_path, monkeypatch) -> None:
    viewer = ViewerModel()
    dock = Measure(viewer)
    qtbot.addWidget(dock)
    dock.show()
    assert not dock.panel.start_button.isEnabled()
    dock.measure()
    assert "No labels layer" in said(dock)
    empty = viewer.add_labels(np.zeros((5, 5), int), name="nothing")
    assert dock.panel.start_button.isEnabled()
    run(qtbot, dock)
    assert "'nothing' has no particles" in said(dock)
    image = viewer.add_image(np.random.default_rng(0).random((6, 7)), name="other")
    empty.data = np.ones((5, 5), int)
    dock.image.choose(image)
    run(qtbot, dock)
    assert "'other' has 6 x 7 pixels but 'nothing' 5 x 5" in said(dock)
    dock.intensities.setChecked(False)
    run(qtbot, dock)
    assert dock.measurement.figure is None
    assert "all touch the image border" in said(dock, "warning")
    assert not dock.save_figure_button.isEnabled()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "file" / "t.csv"), ""))
    dock.save_table_button.click()
    finish(qtbot, dock)
    assert "Cannot write" in said(dock)


def test_a_micrograph_as_labels_is_refused(qtbot) -> None:
    viewer = ViewerModel()
    viewer.add_labels(micrograph(), name="grey as labels")
    dock = Measure(viewer)
    qtbot.addWidget(dock)
    dock.show()
    run(qtbot, dock)
    assert "'grey as labels' looks like a grey image, not like labels" in said(dock)
    assert dock.measurement is None


def test_a_removed_layer_takes_its_results_along(qtbot, dock, viewer) -> None:
    run(qtbot, dock)
    layer = viewer.layers["found"]
    click(dock, 15, 65)
    viewer.layers.remove(layer)
    assert box(layer) is None
    assert dock.measurement is None
    for widget in (dock.summary, dock.table, dock.figure, dock.outdated):
        assert not widget.isVisible()
    assert unsaved(dock)
    assert not dock.panel.start_button.isEnabled()


def test_a_layer_removed_while_it_is_measured(qtbot, dock, viewer) -> None:
    dock.panel.start_button.click()
    viewer.layers.remove("found")
    finish(qtbot, dock)
    assert said(dock) == ""
    assert dock.measurement is None
    assert "'found' was removed" in said(dock, "info")


def test_a_dock_that_is_gone_leaves_nothing_behind(qtbot, viewer) -> None:
    dock = Measure(viewer)
    layer, count = viewer.layers["found"], len(viewer.mouse_drag_callbacks)
    run(qtbot, dock)
    click(dock, 15, 65)
    assert box(layer) is not None
    with qtbot.waitSignal(dock.destroyed):
        dock.deleteLater()
    assert box(layer) is None
    assert len(viewer.mouse_drag_callbacks) == count - 1
    layer.paint((100, 20), 8)
    viewer.layers.remove(layer)


@pytest.mark.gui
def test_rows_and_particles_in_a_real_window(qtbot, tmp_path: Path) -> None:
    from qtpy.QtCore import Qt
    from robot import Robot

    viewer = napari.Viewer()
    try:
        robot = Robot(viewer)
        viewer.add_layer(Layer.create(*image_layer(Image(micrograph(), "YX", SIZE), "grey")))
        labels = viewer.add_layer(Layer.create(*labels_layer(particles(), SIZE, "found")))
        viewer.layers.selection.active = viewer.layers["grey"]
        dock = Measure(viewer)
        viewer.window.add_dock_widget(dock, name="Measure")
        robot.settle(0.3)
        viewer.reset_view()
        robot.click(dock, "Measure")
        robot.wait(lambda: not dock.running and dock.measurement is not None, 20)
        robot.settle(0.2)
        robot.click_at(labels, 66, 30)
        assert dock.table.row["label"] == 9
        assert dock.table.viewport().rect().intersects(dock.table.visualRect(dock.table.currentIndex()))
        robot.drag(labels, (15, 15), (40, 60))
        assert dock.table.row["label"] == 9
        labels.mode = "paint"
        viewer.layers.selection.active = labels
        robot.click_at(labels, 15, 65)
        assert dock.table.row["label"] == 9
        labels.mode = "pan_zoom"
        before = viewer.scene.camera.zoom = 0.2
        middle = dock.table.visualRect(dock.table.model().index(0, 0)).center()
        qtbot.mouseClick(dock.table.viewport(), Qt.MouseButton.LeftButton, pos=middle)
        assert viewer.scene.camera.zoom > before
        assert viewer.scene.camera.center[-2:] == pytest.approx((32, 39), abs=1)
        shot = viewer.screenshot(canvas_only=True, flash=False).astype(int)
        blue = (shot[..., 2] > 150) & (shot[..., 0] < 90) & (shot[..., 1] < 90)
        assert blue.sum() > 200
    finally:
        viewer.close()
