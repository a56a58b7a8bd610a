"""Layers carry scale, units, names and features into napari."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nanoseg import Calibration, Image, Instances, Sample, evaluate, measure

napari = pytest.importorskip("napari")

from napari.components import ViewerModel  # noqa: E402
from napari.layers import Layer  # noqa: E402

from napari_nanoseg._gui.layers import error_layers, image_layer, labels_layer, sample_layers  # noqa: E402
from napari_nanoseg._gui.show import fill  # noqa: E402

CALIBRATION = Calibration((2.5, 2.5))


def squares(*corners: tuple[int, int], size: int = 6) -> Instances:
    labels = np.zeros((40, 50), dtype=np.int32)
    for index, (row, column) in enumerate(corners, start=1):
        labels[row : row + size, column : column + size] = index
    return Instances.from_labels(labels)


@pytest.mark.parametrize(
    ("shape", "axes", "sizes", "labels", "scale"),
    [
        ((8, 9), "YX", (2.5, 2.5), ("y", "x"), (2.5, 2.5)),
        ((8, 9), "YX", None, ("y", "x"), (1, 1)),
        ((8, 9, 3), "YXC", (2.5, 2.5), ("y", "x"), (2.5, 2.5)),
        ((8, 9, 2), "YXC", (2.5, 2.5), ("c", "y", "x"), (1, 2.5, 2.5)),
        ((4, 8, 9), "ZYX", (50.0, 2.5, 2.5), ("z", "y", "x"), (50, 2.5, 2.5)),
        ((4, 8, 9), "TYX", (2.5, 2.5), ("t", "y", "x"), (1, 2.5, 2.5)),
    ],
)
def test_an_image_becomes_a_layer_with_its_scale(
    shape: tuple[int, ...],
    axes: str,
    sizes: tuple[float, ...] | None,
    labels: tuple[str, ...],
    scale: tuple[float, ...],
) -> None:
    data = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    layer = Layer.create(*image_layer(Image(data, axes, Calibration(sizes), "a.tif"), "a"))
    assert layer.axis_labels == labels
    np.testing.assert_array_equal(layer.scale, scale)
    expected = "nanometer" if sizes else "pixel"
    assert str(layer.units[-1]) == expected
    assert layer.metadata["source"] == "a.tif"


def test_each_row_of_features_belongs_to_its_label() -> None:
    particles = squares((2, 2), (20, 30))[[1]]
    table = measure(particles, CALIBRATION)
    layer = Layer.create(*labels_layer(particles, CALIBRATION, "found", table=table))
    assert layer.features["index"].tolist() == [2]
    status = layer.get_status((22 * 2.5, 32 * 2.5), world=True)["coordinates"]
    assert "area_nm2: 225" in status


def test_errors_are_shown_where_they_are() -> None:
    truth, prediction = squares((2, 2), (20, 30)), squares((2, 3), (30, 5))
    layers = [Layer.create(*each) for each in error_layers(truth, prediction, evaluate(truth, prediction), CALIBRATION)]
    right, wrong, missed = (layer.data > 0 for layer in layers)
    np.testing.assert_array_equal(right, prediction.to_labels() == 1)
    np.testing.assert_array_equal(wrong, prediction.to_labels() == 2)
    np.testing.assert_array_equal(missed, truth.to_labels() == 2)
    colours = {tuple(layer.get_color(int(layer.data.max()))) for layer in layers}
    assert len(colours) == 3
    assert [layer.name.split()[-2:] for layer in layers] == [["1", "TP"], ["1", "FP"], ["1", "FN"]]


def test_all_layers_of_a_viewer_share_nanometres() -> None:
    image = Image(np.random.default_rng(0).random((40, 50)), calibration=CALIBRATION)
    known = np.ones((40, 50), dtype=bool)
    viewer = ViewerModel()
    fill(viewer, sample_layers(Sample(image, squares((2, 2)), known, "wires")), filled=["wires: known region"])
    assert [layer.name for layer in viewer.layers] == ["wires", "wires: annotated", "wires: known region"]
    assert {str(unit) for layer in viewer.layers for unit in layer.units} == {"nanometer"}
    assert [layer.visible for layer in viewer.layers] == [True, True, False]
    assert viewer.layers["wires: annotated"].contour > 0
    assert viewer.layers["wires: known region"].contour == 0
    assert viewer.canvas.overlays.scale_bar.visible
