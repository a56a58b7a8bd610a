"""Outlining particles: labels advance by themselves, keys work where they should, and what is drawn is checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

napari = pytest.importorskip("napari")

from napari.components import ViewerModel  # noqa: E402
from napari.layers import Image, Labels, Layer, Shapes  # noqa: E402
from napari.utils.interactions import mouse_press_callbacks, mouse_release_callbacks  # noqa: E402
from qtpy.QtCore import Qt  # noqa: E402
from qtpy.QtTest import QTest  # noqa: E402
from qtpy.QtWidgets import QCheckBox, QLabel, QPushButton  # noqa: E402

from napari_nanoseg._gui.annotate import Annotate  # noqa: E402
from napari_nanoseg._gui.contributions import sample_annotated, sample_micrograph  # noqa: E402
from napari_nanoseg._gui.drawing import DELETE_KEYS, NEXT_KEY, drawing_of  # noqa: E402
from napari_nanoseg._gui.session import session_of  # noqa: E402
from napari_nanoseg.config.unet import UNetConfig  # noqa: E402
from napari_nanoseg.io.class_maps import open_class_maps  # noqa: E402
from napari_nanoseg.io.datasets import open_dataset  # noqa: E402
from napari_nanoseg.io.recovery import leftovers  # noqa: E402


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def make(viewer: ViewerModel, qtbot: Any) -> Callable[..., Annotate]:
    """Maker of the dock, after layers were added."""

    def made(layers: list[Any] | None = None) -> Annotate:
        for data in layers or []:
            viewer.add_layer(Layer.create(*data))
        dock = Annotate(viewer)
        qtbot.addWidget(dock)
        dock.show()
        return dock

    return made


def button(dock: Annotate, text: str) -> QPushButton:
    return next(one for one in dock.findChildren(QPushButton) if one.text().startswith(text))


def click(dock: Annotate, text: str) -> None:
    one = button(dock, text)
    assert one.isEnabled(), one.toolTip()
    QTest.mouseClick(one, Qt.MouseButton.LeftButton)


def said(dock: Annotate) -> str:
    texts = [label.text() for label in dock.findChildren(QLabel) if label.isVisible()]
    return "\n".join([*texts, *dock.panel.messages.texts("info"), *dock.panel.messages.texts("error")])


def until(qtbot: Any, condition: Callable[[], object]) -> None:
    qtbot.waitUntil(lambda: bool(condition()), timeout=30_000)


def square(layer: Labels, row: int, column: int, size: int = 20) -> None:
    """Draw a square as napari's polygon tool does."""
    corners = [[row, column], [row, column + size], [row + size, column + size], [row + size, column]]
    press(layer, row, column)
    polygon = layer._overlays["polygon"]
    polygon.points = corners
    polygon.add_polygon_to_labels(layer)


def press(layer: Labels, row: float, column: float) -> None:
    """Press and release the left button over a pixel of the layer."""
    position = layer.data_to_world((row, column))
    event = SimpleNamespace(
        position=position, view_direction=None, dims_displayed=[0, 1], button=1, type="mouse_press", modifiers=()
    )  # fmt: skip
    mouse_press_callbacks(layer, event)
    event.type = "mouse_release"
    mouse_release_callbacks(layer, event)


def hit(layer: Labels, key: str) -> None:
    """Press a key over the layer."""
    layer.keymap[next(one for one in layer.keymap if str(one) == key)](layer)


@pytest.fixture
def drawing(viewer: ViewerModel, make: Callable[..., Annotate]) -> tuple[Annotate, Labels]:
    """The dock with the sample micrograph and a new annotation."""
    dock = make(sample_micrograph())
    click(dock, "New annotation")
    return dock, viewer.layers["particles: annotated"]


def test_without_an_image_it_says_what_to_do(make: Callable[..., Annotate]) -> None:
    dock = make()
    assert "File > Open Sample" in said(dock)
    assert not button(dock, "New annotation").isEnabled()
    assert not button(dock, "Save").isEnabled()


