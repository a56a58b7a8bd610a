"""Objects survive every way in and out, with their ids and their overlaps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import binary_fill_holes
from skimage.draw import disk

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances

planes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
label_images = planes.flatmap(lambda shape: arrays(np.int32, shape, elements=st.sampled_from([-3, 0, 0, 1, 2, 7, 40])))


@st.composite
def overlapping(draw: st.DrawFn) -> Instances:
    """A few objects of any form, anywhere, over each other."""
    shape = draw(planes)
    count = draw(st.integers(0, 5))
    masks = [draw(arrays(np.bool_, shape)) for _ in range(count)]
    return Instances.from_masks(
        shape,
        [[0, 0, *shape]] * count,
        masks,
        scores=draw(arrays(np.float32, count, elements=st.sampled_from([0.25, 0.5, 1.0]))),
        classes=draw(arrays(np.int32, count, elements=st.integers(0, 3))),
        ids=draw(st.permutations(range(1, count + 1))),
    )


def same(one: Instances, other: Instances) -> bool:
    return (
        one.shape == other.shape
        and np.array_equal(one.boxes, other.boxes)
        and all(np.array_equal(a, b) for a, b in zip(one.masks, other.masks, strict=True))
        and np.array_equal(one.scores, other.scores)
        and np.array_equal(one.classes, other.classes)
        and np.array_equal(one.ids, other.ids)
    )


@given(label_images)
def test_labels_come_back_with_their_ids(labels: np.ndarray) -> None:
    instances = Instances.from_labels(labels)
    assert instances.ids.tolist() == [value for value in np.unique(labels) if value > 0]
    assert np.array_equal(instances.to_labels(), np.maximum(labels, 0))


@given(label_images, st.sampled_from([np.int64, np.uint32, np.uint64]))
def test_huge_ids_are_kept(labels: np.ndarray, dtype: type) -> None:
    stretched = np.where(labels > 0, labels * 50_000_000, 0).astype(dtype)
    instances = Instances.from_labels(stretched)
    assert np.array_equal(instances.to_labels(), stretched)
    assert instances.to_labels().dtype == np.int32


def test_volumes_keep_their_objects() -> None:
    labels = np.random.default_rng(0).integers(0, 9, (4, 5, 6))
    instances = Instances.from_labels(labels)
    assert np.array_equal(instances.to_labels(), labels)
    assert instances.boxes.shape == (8, 6)
    with pytest.raises(NanosegError, match="one slice"):
        instances.to_polygons()


@given(overlapping())
def test_nothing_is_lost_through_coco(instances: Instances) -> None:
    assert same(Instances.from_coco(instances.to_coco(), instances.shape), instances)


@given(overlapping())
def test_nothing_is_lost_through_polygons(instances: Instances) -> None:
    again = Instances.from_polygons(
        instances.to_polygons(), instances.shape, instances.scores, instances.classes, instances.ids
    )
    assert same(again, instances)


@given(overlapping())
def test_the_higher_score_is_on_top_and_of_equals_the_later(instances: Instances) -> None:
    expected = np.zeros(instances.shape, dtype=np.int32)
    rank = np.full(instances.shape, -1.0)
    for object_ in instances:
        row, column, row_stop, column_stop = object_.boxes[0]
        mask = np.zeros(instances.shape, dtype=bool)
        mask[row:row_stop, column:column_stop] = object_.masks[0]
        wins = mask & (object_.scores[0] >= rank)
        expected[wins], rank[wins] = object_.ids[0], object_.scores[0]
    assert np.array_equal(instances.to_labels(), expected)


@given(overlapping())
def test_overlapping_says_whether_the_label_image_loses_pixels(instances: Instances) -> None:
    assert instances.overlapping == (np.count_nonzero(instances.to_labels()) < instances.areas.sum())


@given(overlapping(), st.data())
def test_choosing_objects_follows_numpy(instances: Instances, data: st.DataObject) -> None:
    flags = data.draw(arrays(np.bool_, len(instances)))
    assert instances[flags].ids.tolist() == instances.ids[flags].tolist()
    assert instances[np.flatnonzero(flags)].ids.tolist() == instances.ids[flags].tolist()
    assert instances[::-2].ids.tolist() == instances.ids[::-2].tolist()
    assert same(instances[:], instances)
    assert [len(one) for one in instances] == [1] * len(instances)
    with pytest.raises(IndexError):
        instances[len(instances)]


def test_masks_are_cut_to_the_image_and_tightened() -> None:
    blank = np.zeros((4, 4), dtype=bool)
    dot = blank.copy()
    dot[2, 3] = True
    full = np.ones((4, 4))
    instances = Instances.from_masks(
        (10, 10),
        [[-2, -2, 2, 2], [3, 3, 7, 7], [4, 4, 8, 8], [20, 0, 24, 4]],
        [full, blank, dot, full],
        ids=[9, 8, 7, 6],
    )
    assert instances.ids.tolist() == [9, 7]
    assert instances.boxes.tolist() == [[0, 0, 2, 2], [6, 7, 7, 8]]
    assert instances.areas.tolist() == [4, 1]
    assert instances.touches_border.tolist() == [True, False]


def test_polygon_pixels_are_those_whose_centre_is_inside() -> None:
    square = [[0.5, 0.5], [0.5, 3.5], [2.5, 3.5], [2.5, 0.5]]
    instances = Instances.from_polygons([square], (6, 6))
    assert instances.boxes.tolist() == [[1, 1, 3, 4]]
    assert instances.areas.tolist() == [6]


# on a grid of 2**-20 px: products of coordinates as small as 1e-272, which no outline has, underflow
COORDINATE = st.integers(-3 * 2**20, 9 * 2**20).map(lambda steps: steps / 2**20)


@given(st.lists(st.tuples(COORDINATE, COORDINATE), min_size=3, max_size=8))
def test_polygons_that_share_an_edge_share_no_pixel(vertices: list[tuple[float, float]]) -> None:
    first, second = vertices[:-1] + vertices[:1], [vertices[-2], vertices[-1], vertices[0]]
    parts = Instances.from_polygons([[*first], [*second]], (7, 7), ids=[1, 2])
    whole = Instances.from_polygons([vertices], (7, 7)).to_labels() > 0
    odd = np.zeros((7, 7), dtype=bool)
    for part in parts:
        odd ^= part.to_labels() > 0
    assert np.array_equal(odd, whole)


def test_a_large_circle_has_its_area() -> None:
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    circle = np.stack([150 + 100 * np.sin(angle), 150 + 100 * np.cos(angle)], axis=1)
    instances = Instances.from_polygons([circle], (300, 300))
    assert instances.areas[0] == pytest.approx(math.pi * 100**2, rel=2e-3)
    assert instances.diameter() == pytest.approx(200, rel=1e-3)


def test_outlines_of_full_shapes_have_few_vertices() -> None:
    mask = np.ones((50, 80), dtype=bool)
    outline = Instances.from_masks((60, 90), [[5, 5, 55, 85]], [mask]).to_polygons()[0]
    assert len(outline) == 8
    assert np.abs(outline - [29.5, 44.5]).max(axis=0).tolist() == [25, 40]


def test_diameter_is_of_complete_particles() -> None:
    labels = np.zeros((100, 100), dtype=int)
    labels[disk((50, 50), 10)] = 1
    labels[disk((0, 0), 30, shape=labels.shape)] = 2
    assert Instances.from_labels(labels).diameter() == pytest.approx(20, abs=0.5)
    assert Instances.from_labels(np.where(labels == 2, 2, 0)).diameter() == pytest.approx(30, abs=2)
    ball = np.linalg.norm(np.indices((21, 21, 21)) - 10, axis=0) < 8
    assert Instances.from_labels(ball.astype(int)).diameter() == pytest.approx(16, abs=0.3)
    with pytest.raises(NanosegError, match="no particle"):
        Instances.empty((5, 5)).diameter()


def test_empty_goes_every_way() -> None:
    empty = Instances.empty((4, 5))
    assert len(empty) == 0
    assert not empty.overlapping
    assert empty.areas.tolist() == empty.touches_border.tolist() == []
    assert not empty.to_labels().any()
    assert same(Instances.from_polygons([], (4, 5)), empty)
    assert same(Instances.from_coco([], (4, 5)), empty)
    assert same(empty[[]], empty)


def test_coco_polygons_have_their_origin_at_the_corner_of_the_first_pixel() -> None:
    annotation = {"segmentation": [[1, 1, 4, 1, 4, 3, 1, 3], [6, 0, 7, 0, 7, 1, 6, 1]], "category_id": 2}
    instances = Instances.from_coco([annotation], (5, 8))
    expected = np.zeros((5, 8), dtype=int)
    expected[1:3, 1:4] = expected[0, 6] = 1
    assert np.array_equal(instances.to_labels(), expected)
    assert instances.classes.tolist() == [2]


def test_coco_fields_are_those_of_the_format() -> None:
    labels = np.zeros((5, 6), dtype=int)
    labels[1:3, 2:6] = 4
    (annotation,) = Instances.from_labels(labels, scores=[0.5]).to_coco(image_id=3, first_id=11)
    assert {key: annotation[key] for key in ("id", "image_id", "bbox", "area", "score", "instance_id")} == {
        "id": 11, "image_id": 3, "bbox": [2, 1, 4, 2], "area": 8, "score": 0.5, "instance_id": 4,
    }  # fmt: skip


def test_a_hole_and_a_second_piece_survive_as_one_polygon() -> None:
    mask = np.zeros((12, 20), dtype=bool)
    mask[1:9, 1:9] = True
    mask[3:6, 3:6] = False
    mask[10, 15:18] = True
    instances = Instances.from_masks(mask.shape, [[0, 0, 12, 20]], [mask])
    again = Instances.from_polygons(instances.to_polygons(), mask.shape)
    assert np.array_equal(again.to_labels() > 0, mask)
    assert not np.array_equal(binary_fill_holes(mask), mask)
    (rings,) = instances.to_rings()
    assert len(rings) == 3
    for ring in rings:  # along pixels and around their corners, never across
        steps = np.abs(np.roll(ring, -1, axis=0) - ring)
        assert ((steps == 0.5).all(axis=1) | (steps.min(axis=1) == 0)).all()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Instances.from_labels(np.zeros((3, 3))), "whole numbers"),
        (lambda: Instances.from_labels(np.ones((3, 3), bool)), "whole numbers"),
        (lambda: Instances.from_labels(np.full((3, 3), 2**40)), "renumber"),
        (lambda: Instances.from_labels(np.ones((3, 3), int), scores=[1, 2]), "one per object"),
        (lambda: Instances.from_masks((3, 3), [[0, 0, 2, 2]], [np.ones((3, 3))]), "shape of its box"),
        (lambda: Instances.from_masks((3, 3), [], [np.ones((3, 3))]), "one box per mask"),
        (lambda: Instances.from_masks((3, 3), [[0, 0, 3, 3]], [np.ones((3, 3))], ids=[0]), "positive"),
        (lambda: Instances.from_masks((3, 3), [[0, 0, 3, 3]] * 2, [np.ones((3, 3))] * 2, ids=[5, 5]), "different"),
        (lambda: Instances.from_polygons([[[0, 0], [1, 1]]], (3, 3)), "not a polygon"),
        (lambda: Instances.from_polygons([[[0, 0], [1, 1], [np.nan, 0]]], (3, 3)), "not a polygon"),
        (lambda: Instances.from_coco([{}], (3, 3)), "annotation 1 has no readable"),
        (lambda: Instances.from_coco([{"segmentation": []}], (3, 3)), "no readable"),
        (lambda: Instances.from_coco([{"segmentation": [[0, 0, 1]]}], (3, 3)), "no readable"),
        (lambda: Instances.from_coco([{"segmentation": {"size": [4, 3], "counts": "9"}}], (3, 3)), "this image"),
        (lambda: Instances.from_coco([{"segmentation": {"size": [3, 3], "counts": "~~"}}], (3, 3)), "no readable"),
        (lambda: Instances.from_coco([{"segmentation": {"size": [3, 3], "counts": [4, 4]}}], (3, 3)), "no readable"),
    ],
)
def test_bad_input_gets_one_sentence(make: object, sentence: str) -> None:
    with pytest.raises(NanosegError, match=sentence):
        make()


def test_planes_of_a_stack_keep_what_is_known_of_each_object():
    labels = np.zeros((3, 8, 9), np.int32)
    labels[:2, 2:5, 3:6], labels[1, 6, :] = 9, 4
    stack = Instances.from_labels(labels, scores=[0.5, 0.9], classes=[1, 2])
    planes = list(stack.planes())
    assert [plane.ids.tolist() for plane in planes] == [[9], [4, 9], []]
    for plane, expected in zip(planes, labels, strict=True):
        assert np.array_equal(plane.to_labels(), expected)
    assert planes[0].scores.tolist() == pytest.approx([0.9])
    assert planes[1].classes.tolist() == [1, 2]
    assert list(planes[0].planes()) == [planes[0]]


def test_which_objects_share_pixels_with_another() -> None:
    square = np.ones((4, 4), bool)
    corner = np.tri(4, 4, -1, dtype=bool)
    boxes = [[0, 0, 4, 4], [3, 3, 7, 7], [0, 10, 4, 14], [0, 10, 4, 14], [10, 10, 14, 14]]
    masks = [square, square, corner, corner.T, square]
    instances = Instances.from_masks((20, 20), boxes, masks)
    assert instances.overlaps.tolist() == [True, True, False, False, False]
    assert instances.overlapping
    assert not instances[2:].overlapping
    assert Instances.empty((3, 3)).overlaps.tolist() == []
    volume = Instances.from_masks((2, 9, 9), [[0, 0, 0, 1, 4, 4], [1, 0, 0, 2, 4, 4]], [square[None], square[None]])
    assert volume.overlaps.tolist() == [False, False]
