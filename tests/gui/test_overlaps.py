"""Results with overlaps in the Segment dock: labels, outlines, whole areas, and a COCO file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer, Shapes
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QFileDialog

from napari_nanoseg._gui import segmenting
from napari_nanoseg._gui.layers import image_layer, instances_of
from napari_nanoseg._gui.measuring import measure_layers
from napari_nanoseg._gui.segment import Segment
from napari_nanoseg._gui.settings import Settings
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.measure import MeasureConfig
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.base import Found
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.datasets import write_coco
from napari_nanoseg.io.images import write_image
from napari_nanoseg.samples import Image

SHAPE = 90, 120


def disc(radius: int) -> np.ndarray[Any, Any]:
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return rows**2 + columns**2 <= radius**2


def overlapping_discs() -> Instances:
    """Three in a chain and one apart, of falling score; the middle one is the surest."""
    boxes = [[20, left, 41, left + 21] for left in (10, 25, 40, 80)]
    return Instances.from_masks(SHAPE, boxes, [disc(10)] * 4, scores=[0.6, 0.9, 0.5, 0.7], ids=[3, 7, 2, 9])


class Chooser(Found):
    """Objects by score alone, of a plane or of a stack of two."""

    floor = 0.0

    def __init__(self, config: SegmentConfig, *, stack: bool) -> None:
        self.config, self._stack = config.model_copy(update={"probability": config.probability or 0.1}), stack

    def instances(self, config: SegmentConfig | None = None) -> Instances:
        found = overlapping_discs()
        found = found[found.scores >= ((config or self.config).probability or 0.1)]
        if not self._stack:
            return found
        boxes = np.insert(np.insert(found.boxes, 2, 2, axis=1), 0, 1, axis=1)
        return Instances.from_masks((2, *SHAPE), boxes, [mask[None] for mask in found.masks], found.scores)


class Model:
    """Finds the same in every image."""

    def runs_on(self, wish: str) -> tuple[str, str]:
        return "cpu", "Using the CPU."

    def detect(self, image: Image, config: SegmentConfig, floor: float) -> Found:
        return Chooser(config, stack=image.planes > 1)


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def dock(viewer: ViewerModel, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Segment:
    chosen = Settings("cpu", tmp_path / "models", 0)
    monkeypatch.setattr("napari_nanoseg._gui.segment.settings", lambda: chosen)
    monkeypatch.setattr("napari_nanoseg._gui.model_picker.settings", lambda: chosen)
    monkeypatch.setattr(segmenting, "loaded", lambda _: Model())
    made = Segment(viewer)
    qtbot.addWidget(made)
    return made


def show(viewer: ViewerModel, tmp_path: Path, *, planes: int = 1) -> ImageLayer:
    pixels = np.random.default_rng(0).integers(0, 255, (planes, *SHAPE)).astype(np.uint8)
    image = Image(pixels if planes > 1 else pixels[0], "ZYX" if planes > 1 else "YX", Calibration.of(2.5))
    write_image(tmp_path / "a.tif", image)
    data, options, kind = image_layer(image, "a")
    options["metadata"] = {"source": str(tmp_path / "a.tif")}
    return viewer.add_layer(Layer.create(data, options, kind))


def run(dock: Segment, qtbot: QtBot, button: Any = None) -> None:
    with qtbot.waitSignal(dock.panel.ended, timeout=60_000):
        (button or dock.panel.start_button).click()


def outlines(viewer: ViewerModel) -> list[Shapes]:
    return [layer for layer in viewer.layers if isinstance(layer, Shapes)]


def test_overlapping_particles_are_outlined_on_their_labels(
    dock: Segment, viewer: ViewerModel, qtbot: QtBot, tmp_path: Path
) -> None:
    show(viewer, tmp_path)
    run(dock, qtbot)
    labels, shapes = viewer.layers["a: particles"], viewer.layers["a: overlaps"]
    assert isinstance(labels, Labels)
    assert isinstance(shapes, Shapes)
    expected = overlapping_discs()
    np.testing.assert_array_equal(labels.data, expected.to_labels())
    assert labels.data[30, 35] == 7, "the surest is on top"
    assert shapes.nshapes == 3
    assert Instances.from_polygons(shapes.data, SHAPE).areas.tolist() == expected.areas[:3].tolist()
    np.testing.assert_allclose(shapes.edge_color, [labels.get_color(label) for label in (3, 7, 2)], atol=1e-6)
    assert not shapes.face_color[:, 3].any()
    for name in ("scale", "translate"):
        np.testing.assert_array_equal(getattr(shapes, name), getattr(labels, name))
    assert (shapes.units, shapes.axis_labels) == (labels.units, labels.axis_labels)
    assert viewer.layers.selection.active is labels
    assert dock.session.prediction is labels
    messages = " ".join(dock.panel.messages.texts("info"))
    assert "4 particles found. 3 overlap and are outlined" in messages


def test_outlines_follow_thresholds_and_colours_and_stay_away_when_removed(
    dock: Segment, viewer: ViewerModel, qtbot: QtBot, tmp_path: Path
) -> None:
    show(viewer, tmp_path)
    run(dock, qtbot)
    (shapes,), labels = outlines(viewer), viewer.layers["a: particles"]

    def threshold(value: float) -> None:
        dock.thresholds.probability.spin.setValue(value)
        qtbot.waitUntil(lambda: not dock._rethreshold.busy, timeout=20_000)

    threshold(0.55)
    assert shapes.nshapes == 2
    labels.new_colormap(seed=3)
    np.testing.assert_allclose(shapes.edge_color, [labels.get_color(label) for label in (3, 7)], atol=1e-6)
    threshold(0.65)
    assert shapes.nshapes == 0
    threshold(0.2)
    assert shapes.nshapes == 3
    viewer.layers.remove(shapes)
    threshold(0.55)
    assert outlines(viewer) == []


def test_stacks_are_outlined_slice_by_slice(dock: Segment, viewer: ViewerModel, qtbot: QtBot, tmp_path: Path) -> None:
    show(viewer, tmp_path, planes=2)
    run(dock, qtbot)
    (shapes,) = outlines(viewer)
    assert shapes.ndim == 3
    assert [set(vertices[:, 0].tolist()) for vertices in shapes.data] == [{1.0}] * 3
    assert not dock.coco_button.isEnabled(), "a COCO file holds no stack"


def test_areas_are_whole_until_somebody_paints(
    dock: Segment, viewer: ViewerModel, qtbot: QtBot, tmp_path: Path
) -> None:
    layer = show(viewer, tmp_path)
    run(dock, qtbot)
    labels = viewer.layers["a: particles"]
    table = measure_layers(labels, layer, MeasureConfig()).table
    assert table["area"].tolist() == overlapping_discs().areas.tolist()
    assert table["overlapping"].tolist() == [True, True, True, False]
    assert labels.features["overlapping"].tolist() == [True, True, True, False]
    labels.data_setitem((np.array([0]), np.array([0])), 50)
    edited = measure_layers(labels, layer, MeasureConfig()).table
    assert not edited["overlapping"].any()
    assert edited["area"].sum() == np.count_nonzero(labels.data)


def test_saved_as_coco(
    dock: Segment, viewer: ViewerModel, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(viewer, tmp_path)
    assert not dock.coco_button.isEnabled()
    run(dock, qtbot)
    path = tmp_path / "all.json"
    write_coco(path, {"other": overlapping_discs()[:1]})
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "all"), ""))
    (tmp_path / "all").mkdir()  # only the name with the suffix counts
    run(dock, qtbot, dock.coco_button)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert [image["file_name"] for image in content["images"]] == ["other.tif", "a.tif"]
    mine = [one for one in content["annotations"] if one["image_id"] == content["images"][1]["id"]]
    back = Instances.from_coco(mine, SHAPE)
    assert back.areas.tolist() == overlapping_discs().areas.tolist()
    assert back.ids.tolist() == [3, 7, 2, 9]
    record = yaml.safe_load((tmp_path / "all.json.run.yaml").read_text(encoding="utf-8"))
    assert "edited" not in record
    labels = viewer.layers["a: particles"]
    labels.data_setitem((np.array([0]), np.array([0])), 50)
    run(dock, qtbot, dock.coco_button)
    assert yaml.safe_load((tmp_path / "all.json.run.yaml").read_text(encoding="utf-8"))["edited"] is True
    assert len(instances_of(labels)) == 5
    path.write_text("no COCO", encoding="utf-8")
    run(dock, qtbot, dock.coco_button)
    assert dock.panel.messages.texts("error")
    assert path.read_text(encoding="utf-8") == "no COCO"


def test_without_overlaps_there_is_no_second_layer(
    dock: Segment, viewer: ViewerModel, qtbot: QtBot, tmp_path: Path
) -> None:
    show(viewer, tmp_path)
    dock.thresholds.probability.spin.setValue(0.65)
    run(dock, qtbot)
    assert outlines(viewer) == []


def test_outlines_go_with_their_labels(dock: Segment, viewer: ViewerModel, qtbot: QtBot, tmp_path: Path) -> None:
    show(viewer, tmp_path)
    run(dock, qtbot)
    viewer.layers.remove(viewer.layers["a: particles"])
    qtbot.waitUntil(lambda: not outlines(viewer))
    assert [layer.name for layer in viewer.layers] == ["a"]


def test_outlines_that_were_changed_stay(dock: Segment, viewer: ViewerModel, qtbot: QtBot, tmp_path: Path) -> None:
    show(viewer, tmp_path)
    run(dock, qtbot)
    (shapes,) = outlines(viewer)
    shapes.add_rectangles(np.array([[0, 0], [9, 9]]))
    viewer.layers.remove(viewer.layers["a: particles"])
    qtbot.wait(50)
    assert outlines(viewer) == [shapes]


def test_all_layers_are_removed_at_once(dock: Segment, viewer: ViewerModel, qtbot: QtBot, tmp_path: Path) -> None:
    show(viewer, tmp_path)
    run(dock, qtbot)
    viewer.layers.clear()
    qtbot.wait(50)
    assert not viewer.layers


def test_outlines_of_labels_that_were_painted_go_too(
    dock: Segment, viewer: ViewerModel, qtbot: QtBot, tmp_path: Path
) -> None:
    """They speak of what was found; a result after it has its own."""
    show(viewer, tmp_path)
    run(dock, qtbot)
    first = viewer.layers["a: particles"]
    assert isinstance(first, Labels)
    first.data_setitem((np.array([0]), np.array([0])), 77)
    first.events.paint(value=[])
    run(dock, qtbot)
    assert len(outlines(viewer)) == 2
    viewer.layers.remove(first)
    qtbot.waitUntil(lambda: len(outlines(viewer)) == 1)