def test_a_new_annotation_lies_on_its_image_ready_to_draw(
    drawing: tuple[Annotate, Labels], viewer: ViewerModel
) -> None:
    _, layer = drawing
    image = viewer.layers["particles"]
    assert layer.data.shape == image.data.shape
    np.testing.assert_array_equal(layer.scale, image.scale)
    assert (layer.units, layer.axis_labels) == (image.units, image.axis_labels)
    assert (str(layer.mode), layer.preserve_labels, layer.selected_label) == ("polygon", True, 1)
    assert layer.contour >= 2
    assert session_of(viewer).particles is layer
    assert viewer.layers.selection.active is layer


@pytest.mark.parametrize("options", [{"rgb": True}, {"multiscale": True}, {"translate": (7, 9)}])
def test_annotations_fit_images_of_many_kinds(
    viewer: ViewerModel, make: Callable[..., Annotate], options: dict[str, Any]
) -> None:
    data: Any = np.random.default_rng(0).random((64, 80, 3) if "rgb" in options else (64, 80))
    viewer.add_image([data, data[::2, ::2]] if "multiscale" in options else data, name="a", **options)
    click(make(), "New annotation")
    layer = viewer.layers["a: annotated"]
    assert layer.data.shape == (64, 80)
    np.testing.assert_array_equal(layer.translate, viewer.layers["a"].translate)


def test_of_a_stack_the_slice_that_is_shown_is_annotated(
    viewer: ViewerModel, make: Callable[..., Annotate], qtbot: Any
) -> None:
    data = np.random.default_rng(0).random((5, 64, 80))
    stack = viewer.add_image(data, name="tomo", scale=(50, 2.5, 2.5), units="nm", translate=(0, 10, 20))
    dock = make()
    assert "is a stack" in said(dock)
    assert not button(dock, "New annotation").isEnabled()
    viewer.dims.set_point(0, 3 * 50)
    click(dock, "Take the slice")
    until(qtbot, lambda: len(viewer.layers) == 2)
    taken = viewer.layers["tomo z3"]
    assert isinstance(taken, Image)
    np.testing.assert_array_equal(taken.data, data[3])
    np.testing.assert_array_equal(taken.scale, (2.5, 2.5))
    np.testing.assert_array_equal(taken.translate, (10, 20))
    assert not stack.visible
    click(dock, "New annotation")
    assert viewer.layers["tomo z3: annotated"].data.shape == (64, 80)


def test_every_polygon_is_another_particle(drawing: tuple[Annotate, Labels]) -> None:
    dock, layer = drawing
    for number in range(3):
        square(layer, 20, 20 + 21 * number)
        assert layer.selected_label == number + 2
    assert np.unique(layer.data).tolist() == [0, 1, 2, 3]
    dock._automatic.click()
    square(layer, 200, 20)
    square(layer, 200, 200)
    assert np.unique(layer.data).tolist() == [0, 1, 2, 3, 4]


def test_strokes_add_to_a_particle_and_begin_the_next_elsewhere(drawing: tuple[Annotate, Labels]) -> None:
    _, layer = drawing
    layer.mode = "paint"
    for row, column in [(50, 50), (50, 58), (58, 58), (200, 50), (208, 50)]:
        press(layer, row, column)
    assert layer.data[50, 50] == layer.data[50, 58] == layer.data[58, 58] == 1
    assert layer.data[200, 50] == layer.data[208, 50] == 2
    layer.undo()
    assert layer.data[208, 50 + 4] == 0, "one stroke is one step to take back"
    assert layer.data[200, 50] == 2


def test_the_eraser_and_the_bucket_change_no_label(drawing: tuple[Annotate, Labels]) -> None:
    _, layer = drawing
    square(layer, 20, 20)
    layer.selected_label = 1
    for mode in ("erase", "fill", "pick", "pan_zoom"):
        layer.mode = mode
        press(layer, 300, 300)
        assert layer.selected_label in (0, 1)


