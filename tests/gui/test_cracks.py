"""The Cracks dock: what the job finds, on the volume's own grid, with plots and tables that follow the slider."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from typer.testing import CliRunner

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Layer
from pandas.testing import assert_frame_equal
from panels import finish, run, said
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QApplication, QFileDialog

import napari_nanoseg as ns
from napari_nanoseg import Calibration, Volume, VolumeConfig, open_volume, write_volume
from napari_nanoseg._gui.crack_plots import SLICE
from napari_nanoseg._gui.cracking import CORRELATION, DISTRIBUTION, PROFILE, SLOPE
from napari_nanoseg._gui.cracks import BY_LAYER, BY_MODEL, NO_CLASSES, NO_VOLUME, Cracks
from napari_nanoseg._gui.layers import volume_layer
from napari_nanoseg.cli import app
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.engines.unet.model import UNetModel
from napari_nanoseg.io.model_library import baseline_folders
from napari_nanoseg.io.tables import read_table

NM = Calibration((200.0, 50.0, 50.0))
SHAPE = (12, 60, 70)
WINDOW = 15


def cathode() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Bright particles in a dark matrix, and cracks through them that become wider with depth."""
    z, row, column = np.indices(SHAPE)
    particle = ((row % 30 - 15) ** 2 + (column % 35 - 17) ** 2) < 13**2
    crack = particle & (np.abs(row % 30 - 15) < 1 + z // 5)
    return np.where(particle & ~crack, 170, 60).astype(np.uint8), crack


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    path = tmp_path / "Größe 1 µm" / "cathode.tif"
    write_volume(path, Volume(cathode()[0], NM))
    return path


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def dock(qtbot: QtBot, viewer: ViewerModel) -> Cracks:
    dock = Cracks(viewer)
    qtbot.addWidget(dock)
    dock.resize(300, 900)
    dock.show()
    dock.models.choose(baseline_folders()["threshold"])
    config = dock.form.value()
    damage = config.damage.model_copy(update={"window": WINDOW})
    dock.form.setValue(config.model_copy(update={"damage": damage, "slab": 8}))
    return dock


def by(dock: Cracks, source: str) -> None:
    dock.source.setCurrentText(source)
    dock.source.activated.emit(dock.source.currentIndex())


def put(viewer: ViewerModel, path: Path) -> Any:
    return viewer.add_layer(Layer.create(*volume_layer(path, VolumeConfig())))


def named(viewer: ViewerModel, text: str) -> Any:
    return next(layer for layer in viewer.layers if text in layer.name)


def drawn(qtbot: QtBot, dock: Cracks) -> Any:
    qtbot.waitUntil(lambda: not dock.plots.busy, timeout=60_000)
    return dock.plots.view.figure


def why(dock: Cracks) -> str:
    return str(dock.panel.start_button.toolTip())


def test_volumes_are_opened_without_being_read(qtbot: QtBot, dock: Cracks, viewer: ViewerModel, volume: Path) -> None:
    assert (dock._hint.text(), why(dock)) == (NO_VOLUME, NO_VOLUME)
    dock.open(volume)
    finish(qtbot, dock)
    [layer] = viewer.layers
    assert hasattr(layer.data, "dask")
    np.testing.assert_array_equal(layer.data, cathode()[0])
    assert (layer.scale.tolist(), str(layer.units[0])) == ([200, 50, 50], "nanometer")
    assert dock.out.path == volume.parent / "cathode_cracks"
    assert dock.panel.start_button.isEnabled()
    dock.open(volume.parent / "not there.tif")
    finish(qtbot, dock)
    assert "not there.tif" in said(dock)


def test_classes_and_maps_lie_on_the_volume(qtbot: QtBot, dock: Cracks, viewer: ViewerModel, volume: Path) -> None:
    layer = put(viewer, volume)
    layer.translate = 0, 500, 700
    run(qtbot, dock)
    assert said(dock) == ""
    out = volume.parent / "cathode_cracks"
    assert str(out) in said(dock, "info")
    found, damage, packing = (
        named(viewer, text) for text in ("crack, particle", "cathode: damage", "cathode: packing")
    )
    for made in (found, damage, packing):
        assert hasattr(made.data, "dask")
        assert (made.scale.tolist(), made.translate.tolist()) == (layer.scale.tolist(), layer.translate.tolist())
        assert (made.units, made.axis_labels) == (layer.units, layer.axis_labels)
    np.testing.assert_array_equal(found.data, open_volume(out / "classes.ome.zarr").read(0, SHAPE[0]))
    assert (np.asarray(found.data)[cathode()[1]] == 1).mean() > 0.9
    assert damage.colorbar.visible
    assert packing.colorbar.visible
    values = np.asarray(damage.data)
    assert 0.9 * values.max() <= damage.contrast_limits[1] <= values.max()
    assert dock.session.image is layer
    dock.panel.start_button.click()
    finish(qtbot, dock)
    assert len(viewer.layers) == 4  # in place of those before


def test_plots_follow_the_slider(qtbot: QtBot, dock: Cracks, viewer: ViewerModel, volume: Path) -> None:
    put(viewer, volume)
    run(qtbot, dock)
    damage = dock.results.main.damage
    viewer.dims.set_current_step(0, 3)
    dock.plots.choose(PROFILE)
    assert [axes.get_ylabel() for axes in dock.plots.view.figure.axes] == [
        "Damage (cracks / window)", "Packing (particles / window)",
    ]  # fmt: skip
    assert dock.plots.view.figure.axes[-1].get_xlabel() == "Depth (µm)"
    assert dock.plots.view.place == pytest.approx(0.6)
    before = dock.plots.view.lines()[0].x1()
    viewer.dims.set_current_step(0, 9)
    assert dock.plots.view.place == pytest.approx(1.8)
    first, second = dock.plots.view.lines()
    assert first.x1() == second.x1() > before
    dock.plots.choose(SLOPE)
    assert dock.plots.view.place == pytest.approx(1.8)
    dock.plots.choose(DISTRIBUTION)
    [curve] = drawn(qtbot, dock).axes[0].lines
    assert dock.plots.view.place is None
    wide = float(np.trapezoid(curve.get_xdata() * curve.get_ydata(), curve.get_xdata()))
    assert wide == pytest.approx(float(np.asarray(named(viewer, "cathode: damage").data[9]).mean()), rel=0.15)
    dock.plots.choose(CORRELATION)
    assert len(dock.plots.view.figure.axes[0].lines[0].get_xdata()) == len(damage.points)
    dock.plots.choose(SLICE)
    windows, line = drawn(qtbot, dock).axes[0].lines
    told = damage.correlation[damage.correlation["slice"] == 9].iloc[0]
    assert len(windows.get_xdata()) == told["n"]
    slope, offset = np.polyfit(windows.get_xdata(), windows.get_ydata(), 1)
    assert (slope, offset) == pytest.approx((told["slope"], told["intercept"]), abs=1e-6)
    assert np.polyfit(line.get_xdata(), line.get_ydata(), 1)[0] == pytest.approx(told["slope"])
    viewer.dims.set_current_step(0, 1)
    assert drawn(qtbot, dock).axes[0].lines[1] is not line


def test_rows_show_their_place(qtbot: QtBot, dock: Cracks, viewer: ViewerModel, volume: Path) -> None:
    put(viewer, volume)
    run(qtbot, dock)
    titles = [dock.tables.choice.itemText(index) for index in range(dock.tables.choice.count())]
    assert [title.split(" (")[0] for title in titles[:4]] == [
        "Slices", "Correlation of damage and packing", "Cracks", "Particles",
    ]  # fmt: skip
    dock.tables.table.selectRow(5)
    dock.tables.table.setCurrentIndex(dock.tables.table.model().index(5, 0))
    assert viewer.dims.current_step[0] == 5
    dock.tables.choose(2)
    dock.tables.table.setCurrentIndex(dock.tables.table.model().index(0, 0))
    row = dock.tables.table.row
    assert viewer.dims.current_step[0] == round(row["centroid_slice"])
    assert viewer.scene.camera.center[-2:] == pytest.approx((50 * row["centroid_row"], 50 * row["centroid_column"]))


def test_the_copied_command_finds_the_same(
    qtbot: QtBot, dock: Cracks, viewer: ViewerModel, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(viewer, volume)
    run(qtbot, dock)
    first = dock.results.job.out
    dock.copy_button.click()
    finish(qtbot, dock)
    words = shlex.split(QApplication.clipboard().text())
    out = volume.parent / "again"
    words[words.index("--out") + 1] = str(out)
    result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, result.output
    for name in ("profile", "correlation", "components"):
        assert read_table(out / f"{name}.csv").equals(read_table(first / f"{name}.csv")), name
    copied = volume.parent / "paper"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(copied))
    dock.save_button.click()
    finish(qtbot, dock)
    assert {path.name for path in first.glob("*.csv")} == {path.name for path in copied.glob("*.csv")}
    assert (copied / "profile.svg").is_file()
    assert not list(copied.glob("*.zarr"))


def test_a_layer_in_no_file_is_written_once(qtbot: QtBot, dock: Cracks, viewer: ViewerModel, tmp_path: Path) -> None:
    viewer.add_image(cathode()[0], name="tomogram")
    mask = np.zeros(SHAPE, int)
    mask[:, 2:28] = 1
    dock.session.put("particle_mask", viewer.add_labels(mask, name="upper"))
    dock.out.choose(tmp_path / "out")
    run(qtbot, dock)
    written = tmp_path / "out" / "inputs" / "volume.tif"
    np.testing.assert_array_equal(open_volume(written).read(0, SHAPE[0]), cathode()[0])
    before = written.stat().st_mtime_ns
    packed = (open_volume(dock.results.main.classes).read(0, SHAPE[0]) == 1) | (mask > 0)  # with cracks beside the mask
    assert dock.results.main.damage.profile["particle_area"].tolist() == packed.sum(axis=(1, 2)).tolist()
    run(qtbot, dock)
    assert written.stat().st_mtime_ns == before
    dock.plots.choose(PROFILE)
    assert dock.plots.view.figure.axes[-1].get_xlabel() == "Depth (slices)"


def test_other_settings_get_their_own_folder(qtbot: QtBot, dock: Cracks, viewer: ViewerModel, volume: Path) -> None:
    put(viewer, volume)
    run(qtbot, dock)
    config = dock.form.value()
    threshold = config.threshold.model_copy(update={"closing": 2})
    dock.form.setValue(config.model_copy(update={"threshold": threshold}))
    run(qtbot, dock)
    assert dock.results.job.out.name == "cathode_cracks 2"
    dock.out.choose(volume.parent / "cathode_cracks 2")
    dock.form.setValue(config)
    run(qtbot, dock)
    assert "another threshold" in said(dock)
    dock.overwrite.setChecked(True)
    run(qtbot, dock)
    assert dock.results.job.out.name == "cathode_cracks 2"
    assert dock.results.job.config.threshold == config.threshold


def test_another_analysis_replaces_the_first_only_when_told(
    qtbot: QtBot, dock: Cracks, viewer: ViewerModel, volume: Path
) -> None:
    put(viewer, volume)
    run(qtbot, dock)
    config, out = dock.form.value(), volume.parent / "cathode_cracks"
    before = (out / "profile.csv").read_bytes()
    other = {"window": "particle", "particle": "window"}[config.damage.normalise]
    dock.form.setValue(config.with_fields(damage=config.damage.with_fields(normalise=other)))
    run(qtbot, dock)
    assert "is of an analysis with other settings" in said(dock)
    assert (out / "profile.csv").read_bytes() == before
    dock.overwrite.setChecked(True)
    run(qtbot, dock)
    assert dock.results.job.out == out
    assert (out / "profile.csv").read_bytes() != before


def test_classes_that_are_there_are_analysed(qtbot: QtBot, dock: Cracks, viewer: ViewerModel, volume: Path) -> None:
    put(viewer, volume)
    by(dock, BY_LAYER)
    assert why(dock) == NO_CLASSES
    assert not dock.models.isVisible()
    painted = viewer.add_labels(cathode()[1].astype(np.uint8), name="painted")
    dock.session.put("classes", painted)
    run(qtbot, dock)
    truth = cathode()[1]
    np.testing.assert_allclose(dock.results.main.damage.profile["damage"], truth.mean(axis=(1, 2)))
    assert not [layer for layer in viewer.layers if layer.name.startswith("cathode: crack")]
    record = yaml.safe_load((volume.parent / "cathode_cracks" / "run.yaml").read_text(encoding="utf-8"))
    assert record["config"]["classes"].endswith("classes.tif")


def test_another_class_map_takes_the_place_of_the_first(
    qtbot: QtBot, dock: Cracks, viewer: ViewerModel, volume: Path
) -> None:
    put(viewer, volume)
    run(qtbot, dock)
    made = [layer for layer in viewer.layers if layer.name.startswith("cathode: ")]
    assert any(layer.visible for layer in made)
    painted = viewer.add_labels(cathode()[1].astype(np.uint8), name="painted")
    dock.session.put("classes", painted)
    by(dock, BY_LAYER)
    assert "the settings were changed" in dock.outdated.text
    assert not dock.save_button.isEnabled()
    run(qtbot, dock)
    assert not dock.outdated.isVisible()
    assert dock.save_button.isEnabled()
    assert not any(layer.visible for layer in made)
    assert painted.visible
    painted.data = 1 - painted.data
    assert "'painted' was edited" in dock.outdated.text


@pytest.mark.parametrize("when", ["after", "during", "removed"])
def test_results_leave_with_their_volume(
    qtbot: QtBot, dock: Cracks, viewer: ViewerModel, volume: Path, when: str
) -> None:
    layer = put(viewer, volume)
    other = viewer.add_image(cathode()[0][:, :60], name="other")
    dock.image.choose(layer)
    if when == "during":
        dock.panel.start_button.click()
    else:
        run(qtbot, dock)
        assert dock.summary.text().startswith("'cathode': Damage")
    if when == "removed":
        viewer.layers.remove(layer)
    else:
        dock.image.choose(other)
    finish(qtbot, dock)
    assert dock.results is None
    assert dock.tables.table.table is None
    assert dock.plots.name is None
    for widget in (dock.summary, dock.plots, dock.tables):
        assert not widget.isVisible()
    assert not dock.save_button.isEnabled()
    assert not any(layer.visible for layer in viewer.layers if layer.name.startswith("cathode: "))
    if when == "during":
        assert "Another layer than 'cathode'" in said(dock, "info")


def test_a_network_and_the_threshold_beside_it(
    qtbot: QtBot, dock: Cracks, viewer: ViewerModel, volume: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = UNetModel.from_card(ModelCard(network=UNetConfig(filters=2, levels=2, classes=("crack", "void"))))
    model.save(tmp_path / "net")
    put(viewer, volume)
    dock.session.put("model", tmp_path / "net")  # as trained in another dock
    assert dock.models.path == tmp_path / "net"
    dock.baseline.setChecked(True)
    run(qtbot, dock)
    assert said(dock) == ""
    assert named(viewer, "cathode: crack, void").data.shape == SHAPE
    assert named(viewer, "cathode: threshold crack, particle").data.shape == SHAPE
    shown = {layer.name for layer in viewer.layers if layer.visible}
    assert shown == {"cathode", "cathode: crack, void", "cathode: damage"}
    dock.plots.choose(PROFILE)
    curves = dock.plots.view.figure.axes[0].lines
    np.testing.assert_allclose(curves[0].get_ydata(), dock.results.main.damage.profile["damage"])
    np.testing.assert_allclose(curves[1].get_ydata(), dock.results.baseline.damage.profile["damage"])


def test_what_is_no_volume_is_refused_in_a_sentence(dock: Cracks, viewer: ViewerModel, tmp_path: Path) -> None:
    grey = cathode()[0]
    for data, options, words in (
        (grey[0], {}, "single 2-D image"),
        (np.zeros((4, 20, 30, 3), np.uint8), {"rgb": True}, "colours"),
        (np.zeros((2, 3, 20, 30), np.uint8), {}, "4 dimensions"),
        (grey, {"axis_labels": ("t", "y", "x")}, "time series"),
    ):
        dock.session.put("image", viewer.add_image(data, name="wrong", **options))
        assert words in why(dock)
        assert not dock.panel.start_button.isEnabled()
    dock.session.put("image", viewer.add_image(grey, name="right"))
    assert why(dock) == ""
    dock.session.put("particle_mask", viewer.add_labels(np.ones((12, 60, 71), int), name="other"))
    assert "'other' has 12 x 60 x 71 voxels but the volume 'right' 12 x 60 x 70" in why(dock)
    dock.session.put("particle_mask", None)
    dock.models.choose(baseline_folders()["watershed"])
    assert "gives no classes to voxels" in why(dock)
    dock.models.choose(tmp_path / "nothing")
    assert "no model at" in why(dock)
    dock.models.choose(None)
    assert "U-Net" in why(dock)


def test_a_volume_of_one_value_has_no_cracks(qtbot: QtBot, dock: Cracks, viewer: ViewerModel, tmp_path: Path) -> None:
    put_in = viewer.add_image(cathode()[0], name="tomogram")
    by(dock, BY_LAYER)
    dock.session.put("classes", viewer.add_labels(np.zeros(SHAPE, np.uint8), name="nothing"))
    dock.out.choose(tmp_path / "out")
    run(qtbot, dock)
    assert "no crack" in said(dock, "warning")
    assert "Damage 0 %" in dock.summary.text()
    by(dock, BY_MODEL)
    put_in.data = np.full(SHAPE, np.nan, np.float32)
    dock.out.choose(tmp_path / "other")
    run(qtbot, dock)
    assert "NaN" in said(dock)


def test_cancel_keeps_slabs_and_the_next_run_goes_on(
    qtbot: QtBot, dock: Cracks, viewer: ViewerModel, volume: Path
) -> None:
    put(viewer, volume)
    seen = []

    def stop(event: object) -> None:
        seen.append(event)
        if getattr(event, "unit", None) == "slices" and getattr(event, "done", 0) >= 1:
            dock.panel.cancel()

    dock.panel.said.connect(stop)
    dock.panel.start_button.click()
    finish(qtbot, dock)
    dock.panel.said.disconnect(stop)
    run(qtbot, dock)
    assert dock.results is not None
    np.testing.assert_array_equal(
        open_volume(dock.results.main.classes).read(0, SHAPE[0]) == 1, np.asarray(named(viewer, "crack, p").data) == 1
    )


@pytest.mark.gui
def test_the_sample_cathode_in_a_real_window(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import napari
    from robot import Robot

    monkeypatch.chdir(tmp_path)
    viewer = napari.Viewer()
    try:
        robot = Robot(viewer)
        viewer.open_sample("napari-nanoseg", "cathode")
        dock = Cracks(viewer)
        viewer.window.add_dock_widget(dock, name="Cracks")
        robot.settle(0.3)
        dock.models.choose(baseline_folders()["threshold"])
        robot.click(dock, "Find cracks")
        robot.wait(lambda: not dock.running and dock.results is not None, 60)
        robot.settle(0.5)
        shot = viewer.screenshot(canvas_only=True, flash=False)
        assert len(np.unique(shot.reshape(-1, 4), axis=0)) > 100
        dock.plots.choose(PROFILE)
        viewer.dims.set_current_step(0, 20)
        robot.settle(0.3)
        assert dock.plots.view.place == pytest.approx(20 * 0.14)
        assert dock.results.job.out.parent == tmp_path
    finally:
        viewer.close()


def test_a_script_gets_what_the_python_api_gives(
    dock: Cracks, viewer: ViewerModel, volume: Path, tmp_path: Path
) -> None:
    put(viewer, volume)
    painted = viewer.add_labels(cathode()[1].astype(np.uint8), name="painted")
    fields = {"slab": 8, "damage": {"window": WINDOW}}
    dock.set(volume="cathode", model="threshold", out=tmp_path / "by script", **fields)
    found = dock.run()
    expected = ns.cracks(None, volume, "threshold", tmp_path / "by function", progress=False, **fields)
    assert_frame_equal(found.damage.profile, expected.damage.profile)
    assert found.result.figures["damage"] == expected.result.figures["damage"]
    assert named(viewer, "cathode: damage").data.shape[0] == SHAPE[0]
    dock.set(classes=painted)
    assert not dock.by_model
