"""Connected pieces found slab by slab against labelling the whole volume."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_nanoseg.measurement.damage.pieces import SPACE, Tracker


def tracked(mask, marked, thick, **options):
    tracker = Tracker(**options)
    for start in range(0, len(mask), thick):
        tracker.add(mask[start : start + thick], start, marked[start : start + thick])
    return tracker.finish(), tracker.small


def assert_like(pieces, labels, count, marked):
    index = np.arange(1, count + 1)
    assert len(pieces) == count
    np.testing.assert_array_equal(pieces.voxels, ndimage.sum_labels(labels > 0, labels, index))
    np.testing.assert_array_equal(pieces.marked, ndimage.sum_labels(marked, labels, index))
    for number, box in enumerate(ndimage.find_objects(labels)):
        assert [part.start for part in box] == pieces.starts[number].tolist()
        assert [part.stop for part in box] == pieces.stops[number].tolist()
        np.testing.assert_array_equal(np.argwhere(labels == number + 1).sum(axis=0), pieces.sums[number])
        assert labels.ravel()[pieces.firsts[number]] == number + 1


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
    thick=st.integers(1, 5), share=st.floats(0.05, 0.6), seed=st.integers(0, 999),
)  # fmt: skip
def test_slabs_give_the_pieces_of_the_whole(shape, thick, share, seed):
    rng = np.random.default_rng(seed)
    mask, marked = rng.random(shape) < share, rng.random(shape) < 0.3
    assert_like(tracked(mask, marked, thick)[0], *ndimage.label(mask, SPACE), marked)


def test_a_spiral_is_one_piece_through_many_slabs():
    depths = np.arange(200)
    mask = np.zeros((200, 30, 30), bool)
    mask[depths, (15 + 12 * np.sin(depths / 12)).astype(int), (15 + 12 * np.cos(depths / 12)).astype(int)] = True
    pieces, _ = tracked(mask, mask, 3)
    assert len(pieces) == 1
    assert pieces.voxels[0] == pieces.marked[0] == 200


def test_pieces_that_meet_at_the_very_end_are_one():
    mask = np.zeros((12, 9, 9), bool)
    mask[:, 0, 0] = mask[:, 8, 8] = True
    mask[11] = True
    assert len(tracked(mask, mask, 4)[0]) == 1


def test_small_pieces_are_only_counted():
    mask = np.zeros((6, 8, 8), bool)
    mask[:, 1, 1] = True
    mask[2, 5, 5] = mask[5, 7, 7] = True
    pieces, small = tracked(mask, mask, 2, smallest=3)
    assert pieces.voxels.tolist() == [6]
    assert small == 2


@pytest.mark.parametrize("thick", [1, 2, 5])
def test_slices_alone(thick):
    mask = np.random.default_rng(4).random((5, 12, 12)) < 0.4
    pieces, _ = tracked(mask, mask, thick, per_slice=True)
    assert len(pieces) == sum(ndimage.label(plane, np.ones((3, 3)))[1] for plane in mask)
    assert (pieces.stops[:, 0] - pieces.starts[:, 0] == 1).all()