def test_keys_take_the_next_label_and_remove_one(drawing: tuple[Annotate, Labels], viewer: ViewerModel) -> None:
    _, layer = drawing
    square(layer, 20, 20)
    square(layer, 100, 20)
    layer.selected_label = 1
    hit(layer, NEXT_KEY)
    assert layer.selected_label == 3
    for key in DELETE_KEYS:
        viewer.cursor.position = layer.data_to_world((110, 30))
        hit(layer, key)
        assert np.unique(layer.data).tolist() == [0, 1]
        layer.undo()
        assert np.unique(layer.data).tolist() == [0, 1, 2]
    viewer.cursor.position = layer.data_to_world((300, 300))
    hit(layer, DELETE_KEYS[0])
    assert np.unique(layer.data).tolist() == [0, 1, 2]
    assert "no label under the cursor" in viewer.status


def test_keys_belong_to_the_chosen_annotation_only(drawing: tuple[Annotate, Labels], viewer: ViewerModel) -> None:
    _, layer = drawing
    other = viewer.add_labels(np.zeros((9, 9), np.int32))
    ours = {NEXT_KEY, *DELETE_KEYS}
    assert ours <= {str(key) for key in layer.keymap}
    assert not ours & {str(key) for key in (*other.keymap, *Labels.class_keymap)}
    callbacks = len(layer.mouse_drag_callbacks)
    session_of(viewer).put("particles", other)
    assert not ours & {str(key) for key in layer.keymap}
    assert len(layer.mouse_drag_callbacks) == callbacks - 1
    square(layer, 20, 20)
    assert layer.selected_label == 1
    assert ours <= {str(key) for key in other.keymap}


def test_two_docks_share_one_hand(viewer: ViewerModel, make: Callable[..., Annotate]) -> None:
    make(sample_micrograph())
    dock = make()
    click(dock, "New annotation")
    layer = viewer.layers["particles: annotated"]
    square(layer, 20, 20)
    assert layer.selected_label == 2
    assert drawing_of(session_of(viewer)) is drawing_of(session_of(viewer))


def test_it_counts_while_one_draws_and_undoes(drawing: tuple[Annotate, Labels], qtbot: Any) -> None:
    dock, layer = drawing
    until(qtbot, lambda: "No particles yet" in said(dock))
    square(layer, 20, 20, 40)
    until(qtbot, lambda: "1 particle, diameter" in said(dock))
    square(layer, 200, 200, 40)
    until(qtbot, lambda: "2 particles, median diameter 46.3 px (116 nm)" in said(dock))
    until(qtbot, lambda: "Only 2 particles are outlined" in said(dock))  # Qt shows new rows in its next turn
    layer.undo()
    until(qtbot, lambda: "1 particle, diameter" in said(dock))


def test_the_pixel_size_counts_as_soon_as_it_is_changed(
    drawing: tuple[Annotate, Labels], viewer: ViewerModel, qtbot: Any
) -> None:
    dock, layer = drawing
    square(layer, 20, 20, 40)
    until(qtbot, lambda: "(116 nm)" in said(dock))
    viewer.layers[0].scale = 2 * layer.scale
    until(qtbot, lambda: "(232 nm)" in said(dock) or "(231 nm)" in said(dock))


def test_a_sound_annotation_leads_to_the_next_steps(make: Callable[..., Annotate], qtbot: Any) -> None:
    dock = make(sample_annotated())
    until(qtbot, lambda: "8 particles, median diameter 56.1 px (140 nm), brighter than" in said(dock))
    until(qtbot, lambda: [b.text() for b in dock.findChildren(QPushButton) if b.text().startswith("Next")])
    with qtbot.waitSignal(dock.go_to) as gone:
        click(dock, "Next: Generate")
    assert gone.args == ["Generate"]
    assert not dock._findings.rows()


