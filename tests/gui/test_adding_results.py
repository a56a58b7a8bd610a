"""Results of the Python API as layers, and layers as images and particles."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Shapes

import napari_nanoseg as ns
from napari_nanoseg.samples import Sample

SIZE = ns.Calibration((5.0, 2.0, 2.0))


@pytest.fixture
def sample(make_sample: Callable[..., Sample]) -> Sample:
    return make_sample("discs", 1)


@pytest.fixture
def overlapping() -> ns.Instances:
    masks = [np.ones((8, 8), bool), np.ones((6, 9), bool), np.ones((3, 3), bool)]
    boxes = [(2, 2, 10, 10), (6, 6, 12, 15), (20, 20, 23, 23)]
    return ns.Instances.from_masks((30, 40), boxes, masks, scores=[0.9, 0.7, 0.5], classes=[0, 1, 1], ids=[4, 2, 9])


def unit(layer: Any) -> tuple[list[float], list[str]]:
    return list(layer.scale), [str(one) for one in layer.units]


def same(one: ns.Instances, other: ns.Instances) -> bool:
    return (
        one.shape == other.shape
        and all(
            np.array_equal(getattr(one, name), getattr(other, name)) for name in ("boxes", "scores", "classes", "ids")
        )
        and all(map(np.array_equal, one.masks, other.masks))
    )


def test_an_image_and_its_particles_lie_on_each_other(sample: Sample) -> None:
    viewer = ViewerModel()
    below = sample.image.add_to(viewer, colormap="viridis")
    above = sample.instances.add_to(viewer)
    assert isinstance(below, ImageLayer)
    assert isinstance(above, Labels)
    assert [layer.name for layer in viewer.layers] == ["discs", "particles"]
    assert unit(below) == unit(above) == ([2.0, 2.0], ["nanometer", "nanometer"])
    assert below.colormap.name == "viridis"
    assert above.contour > 0
    assert list(above.features.columns) == ["index", "class", "score", "area_px"]


def test_without_an_image_of_the_same_shape_the_pixel_size_is_not_known(sample: Sample) -> None:
    viewer = ViewerModel()
    sample.image.add_to(viewer)
    other = ns.Instances.from_labels(np.eye(20, dtype=int)).add_to(viewer)
    assert unit(other) == ([1.0, 1.0], ["pixel", "pixel"])
    given = sample.instances.add_to(ViewerModel(), image=ns.Calibration.of(3.0))
    assert unit(given) == ([3.0, 3.0], ["nanometer", "nanometer"])


def test_particles_lie_on_a_moved_layer(sample: Sample) -> None:
    viewer = ViewerModel()
    moved = viewer.add_image(sample.image.data, scale=(7, 7), units=("nm", "nm"), translate=(30, 50))
    layer = sample.instances.add_to(viewer, image=moved, name="found", visible=False)
    assert list(layer.translate) == [30, 50]
    assert (layer.name, layer.visible) == ("found", False)


def test_overlaps_are_outlined_and_remembered(overlapping: ns.Instances) -> None:
    viewer = ViewerModel()
    layer = overlapping.add_to(viewer, image=ns.Calibration.of(2.0))
    outlines = viewer.layers["particles: overlaps"]
    assert isinstance(outlines, Shapes)
    assert len(outlines.data) == 2
    assert unit(outlines) == unit(layer)
    assert viewer.layers.selection.active is layer
    assert same(ns.from_layer(layer), overlapping)


def test_layers_and_back(sample: Sample, overlapping: ns.Instances) -> None:
    image = ns.from_layer(ns.to_layer(sample.image, name="grey", opacity=0.5))
    assert (image.axes, image.calibration, image.source) == ("YX", sample.image.calibration, "grey")
    np.testing.assert_array_equal(image, sample.image)
    stack = ns.Image(np.arange(24).reshape(2, 3, 4), "ZYX", SIZE)
    assert ns.from_layer(ns.to_layer(stack)).calibration == SIZE
    layer = ns.to_layer(overlapping, image=ns.Calibration.of(2.0))
    assert same(ns.from_layer(layer), overlapping)
    assert ns.calibration_of(layer) == ns.Calibration.of(2.0)
    layer.paint((25, 35), 11)
    assert set(ns.from_layer(layer).ids) == {2, 4, 9, 11}


def test_particles_of_a_stack() -> None:
    labels = np.zeros((2, 20, 30), int)
    labels[:, 4:9, 5:11] = 3
    image = ns.Image(labels.astype(np.uint8), "ZYX", SIZE, "stack")
    viewer = ViewerModel()
    image.add_to(viewer)
    layer = ns.Instances.from_labels(labels).add_to(viewer)
    assert unit(layer) == ([5.0, 2.0, 2.0], ["nanometer"] * 3)
    assert same(ns.from_layer(layer), ns.Instances.from_labels(labels))


def test_the_table_of_the_particles_is_shown(sample: Sample) -> None:
    table = ns.measure(sample.instances, image=sample.image)
    layer = sample.instances.add_to(ViewerModel(), image=sample.image, table=table)
    assert list(layer.features["index"]) == list(sample.instances.ids)
    assert "equivalent_diameter_nm" in layer.features
    assert "equivalent_diameter_nm" in ns.to_layer(sample.instances, image=sample.image, table=table).features


def test_a_volume_is_not_read_as_a_whole() -> None:
    read: list[Any] = []

    class Voxels:
        shape, dtype = (4, 30, 20), np.dtype(np.uint8)

        def __getitem__(self, key: Any) -> Any:
            read.append(key)
            return np.zeros(self.shape, np.uint8)[key]

    volume = ns.Volume(Voxels(), SIZE, "scan.tif")
    layer = volume.add_to(ViewerModel())
    assert layer.name == "scan"
    assert unit(layer) == ([5.0, 2.0, 2.0], ["nanometer"] * 3)
    assert all(isinstance(key, tuple) and key[0].stop - key[0].start == 1 for key in read)
    assert ns.to_layer(volume).data.shape == (4, 30, 20)


def test_a_comparison_is_shown_in_three_layers(sample: Sample) -> None:
    viewer = ViewerModel()
    prediction = ns.Instances.from_labels(np.roll(sample.instances[2:].to_labels(), 1))
    evaluation = ns.evaluate(sample.instances, prediction)
    layers = evaluation.add_to(viewer, sample.instances, prediction, image=sample.image)
    assert [len(np.unique(layer.data)) - 1 for layer in layers] == [
        evaluation.true_positives, evaluation.false_positives, evaluation.false_negatives,
    ]  # fmt: skip
    assert evaluation.false_negatives == 2
    assert unit(layers[0]) == ([2.0, 2.0], ["nanometer", "nanometer"])
    colours = {tuple(np.round(layer.get_color(int(layer.data.max())), 2)) for layer in layers if layer.data.any()}
    assert len(colours) == sum(bool(layer.data.any()) for layer in layers)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda sample: sample.instances.add_to("viewer"), "'viewer' is 'viewer'"),
        (lambda sample: sample.image.add_to(None), "'viewer' is None"),
        (lambda sample: sample.image.add_to(ViewerModel(), colour="red"), "does not take these options"),
        (lambda sample: ns.to_layer(sample.image, colour="red"), "does not take these options"),
        (lambda sample: sample.instances.add_to(ViewerModel(), image=2.5), "'image' is 2.5"),
        (lambda sample: sample.instances.add_to(ViewerModel(), image=ns.Image(np.eye(9))), "shape (9, 9)"),
        (lambda sample: ns.to_layer(sample.image, table=3), "belong to particles"),
        (lambda sample: ns.to_layer(3), "'result' is 3"),
        (lambda sample: ns.from_layer(Shapes(name="drawn")), "'drawn' is a shapes layer"),
        (lambda sample: ns.from_layer(3), "'layer' is 3"),
    ],
)
def test_what_cannot_be_shown_is_named(sample: Sample, call: Callable[[Sample], object], sentence: str) -> None:
    with pytest.raises(ns.NanosegError) as told:
        call(sample)
    assert sentence in str(told.value)


def test_results_know_nothing_of_napari_until_they_are_shown_and_its_absence_is_told() -> None:
    script = (
        "import sys; import numpy as np; import napari_nanoseg as ns; ns.Instances; ns.Image; ns.Evaluation;"
        "assert 'napari' not in sys.modules;"
        "sys.modules['napari'] = None\n"
        "try: ns.to_layer\n"
        "except AttributeError as error: print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "to_layer needs napari, which is not installed; install it with: pip install" in found.stdout
