"""The Optical density dock: a new layer on the old one, the same numbers as from Python and the copied command."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from typer.testing import CliRunner

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Layer
from panels import finish, run, said
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_nanoseg import Calibration, DensityConfig, Image, optical_density, read_image
from napari_nanoseg._gui.layers import calibration_of, image_layer, image_of, labels_layer, record_of
from napari_nanoseg._gui.optical_density import NO_IMAGE, PERCENTILE, REFERENCE, REGION, Density
from napari_nanoseg.cli import app
from napari_nanoseg.io.images import write_image, write_labels

PIXEL = Calibration((25.0, 30.0))
LEVELS = 900.0, 400.0, 1300.0


def stack() -> NDArray[np.uint16]:
    rng = np.random.default_rng(2)
    truth = np.zeros((40, 50))
    truth[15:] = rng.uniform(0.2, 1.5, 50)
    return np.stack([rng.poisson(level * np.exp(-truth)) for level in LEVELS]).astype(np.uint16)


def put(viewer: ViewerModel, image: Image, name: str) -> Any:
    return viewer.add_layer(Layer.create(*image_layer(image, name)))


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def dock(qtbot: QtBot, viewer: ViewerModel) -> Density:
    dock = Density(viewer)
    qtbot.addWidget(dock)
    dock.resize(300, 700)
    dock.show()
    return dock


def choose(dock: Density, incident: str) -> None:
    dock.incident.setCurrentText(incident)
    dock.incident.activated.emit(dock.incident.currentIndex())


def previewed(qtbot: QtBot, dock: Density) -> Any:
    qtbot.waitUntil(lambda: not dock.preview.busy, timeout=20_000)
    return dock.preview.density


def test_an_empty_viewer_is_told_what_to_do(dock: Density, viewer: ViewerModel) -> None:
    assert dock._hint.text() == NO_IMAGE
    assert not dock.panel.start_button.isEnabled()
    assert not dock.draw_button.isEnabled()
    put(viewer, Image(stack()[0]), "wires")
    assert not dock._hint.isVisible()
    assert dock.panel.start_button.isEnabled()


def test_the_density_lies_on_its_image_which_stays_as_it_is(qtbot: QtBot, dock: Density, viewer: ViewerModel) -> None:
    image = Image(stack(), "ZYX", PIXEL)
    layer = put(viewer, image, "energies")
    layer.translate = 0, 500, 700
    run(qtbot, dock)
    made = viewer.layers[-1]
    assert made.name == "energies: optical density"
    np.testing.assert_array_equal(made.data, optical_density(image).image.data)
    assert (made.scale.tolist(), made.translate.tolist()) == (layer.scale.tolist(), layer.translate.tolist())
    assert (made.units, made.axis_labels) == (layer.units, layer.axis_labels)
    assert calibration_of(made) == PIXEL
    assert made.data.min() < made.contrast_limits[0] < 0.1 < 1.2 < made.contrast_limits[1] < made.data.max()
    assert made.contrast_limits_range == [made.data.min(), made.data.max()]
    np.testing.assert_array_equal(layer.data, stack())
    record = record_of(made)
    assert record is not None
    assert record["figures"]["incident"] == pytest.approx(LEVELS, rel=0.03)
    assert record["layers"] == {"image": "energies"}
    assert "I0 4" in said(dock, "info")
    assert viewer.layers[0] is layer
    run(qtbot, dock)  # of the image again, not of its density
    np.testing.assert_array_equal(viewer.layers[-1].data, made.data)
    dock.go_to.emit("Segment")
    assert dock.session.image is viewer.layers[-1]


def test_axes_of_length_one_are_kept(qtbot: QtBot, dock: Density, viewer: ViewerModel) -> None:
    viewer.add_image(stack()[:1], name="one slice")
    run(qtbot, dock)
    assert viewer.layers[-1].data.shape == (1, 40, 50)


def test_an_image_of_one_value_has_no_density(qtbot: QtBot, dock: Density, viewer: ViewerModel) -> None:
    viewer.add_image(np.full((20, 30), 7), name="beam")
    run(qtbot, dock)
    assert (viewer.layers[-1].data == 0).all()
    assert previewed(qtbot, dock).incident == [7]


def test_the_preview_shows_the_slice_that_is_seen(qtbot: QtBot, dock: Density, viewer: ViewerModel) -> None:
    put(viewer, Image(stack(), "ZYX", PIXEL), "energies")
    for number in (0, 2):
        viewer.dims.set_current_step(0, number)
        found = previewed(qtbot, dock)
        np.testing.assert_array_equal(found.image.data, optical_density(stack()[number]).image.data)
        assert dock.preview.picture.isVisible()
        assert f"I0 {found.incident[0]:.5g}" in dock.preview.caption.text()
    dock.percentile.setValue(DensityConfig(percentile=60))
    expected = optical_density(stack()[2], DensityConfig(percentile=60))
    np.testing.assert_array_equal(previewed(qtbot, dock).image.data, expected.image.data)
    assert len(viewer.layers) == 1


def test_a_drawn_region_gives_the_incident_intensity(qtbot: QtBot, dock: Density, viewer: ViewerModel) -> None:
    image = Image(stack(), "ZYX", PIXEL)
    put(viewer, image, "energies")
    choose(dock, REGION)
    assert dock.region.isVisible()
    assert not dock.percentile.isVisible()
    assert not dock.panel.start_button.isEnabled()
    dock.draw_button.click()
    drawn = viewer.layers[-1]
    assert (drawn.name, str(drawn.mode), drawn.ndim) == ("I0 region: energies", "add_rectangle", 2)
    assert not dock.panel.start_button.isEnabled()  # nothing is drawn yet
    drawn.add_rectangles(np.array([[1.6, 4.6], [11.4, 30.4]]))
    assert dock.panel.start_button.isEnabled()
    run(qtbot, dock)
    expected = optical_density(image, DensityConfig(rows=(2, 12), columns=(5, 31)))
    np.testing.assert_array_equal(viewer.layers[-1].data, expected.image.data)


def test_a_region_painted_in_one_slice_counts_for_all(qtbot: QtBot, dock: Density, viewer: ViewerModel) -> None:
    image = Image(stack(), "ZYX", PIXEL)
    put(viewer, image, "energies")
    painted = np.zeros(stack().shape, np.int32)
    painted[1, :9, 3:30], painted[1, 4, 40] = 2, 1
    layer = viewer.add_layer(Layer.create(*labels_layer(painted, PIXEL, "background")))
    choose(dock, REGION)
    dock.region.choose(layer)
    run(qtbot, dock)
    np.testing.assert_array_equal(viewer.layers[-1].data, optical_density(image, region=painted).image.data)
    record = record_of(viewer.layers[-1])
    assert record is not None
    assert record["layers"] == {"image": "energies", "region": "background"}


def test_a_reference_layer_gives_it_pixel_by_pixel(qtbot: QtBot, dock: Density, viewer: ViewerModel) -> None:
    beam = np.random.default_rng(3).integers(800, 1000, (40, 50))
    put(viewer, Image(stack()[0]), "wires")
    layer = put(viewer, Image(beam), "beam")
    dock.image.choose(viewer.layers[0])
    choose(dock, REFERENCE)
    assert not dock.panel.start_button.isEnabled()
    dock.reference.choose(layer)
    run(qtbot, dock)
    np.testing.assert_array_equal(viewer.layers[-1].data, optical_density(stack()[0], reference=beam).image.data)


@pytest.mark.parametrize("incident", [PERCENTILE, REGION, "labels", REFERENCE])
def test_the_copied_command_gives_the_same_file(
    qtbot: QtBot, dock: Density, viewer: ViewerModel, tmp_path: Path, incident: str
) -> None:
    path = tmp_path / "Größe 1.tif"
    write_image(path, Image(stack(), "ZYX", PIXEL))
    layer = put(viewer, read_image(path), "energies")
    dock.form.setValue(DensityConfig(dark=2.5, floor=0.4, clip=True))
    if incident == PERCENTILE:
        dock.percentile.setValue(DensityConfig(percentile=90, averaging=3))
    elif incident == REGION:
        choose(dock, REGION)
        dock.draw_button.click()
        viewer.layers[-1].add_rectangles(np.array([[1.6, 4.6], [11.4, 30.4]]))
    elif incident == "labels":
        discs = np.zeros((40, 50), np.int32)
        discs[2:9, 3:9], discs[4:12, 20:30] = 1, 2
        write_labels(tmp_path / "empty.tif", discs, PIXEL)
        drawn = viewer.add_layer(Layer.create(*labels_layer(discs, PIXEL, "empty")))
        drawn.metadata["source"] = str(tmp_path / "empty.tif")
        choose(dock, REGION)
        dock.region.choose(drawn)
    else:
        write_image(tmp_path / "beam.tif", Image(stack()[0] + 1))
        choose(dock, REFERENCE)
        dock.reference.choose(put(viewer, read_image(tmp_path / "beam.tif"), "beam"))
        dock.image.choose(layer)
    run(qtbot, dock)
    made = image_of(viewer.layers[-1])
    dock.copy_button.click()
    finish(qtbot, dock)
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    words = shlex.split(clipboard.text())
    assert words[:2] == ["nanoseg", "density"]
    result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, result.output
    written = tmp_path / "optical_density" / "Größe 1.tif"
    np.testing.assert_array_equal(read_image(written).data, made.data)
    of_job = yaml.safe_load(written.with_suffix(".run.yaml").read_text(encoding="utf-8"))
    of_dock = record_of(viewer.layers[-1])
    assert of_dock is not None
    for key in ("config", "inputs", "figures"):
        assert of_dock[key] == of_job[key]


def test_what_no_file_holds_has_no_command(qtbot: QtBot, dock: Density, viewer: ViewerModel, tmp_path: Path) -> None:
    put(viewer, Image(stack()[0]), "wires")
    dock.copy_button.click()
    finish(qtbot, dock)
    assert "'wires' is not in a file" in said(dock)
    path = tmp_path / "wires.tif"
    write_image(path, Image(stack()[0]))
    viewer.layers[0].metadata["source"] = str(path)
    choose(dock, REGION)
    dock.draw_button.click()
    viewer.layers[-1].add_ellipses(np.array([[2.0, 2.0], [12.0, 12.0]]))
    dock.copy_button.click()
    finish(qtbot, dock)
    assert "neither one rectangle nor in a file" in said(dock)


def test_a_saved_density_is_that_of_the_job(
    qtbot: QtBot, dock: Density, viewer: ViewerModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wires.tif"
    write_image(path, Image(stack()[0], "YX", PIXEL))
    put(viewer, read_image(path), "wires")
    assert not dock.save_button.isEnabled()
    run(qtbot, dock)
    content = path.read_bytes()
    for name, words in ((path, "would replace"), (tmp_path / "density", "")):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, name=name: (str(name), ""))
        dock.save_button.click()
        finish(qtbot, dock)
        assert words in said(dock)
    assert path.read_bytes() == content
    written = read_image(tmp_path / "density.tif")
    np.testing.assert_array_equal(written.data, viewer.layers[-1].data)
    assert written.calibration == PIXEL
    assert (tmp_path / "density.run.yaml").exists()
    assert viewer.layers[-1].metadata["source"] == str(tmp_path / "density.tif")


def test_lazy_and_multiscale_layers_are_taken_in_full_resolution(
    qtbot: QtBot, dock: Density, viewer: ViewerModel
) -> None:
    from dask.array import from_array

    expected = optical_density(stack()).image.data
    viewer.add_image(from_array(stack(), chunks=(1, 40, 50)), name="lazy")
    run(qtbot, dock)
    np.testing.assert_array_equal(viewer.layers[-1].data, expected)
    dock.image.choose(viewer.add_image([stack(), stack()[:, ::2, ::2]], name="two scales"))
    viewer.dims.set_current_step(0, 1)
    run(qtbot, dock)
    np.testing.assert_array_equal(viewer.layers[-1].data, expected)
    np.testing.assert_array_equal(previewed(qtbot, dock).image.data, expected[1])


def test_a_huge_slice_has_no_preview(
    qtbot: QtBot, dock: Density, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_nanoseg._gui.densities.LARGEST", 1999)
    put(viewer, Image(stack()[0]), "wires")
    assert previewed(qtbot, dock) is None
    assert "no preview of 40 x 50 px" in dock.preview.caption.text()
    run(qtbot, dock)
    assert len(viewer.layers) == 2


def test_dark_pixels_are_a_warning(qtbot: QtBot, dock: Density, viewer: ViewerModel) -> None:
    image = stack()[0].astype(np.float32)
    image[30, :4] = 0, -1, 0, -9
    put(viewer, Image(image), "dark")
    run(qtbot, dock)
    assert "dark: raised to the least intensity: 4 of 2000 pixels" in said(dock, "warning")
    assert "too dark: 4 of 2000 px" in dock.preview.caption.text()


@pytest.mark.parametrize("what", ["colours", "nan", "zeros", "other reference", "other region", "shape outside"])
def test_bad_layers_are_a_sentence(qtbot: QtBot, dock: Density, viewer: ViewerModel, what: str) -> None:
    pixels = stack()[0].astype(np.float32)
    words = {
        "colours": "has colours",
        "nan": "NaN",
        "zeros": "must be positive",
        "other reference": "30 x 50 pixels",
        "other region": "40 x 60 pixels",
        "shape outside": "enclose no pixel",
    }[what]
    if what == "colours":
        pixels = np.random.default_rng(0).random((40, 50, 3), np.float32)
    if what == "nan":
        pixels[3, 3] = np.nan
    layer = viewer.add_image(pixels if what != "zeros" else 0 * pixels, name="a", rgb=what == "colours")
    if what == "other reference":
        dock.reference.choose(viewer.add_image(pixels[:30]))
        choose(dock, REFERENCE)
    if what == "other region":
        dock.region.choose(viewer.add_labels(np.ones((40, 60), np.int32)))
        choose(dock, REGION)
    if what == "shape outside":
        choose(dock, REGION)
        dock.draw_button.click()
        viewer.layers[-1].add_rectangles(np.array([[100, 100], [120, 120]]))
    dock.image.choose(layer)
    count = len(viewer.layers)
    if dock.panel.start_button.isEnabled():
        run(qtbot, dock)
        assert words in said(dock)
        previewed(qtbot, dock)
        assert words in dock.preview.caption.text()
    else:
        assert words in dock.panel.start_button.toolTip()
    assert len(viewer.layers) == count


def test_only_the_density_of_what_is_chosen_is_saved(qtbot: QtBot, dock: Density, viewer: ViewerModel) -> None:
    layer = put(viewer, Image(stack()[0], "YX", PIXEL), "wires")
    run(qtbot, dock)
    assert dock.save_button.isEnabled()
    assert "'wires: optical density' is made" in said(dock, "info")
    other = put(viewer, Image(stack()[1], "YX", PIXEL), "other")
    dock.image.choose(other)
    assert not dock.save_button.isEnabled()
    assert said(dock, "info") == ""
    dock.image.choose(layer)
    assert dock.save_button.isEnabled()
    dock.percentile.setValue(DensityConfig(percentile=60))
    assert "the settings were changed" in dock.outdated.text
    assert not dock.save_button.isEnabled()
    run(qtbot, dock)
    dock.go_to.emit("Segment")
    assert dock.save_button.isEnabled()
    assert not dock.outdated.isVisible()
    dock.image.choose(layer)
    layer.data = stack()[2]
    assert "'wires' was edited" in dock.outdated.text
    assert not dock.save_button.isEnabled()


def test_an_image_that_is_removed_meanwhile_keeps_its_density(qtbot: QtBot, dock: Density, viewer: ViewerModel) -> None:
    layer = put(viewer, Image(stack()[0], "YX", PIXEL), "wires")
    dock.panel.start_button.click()
    viewer.layers.remove(layer)
    finish(qtbot, dock)
    assert "changed or removed" in said(dock, "warning")
    np.testing.assert_array_equal(viewer.layers[-1].data, optical_density(stack()[0]).image.data)
    assert viewer.layers[-1].scale.tolist() == [25, 30]


@pytest.mark.gui
def test_a_region_drawn_by_mouse_in_a_real_window(qtbot: QtBot) -> None:
    import napari
    from robot import Robot

    image = Image(stack(), "ZYX", PIXEL)
    viewer = napari.Viewer()
    try:
        robot = Robot(viewer)
        put(viewer, image, "energies")
        dock = Density(viewer)
        viewer.window.add_dock_widget(dock, name="Optical density")
        robot.settle(0.3)
        viewer.reset_view()
        choose(dock, REGION)
        robot.click(dock, "Draw")
        drawn = viewer.layers[-1]
        robot.drag(drawn, (2, 5), (11, 30))
        assert len(drawn.data) == 1
        viewer.dims.set_current_step(0, 2)
        robot.wait(lambda: not dock.preview.busy, 20)
        assert dock.preview.density is not None
        assert dock.preview.density.incident == pytest.approx([LEVELS[2]], rel=0.02)
        robot.click(dock, "Make optical density")
        robot.wait(lambda: not dock.running and dock.made is not None, 20)
        made = dock.made
        assert made is not None
        expected = optical_density(image, region=made.request.region)
        np.testing.assert_array_equal(viewer.layers[-1].data, expected.image.data)
    finally:
        viewer.close()
