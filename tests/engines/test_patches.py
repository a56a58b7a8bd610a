"""Labels in layers keep overlapping objects whole."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_nanoseg.engines.augment import UNKNOWN
from napari_nanoseg.engines.patches import in_layers, labels_of
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image, Sample

SHAPE = (12, 14)
boxes = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 12), st.integers(1, 6), st.integers(1, 6)), max_size=8)


def of_boxes(given_boxes: list[tuple[int, int, int, int]]) -> Instances:
    corners = [(row, column, row + high, column + wide) for row, column, high, wide in given_boxes]
    masks = [np.ones((high, wide), bool) for _, _, high, wide in given_boxes]
    return Instances.from_masks(SHAPE, np.reshape(corners, (len(masks), 4)), masks)


@given(boxes)
def test_every_object_lies_whole_in_one_layer(given_boxes):
    instances = of_boxes(given_boxes)
    layers = in_layers(instances)
    assert layers.shape[:2] == SHAPE
    assert layers.shape[2] >= 1
    for number, box, mask in zip(instances.ids, instances.boxes, instances.masks, strict=True):
        whole = np.zeros(SHAPE, bool)
        whole[box[0] : box[2], box[1] : box[3]] = mask
        holding = [layer for layer in np.moveaxis(layers, -1, 0) if (layer == number).any()]
        assert len(holding) == 1
        np.testing.assert_array_equal(holding[0] == number, whole)
    if not instances.overlapping:
        assert layers.shape[2] == 1
        np.testing.assert_array_equal(layers[..., 0], instances.to_labels())


def test_where_nothing_is_known_no_layer_says_background():
    instances = of_boxes([(2, 2, 5, 5), (4, 4, 5, 5)])
    known = np.zeros(SHAPE, bool)
    known[:, :8] = True
    sample = Sample(Image(np.zeros(SHAPE, np.uint8), "YX"), instances, known, "a")
    layers = labels_of(sample, layered=True)
    assert (layers[0, 10] == UNKNOWN).all()
    assert (layers[0, 0] == 0).all()
    assert sorted(layers[8, 8]) == [0, 2], "of an object, also beyond what is known"
    flat = labels_of(sample, layered=False)
    assert (flat[0, 10], flat[0, 0], flat[8, 8]) == (UNKNOWN, 0, 2)
