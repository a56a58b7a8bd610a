"""Whatever layer holds an image or labels, the same pixels and sizes come out of it, or one sentence that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_nanoseg import Calibration, Image, Instances, NanosegError, measure
from napari_nanoseg.io.images import write_image

pytest.importorskip("napari")

import dask.array as da
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer, Points, Shapes, Vectors

from napari_nanoseg._gui.layers import (
    calibration_of,
    image_layer,
    image_of,
    instances_of,
    labels_layer,
    labels_of,
    record_of,
    sample_of,
    source_of,
    unchanged,
    update_labels,
)

RNG = np.random.default_rng(0)


def pixels(*shape: int, dtype: str = "u1") -> np.ndarray:
    return RNG.integers(0, 200, shape).astype(dtype)


def overlapping(shape: tuple[int, int] = (30, 40)) -> Instances:
    square = np.ones((10, 10), dtype=bool)
    return Instances.from_masks(shape, [[2, 2, 12, 12], [8, 8, 18, 18]], [square, square], scores=[0.9, 0.5])


class OnDisk:
    """An array that lies on a disk: counts what is read."""

    def __init__(self, data: np.ndarray, fails: bool = False):
        self.data, self.fails, self.read = data, fails, 0
        self.shape, self.dtype, self.ndim = data.shape, data.dtype, data.ndim

    def __getitem__(self, index: Any) -> np.ndarray:
        if self.fails:
            raise OSError("the disk was pulled out")
        part = self.data[index]
        self.read += part.size
        return part


@pytest.mark.parametrize(
    ("shape", "options", "axes", "plane"),
    [
        ((8, 9), {}, "YX", (8, 9)),
        ((8, 9, 3), {"rgb": True}, "YXC", (8, 9)),
        ((8, 9, 4), {"rgb": True}, "YXC", (8, 9)),
        ((5, 8, 9), {}, "ZYX", (8, 9)),
        ((5, 8, 9, 3), {"rgb": True}, "ZYXC", (8, 9)),
        ((5, 8, 9), {"axis_labels": ("time", "y", "x")}, "TYX", (8, 9)),
        ((5, 8, 9), {"axis_labels": ("t", "y", "x")}, "TYX", (8, 9)),
        ((5, 8, 9), {"units": ("s", "nm", "nm")}, "TYX", (8, 9)),
        ((2, 8, 9), {"axis_labels": ("c", "y", "x")}, "YXC", (8, 9)),
        ((1, 8, 9), {}, "YX", (8, 9)),
        ((1, 1, 8, 9), {}, "YX", (8, 9)),
        ((1, 5, 8, 9), {}, "ZYX", (8, 9)),
        ((5, 1, 8, 9), {"axis_labels": ("t", "z", "y", "x")}, "TYX", (8, 9)),
        ((1, 9), {}, "YX", (1, 9)),
    ],
)
def test_axes_come_from_shape_and_labels(
    shape: tuple[int, ...], options: dict[str, Any], axes: str, plane: tuple[int, int]
) -> None:
    data = pixels(*shape)
    image = image_of(ImageLayer(data, name="a", **options))
    assert image.axes == axes
    assert image.plane_shape == plane
    assert image.source == "a"
    assert sorted(np.asarray(image.data).ravel()) == sorted(data.ravel())


@pytest.mark.parametrize("dtype", ["bool", "u1", "u2", "i4", "u8", ">u2", ">f4", "f2", "f4", "f8"])
def test_every_type_of_pixel_is_taken_in_native_order(dtype: str) -> None:
    data = pixels(8, 9).astype(dtype)
    image = image_of(ImageLayer(data))
    assert image.data.dtype.isnative
    assert image.data.dtype != np.float16
    np.testing.assert_array_equal(image.data, data)


def test_the_finest_of_several_scales_is_taken() -> None:
    fine = pixels(64, 80)
    layer = ImageLayer([fine, fine[::2, ::2]], multiscale=True, scale=(2, 2), units="nm")
    image = image_of(layer)
    np.testing.assert_array_equal(image.data, fine)
    assert image.calibration == Calibration((2.0, 2.0))
    labels = np.kron(np.arange(20, dtype="i4").reshape(4, 5), np.ones((16, 16), "i4"))
    np.testing.assert_array_equal(labels_of(Labels([labels, labels[::2, ::2]], multiscale=True)), labels)


def test_colours_that_are_all_the_same_are_grey_as_in_files() -> None:
    grey = pixels(8, 9)
    opaque = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    image = image_of(ImageLayer(opaque, rgb=True))
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.data, grey)


@pytest.mark.parametrize("wrap", [da.from_array, OnDisk], ids=["dask", "on disk"])
def test_what_is_not_in_memory_stays_where_it_is(wrap: Callable[..., Any]) -> None:
    stack = pixels(4, 8, 9)
    stored = wrap(stack)
    layer = ImageLayer(stored, contrast_limits=(0, 255), name="stack")
    before = getattr(stored, "read", 0)
    image = image_of(layer)
    assert isinstance(image.data, da.Array)
    assert getattr(stored, "read", 0) == before
    plane = image.plane(2).data
    assert isinstance(plane, np.ndarray)
    np.testing.assert_array_equal(plane, stack[2])
    assert getattr(stored, "read", 0) <= before + stack[2].size


def test_a_disk_that_fails_is_one_sentence() -> None:
    stored = OnDisk(pixels(4, 8, 9))
    layer = ImageLayer(stored, contrast_limits=(0, 255), name="stack")
    stored.fails = True
    with pytest.raises(NanosegError, match=r"stack: .*pulled out"):
        image_of(layer).plane(0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Points(np.zeros((3, 2)), name="dots"), "'dots' is a points layer"),
        (lambda: Shapes(name="drawn"), "'drawn' is a shapes layer"),
        (lambda: Labels(np.zeros((4, 5), int), name="found"), "'found' is a labels layer"),
        (lambda: Vectors(np.zeros((3, 2, 2)), name="arrows"), "'arrows' is a vectors layer"),
        (lambda: ImageLayer(pixels(2, 3, 8, 9), name="4-D"), "'4-D' has 4 dimensions .2 x 3 x 8 x 9."),
        (lambda: ImageLayer(pixels(2, 2, 3, 8, 9), name="5-D"), "'5-D' has 5 dimensions"),
        (lambda: ImageLayer(pixels(8, 9, 2), axis_labels=("y", "x", "c"), name="last"), "'last' has the axes y, x, c"),
    ],
)
def test_what_is_no_image_is_refused_by_name(make: Callable[[], Layer], words: str) -> None:
    with pytest.raises(NanosegError, match=words):
        image_of(make())


@pytest.mark.parametrize(
    ("data", "words"),
    [(np.zeros((8, 9), complex), "waves: pixels of type complex128"), (np.zeros((0, 9)), "waves: the image is empty")],
)
def test_pixels_that_napari_itself_does_not_show_are_refused_by_name(data: np.ndarray, words: str) -> None:
    layer = ImageLayer(pixels(8, 9), name="waves")
    layer._data = data
    with pytest.raises(NanosegError, match=words):
        image_of(layer)


def test_what_is_not_labels_is_refused_by_name() -> None:
    with pytest.raises(NanosegError, match="'a' is an image layer, not a labels layer"):
        labels_of(ImageLayer(pixels(8, 9), name="a"))
    with pytest.raises(NanosegError, match="'b' has 4 dimensions"):
        labels_of(Labels(np.zeros((2, 2, 4, 5), int), name="b"))


@pytest.mark.parametrize(
    ("scale", "units", "expected"),
    [
        ((2.5, 2.5), "nm", (2.5, 2.5)),
        ((0.0025, 0.0025), "um", (2.5, 2.5)),
        ((0.0025, 0.0025), "µm", (2.5, 2.5)),
        ((2.5e-6, 2.5e-6), "mm", (2.5, 2.5)),
        ((2.5e-9, 2.5e-9), "m", (2.5, 2.5)),
        ((2, 2), "km", (2e12, 2e12)),
        ((25, 25), "angstrom", (2.5, 2.5)),
        ((2, 3), ("nm", "um"), (2, 3000)),
        ((-2.5, 2.5), "nm", (2.5, 2.5)),
        ((2.5, 2.5), "pixel", None),
        ((2.5, 2.5), None, None),
        ((1, 1), None, None),
        ((1, 1), "s", None),
        ((1, 1), ("nm", "pixel"), None),
    ],
)
def test_units_become_nanometres(scale: Any, units: Any, expected: tuple[float, ...] | None) -> None:
    found = calibration_of(ImageLayer(pixels(8, 9), scale=scale, units=units)).pixel_size_nm
    assert found == (expected if expected is None else pytest.approx(expected, rel=1e-12))


@pytest.mark.parametrize(
    ("units", "labels", "expected"),
    [
        ("nm", ("z", "y", "x"), (50, 2, 2)),
        (("pixel", "nm", "nm"), ("z", "y", "x"), (2, 2)),
        (("s", "nm", "nm"), ("t", "y", "x"), (2, 2)),
    ],
)
def test_stacks_have_the_distance_of_their_slices_when_it_is_known(
    units: Any, labels: tuple[str, ...], expected: tuple[float, ...]
) -> None:
    layer = ImageLayer(pixels(4, 8, 9), scale=(50, 2, 2), units=units, axis_labels=labels)
    assert calibration_of(layer) == Calibration(expected)
    assert image_of(layer).calibration == Calibration(expected)


def test_a_rotated_layer_keeps_its_pixel_size_and_a_sheared_one_has_none() -> None:
    turned = ImageLayer(pixels(8, 9), scale=(2, 3), units="nm", rotate=30, translate=(1000, 5))
    assert calibration_of(turned).pixel_size_nm == pytest.approx((2, 3))
    enlarged = ImageLayer(pixels(8, 9), scale=(2, 3), units="nm", affine=np.diag([10, 10, 1]))
    assert calibration_of(enlarged).pixel_size_nm == pytest.approx((20, 30))
    for options in ({"shear": [0.3]}, {"affine": [[1, 0.2, 0], [0, 1, 0], [0, 0, 1]]}):
        with pytest.raises(NanosegError, match="'slanted' is sheared"):
            calibration_of(ImageLayer(pixels(8, 9), units="nm", name="slanted", **options))
        assert calibration_of(ImageLayer(pixels(8, 9), **options)) == Calibration()


def test_overlaps_are_kept_until_somebody_paints() -> None:
    made = overlapping()
    layer = Layer.create(*labels_layer(made, Calibration((2.0, 2.0)), "found"))
    assert instances_of(layer) is made
    assert unchanged(layer)
    assert made.overlapping
    layer.paint((25, 30), 7)
    assert not unchanged(layer)
    painted = instances_of(layer)
    assert not painted.overlapping
    assert painted.ids.tolist() == [1, 2, 7]


def test_labels_without_a_past_are_read_as_they_are() -> None:
    labels = np.zeros((1, 8, 9), ">u2")
    labels[0, 2:4, 2:4] = 5
    layer = Labels(labels)
    assert not unchanged(layer)
    assert record_of(layer) is None
    assert instances_of(layer).ids.tolist() == [5]
    assert labels_of(Labels(da.from_array(labels))).shape == (8, 9)


@pytest.mark.parametrize(
    ("shape", "options", "labels"),
    [
        ((30, 40), {"scale": (2, 2), "translate": (100, -7), "units": "um"}, (30, 40)),
        ((30, 40, 3), {"rgb": True, "scale": (2, 2), "units": "nm"}, (30, 40)),
        ((1, 30, 40), {"scale": (9, 2, 2), "translate": (3, 4, 5)}, (1, 30, 40)),
        ((3, 1, 30, 40), {"scale": (9, 8, 2, 2)}, (3, 1, 30, 40)),
        ((2, 30, 40), {"axis_labels": ("c", "y", "x"), "scale": (9, 2, 3), "translate": (3, 4, 5)}, (30, 40)),
        ((30, 40), {"rotate": 20, "shear": [0.2], "scale": (2, 3)}, (30, 40)),
        ((2, 30, 40), {"axis_labels": ("c", "y", "x"), "rotate": [0, 0, 20], "shear": [0, 0, 0.2]}, (30, 40)),
        ((30, 40), {"affine": [[0, 1, 3], [2, 0, 4], [0, 0, 1]]}, (30, 40)),
    ],
)
def test_a_result_lies_on_its_image(shape: tuple[int, ...], options: dict[str, Any], labels: tuple[int, ...]) -> None:
    source = ImageLayer(pixels(*shape), **options)
    image = image_of(source)
    planes = (len(image.data), *image.plane_shape) if image.axes[0] in "ZT" else image.plane_shape
    result = Layer.create(*labels_layer(np.ones(planes, int), source, "found"))
    assert result.data.shape == labels
    assert [str(unit) for unit in result.units] == [str(unit) for unit in source.units[-result.ndim :]]
    assert result.axis_labels == source.axis_labels[-result.ndim :]
    for corner in np.array([[0, 0], [29, 0], [7, 39]]):
        here = np.zeros(source.ndim)
        here[-2:] = corner
        expected = np.array(source.data_to_world(here))[-2:]
        np.testing.assert_allclose(np.array(result.data_to_world(here[-result.ndim :]))[-2:], expected)


def test_a_result_carries_table_record_and_role_and_can_be_replaced() -> None:
    made = overlapping()
    layer = Layer.create(
        *labels_layer(made, Calibration(), "found", table=measure(made), record={"device": "cpu"}, role="prediction")
    )
    assert layer.features["index"].tolist() == [1, 2]
    assert record_of(layer) == {"device": "cpu"}
    assert layer.metadata["nanoseg_roles"] == ("prediction",)
    fewer = made[[1]]
    update_labels(layer, fewer, measure(fewer), {"device": "mps"})
    np.testing.assert_array_equal(layer.data, fewer.to_labels())
    assert layer.features["index"].tolist() == [2]
    assert record_of(layer) == {"device": "mps"}
    assert instances_of(layer) is fewer
    assert layer.metadata["nanoseg_roles"] == ("prediction",)
    nothing = Instances.empty((30, 40))
    update_labels(layer, nothing, measure(nothing))
    assert not layer.data.any()
    assert len(layer.features) == 0


def test_a_sample_of_a_wholly_annotated_image() -> None:
    data = pixels(30, 40)
    image = ImageLayer(da.from_array(data), scale=(2, 2), units="nm", name="a: b/c?")
    sample = sample_of(image, Layer.create(*labels_layer(overlapping(), image, "drawn")))
    assert sample.known is None
    assert sample.instances.overlapping
    assert sample.image.calibration == Calibration((2.0, 2.0))
    assert sample.name == "a_ b_c_"
    assert isinstance(sample.image.data, np.ndarray)


@pytest.mark.parametrize("region", ["none", "labels", "rectangle", "ellipse", "polygon"])
def test_the_known_region_is_what_is_marked_and_the_particles(region: str) -> None:
    image = ImageLayer(pixels(30, 40), scale=(2, 2), units="nm", translate=(10, 20))
    particles = Layer.create(*labels_layer(overlapping(), image, "drawn"))
    marked = np.zeros((30, 40), bool)
    layer: Layer | None = None
    if region == "labels":
        marked[20:28, 5:30] = True
        layer = Labels(marked.astype(int), scale=(2, 2), units="nm", translate=(10, 20))
    elif region != "none":
        # drawn in micrometres, in a layer of another scale: corners (20, 4), (20, 35), (28, 35), (28, 4) of the image
        corners = (np.array([[19.5, 3.5], [19.5, 34.5], [27.5, 34.5], [27.5, 3.5]]) * 2 + (10, 20)) / 1000
        marked[20:28, 4:35] = True
        layer = Shapes([corners / 0.5], shape_type=region, scale=(0.5, 0.5), units="um")
        if region == "ellipse":
            rows, columns = np.mgrid[:30, :40]
            marked = ((rows - 23.5) / 4) ** 2 + ((columns - 19) / 15.5) ** 2 < 1
    known = sample_of(image, particles, layer, whole=False).known
    assert known is not None
    expected = marked | (overlapping().to_labels() > 0)
    assert np.count_nonzero(known != expected) <= (8 if region == "ellipse" else 0)


@pytest.mark.parametrize(
    ("image", "labels", "words"),
    [
        ((pixels(3, 30, 40), {}), ((3, 30, 40), {}), "'i' is a stack of 3 slices"),
        ((pixels(30, 40), {}), ((30, 41), {}), "'l' has 30 x 41 .*'i' 30 x 40"),
        (
            (pixels(30, 40), {"scale": (2, 2), "translate": (20, 0)}),
            ((30, 40), {"scale": (2, 2)}),
            "'l' lies 10 pixels beside the image 'i'",
        ),
        ((np.full((30, 40), np.nan), {"contrast_limits": (0, 1)}), ((30, 40), {}), "'i' has NaN"),
        ((np.ones((30, 40)), {}), ((30, 40), {}), "'i' has the same value"),
    ],
)
def test_layers_that_do_not_make_a_sample_are_refused(image: Any, labels: Any, words: str) -> None:
    data, options = image
    shape, placed = labels
    with pytest.raises(NanosegError, match=words):
        sample_of(ImageLayer(data, name="i", **options), Labels(np.zeros(shape, int), name="l", **placed))


def test_a_region_without_pixels_is_refused() -> None:
    image, labels = ImageLayer(pixels(30, 40), name="i"), Labels(np.zeros((30, 40), int))
    with pytest.raises(NanosegError, match="'r' enclose no pixel of the image 'i'"):
        sample_of(image, labels, Shapes(name="r"), whole=False)
    with pytest.raises(NanosegError, match="'r' is a shapes layer, not a labels layer"):
        sample_of(image, Shapes(name="r"))
    with pytest.raises(NanosegError, match="'p' is a points layer"):
        sample_of(image, labels, Points(np.zeros((1, 2)), name="p"), whole=False)


def test_labels_of_another_scale_are_taken_pixel_by_pixel() -> None:
    image = ImageLayer(pixels(30, 40), scale=(2, 2), units="nm", translate=(5, 5))
    assert len(sample_of(image, Labels(overlapping().to_labels())).instances) == 2


def test_the_file_of_a_layer_is_known_as_long_as_the_layer_shows_it(tmp_path: Path) -> None:
    stored = Image(pixels(30, 40), "YX", Calibration((2.5, 2.5)))
    path = tmp_path / "Größe 1 µm.tif"
    write_image(path, stored)
    shown = Image(stored.data.copy(), "YX", stored.calibration, str(path))
    layer = Layer.create(*image_layer(shown, "a"))
    assert source_of(layer) == path
    layer.scale = (1, 1)
    assert source_of(layer) is None
    layer.scale = (2.5, 2.5)
    layer.data[3, 4] += 1
    assert source_of(layer) is None
    layer.data[3, 4] -= 1
    assert source_of(layer) == path
    path.write_bytes(b"other")
    assert source_of(layer) is None
    path.unlink()
    assert source_of(layer) is None
    assert source_of(ImageLayer(pixels(8, 9))) is None