def test_findings_lead_to_their_place_and_are_mended(
    make: Callable[..., Annotate], viewer: ViewerModel, qtbot: Any
) -> None:
    dock = make(sample_annotated())
    layer = viewer.layers["particles: annotated"]
    layer.data_setitem((np.array([100, 101]), np.array([200, 200])), 77)
    until(qtbot, lambda: dock._findings.rows())
    (row,) = dock._findings.rows()
    QTest.mouseClick(row, Qt.MouseButton.LeftButton)
    assert layer.selected_label == 77
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], layer.data_to_world((100, 200)))
    assert viewer.layers.selection.active is layer
    assert not [b for b in dock.findChildren(QPushButton) if b.isVisible() and b.text().startswith("Next")]
    before = layer.data.copy()
    click(dock, "Mend")
    assert layer.data[100, 200] == 0
    assert "1 fragment was removed." in said(dock)
    until(qtbot, lambda: not dock._findings.rows())
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    until(qtbot, lambda: dock._findings.rows())


def test_findings_of_another_annotation_leave_at_once(
    drawing: tuple[Annotate, Labels], viewer: ViewerModel, qtbot: Any
) -> None:
    dock, layer = drawing
    square(layer, 10, 10)
    until(qtbot, lambda: "1 particle, diameter" in dock._summary.text())
    assert dock._findings.rows()
    other = viewer.add_labels(np.zeros_like(layer.data), name="other")
    dock.session.put("particles", other)
    assert dock._summary.text() == ""
    assert not dock._findings.rows()
    until(qtbot, lambda: "No particles yet" in said(dock))


def test_a_region_is_marked_with_rectangles(drawing: tuple[Annotate, Labels], viewer: ViewerModel, qtbot: Any) -> None:
    dock, layer = drawing
    square(layer, 20, 20, 40)
    click(dock, "Mark background")
    region = viewer.layers["particles: known region"]
    assert isinstance(region, Shapes)
    assert str(region.mode) == "add_rectangle"
    np.testing.assert_array_equal(region.scale, layer.scale)
    assert (region.units, region.axis_labels) == (layer.units, layer.axis_labels)
    session = session_of(viewer)
    assert (session.region, session.whole) == (region, False)
    until(qtbot, lambda: "enclose no pixel" in said(dock))
    region.add_rectangles([[[100, 0], [100, 90], [190, 90], [190, 0]]])
    until(qtbot, lambda: "enclose no pixel" not in said(dock) and "1 particle" in said(dock))
    click(dock, "Mark background")
    assert len([one for one in viewer.layers if isinstance(one, Shapes)]) == 1


def test_layers_that_do_not_fit_are_told(viewer: ViewerModel, make: Callable[..., Annotate], qtbot: Any) -> None:
    viewer.add_image(np.random.default_rng(0).random((64, 80)), name="a")
    viewer.add_labels(np.zeros((9, 9), np.int32), name="other")
    dock = make()
    until(qtbot, lambda: "The layer 'other' has 9 x 9 pixels" in said(dock))


def test_several_images_become_one_dataset(
    make: Callable[..., Annotate], viewer: ViewerModel, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, answers = tmp_path / "Daten ü", []
    monkeypatch.setattr("napari_nanoseg._gui.dataset_saving.ask", lambda *_: answers.pop())
    dock = make(sample_annotated())
    dock._folder.choose(folder)

    def save() -> None:
        with qtbot.waitSignal(dock.panel.ended, timeout=30_000):
            click(dock, "Save")

    save()
    assert "Saved 'particles' with 8 particles" in said(dock)
    assert session_of(viewer).dataset == folder
    answers.append("both")
    save()
    layer = viewer.layers["particles: annotated"]
    layer.data_setitem(np.nonzero(layer.data == 3), 0)
    answers.append("replace")
    save()
    assert "which has 2 images now" in said(dock)
    answers.append("cancel")
    click(dock, "Save")
    assert not dock.running
    dataset = open_dataset(folder)
    assert {name: len(sample.instances) for name, sample in zip(dataset.names, dataset, strict=True)} == {
        "particles": 7,
        "particles 2": 8,
    }
    saved = dataset[dataset.names.index("particles")]
    assert saved.known is not None
    np.testing.assert_array_equal(saved.instances.to_labels(), layer.data)


def test_what_was_saved_is_not_offered_again(
    drawing: tuple[Annotate, Labels], viewer: ViewerModel, qtbot: Any, tmp_path: Path
) -> None:
    dock, layer = drawing
    square(layer, 20, 20, 40)
    dock._recovery.write_now()
    (folder,) = {path.parent for path in (tmp_path / "home").rglob("*.npz")}
    dock._folder.choose(tmp_path / "data")
    with qtbot.waitSignal(dock.panel.ended, timeout=30_000):
        click(dock, "Save")
    until(qtbot, lambda: not folder.exists())
    viewer.layers.remove(layer)
    assert leftovers() == ([], [])


def test_a_folder_that_cannot_be_written_is_a_sentence(
    make: Callable[..., Annotate], qtbot: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    dock = make(sample_annotated())
    dock._folder.choose(tmp_path / "file" / "data")
    with qtbot.waitSignal(dock.panel.ended, timeout=30_000):
        click(dock, "Save")
    assert "a part of the path is a file" in said(dock)
    dock._folder.choose(None)
    assert not button(dock, "Save").isEnabled()


def test_a_layer_that_is_removed_leaves_nothing_behind(
    drawing: tuple[Annotate, Labels], viewer: ViewerModel, qtbot: Any
) -> None:
    dock, layer = drawing
    square(layer, 20, 20, 40)
    viewer.layers.remove(layer)
    assert "Make a new annotation" in said(dock)
    assert not button(dock, "Save").isEnabled()
    viewer.layers.clear()
    assert "File > Open Sample" in said(dock)


def scribble(dock: Annotate, viewer: ViewerModel, name: str) -> Labels:
    """Choose scribbling, and paint background and a crack."""
    box = next(one for one in dock.findChildren(QCheckBox) if one.text().startswith("Scribble"))
    box.click()
    click(dock, "New scribbles")
    layer = viewer.layers[name]
    plane = layer.data[1] if layer.data.ndim == 3 else layer.data
    plane[2:4], plane[6:8, :20] = 1, 2
    layer.refresh()
    return layer


def test_scribbles_of_classes_on_a_stack_are_saved_for_a_unet(
    viewer: ViewerModel, make: Callable[..., Annotate], qtbot: Any, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 30, 40), dtype=np.uint8)
    dock = make([(pixels, {"name": "cathode"}, "image")])
    assert "is a stack" in said(dock)
    layer = scribble(dock, viewer, "cathode: scribbles")
    assert layer.data.shape == pixels.shape
    assert str(layer.mode) == "paint"
    assert layer.selected_label == 2
    assert "sparse labels" in said(dock)
    assert not button(dock, "Propose").isVisible()
    assert not button(dock, "Mark").isVisible()
    until(qtbot, lambda: "background (1): 80 px, class 1 (2): 40 px" in said(dock))
    # Qt shows a new button when it comes to it, and one offered before lives on, hidden, until then.
    until(
        qtbot,
        lambda: any(one.isVisible() for one in dock.findChildren(QPushButton) if one.text() == "Next: Train"),
    )
    dock._folder.choose(tmp_path / "data")
    click(dock, "Save")
    until(qtbot, lambda: "Saved 'cathode'" in said(dock))
    (sample,) = open_class_maps(tmp_path / "data", UNetConfig(labels="sparse", dimensions="3d"))
    np.testing.assert_array_equal(sample.classes, layer.data - 1)
    np.testing.assert_array_equal(sample.image.data, pixels)


def test_the_brush_goes_on_with_its_class(viewer: ViewerModel, make: Callable[..., Annotate]) -> None:
    dock = make([(np.eye(60, dtype=np.uint8), {"name": "slice"}, "image")])
    layer = scribble(dock, viewer, "slice: scribbles")
    press(layer, 40, 40)
    press(layer, 50, 10)
    assert layer.selected_label == 2
    assert layer.data[50, 10] == 2
    box = next(one for one in dock.findChildren(QCheckBox) if one.text().startswith("Scribble"))
    box.click()
    assert drawing_of(session_of(viewer)).automatic
    assert button(dock, "New annotation").isVisible()
