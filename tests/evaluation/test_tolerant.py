"""Boundary-tolerant figures against shapes whose distances are known, and against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.tolerant import evaluate_pixels, pool_pixels


def line(row: int, length: int = 20) -> np.ndarray:
    image = np.zeros((20, 20), np.uint8)
    image[row, :length] = 255
    return image


@pytest.mark.parametrize(("beside", "f1"), [(0, 1.0), (1, 1.0), (2, 1.0), (3, 0.0)])
def test_a_line_beside_another_is_right_up_to_the_tolerance(beside, f1):
    found = evaluate_pixels(line(10), line(10 + beside), 2)
    assert found.f1 == pytest.approx(f1)
    assert found.iou == (1.0 if beside == 0 else 0.0)


def test_half_of_a_line_is_right_but_not_all_that_is_true():
    found = evaluate_pixels(line(10), line(10, 10), 2)
    assert found.precision == 1
    assert found.recall == 12 / 20
    assert found.iou == 10 / 20
    assert found.figures()["f1"] == pytest.approx(2 * 0.6 / 1.6)


def test_what_is_not_known_does_not_count():
    known = np.ones((20, 20), bool)
    known[:, 10:] = False
    found = evaluate_pixels(line(10), line(10, 10), 0, known)
    assert (found.precision, found.recall, found.true_pixels) == (1, 1, 10)


def test_nothing_anywhere_is_zero_and_volumes_are_compared_too():
    empty = np.zeros((3, 4, 5))
    assert evaluate_pixels(empty, empty).f1 == 0
    volume = empty.copy()
    volume[1, 2, 2] = 1
    other = np.roll(volume, 1, axis=0)
    assert evaluate_pixels(volume, other, 1).f1 == 1
    assert evaluate_pixels(volume, other, 0.9).f1 == 0


@given(
    arrays(bool, (6, 7)),
    arrays(bool, (6, 7)),
    st.sampled_from([0.0, 1.0, 1.5, 2.0]),
)
def test_agrees_with_looking_at_every_pair_of_pixels(truth, prediction, tolerance):
    found = evaluate_pixels(truth, prediction, tolerance)
    true, predicted = np.argwhere(truth), np.argwhere(prediction)
    apart = np.linalg.norm(true[:, None] - predicted[None], axis=-1)
    assert found.found_pixels == np.count_nonzero((apart <= tolerance).any(axis=1))
    assert found.right_pixels == np.count_nonzero((apart <= tolerance).any(axis=0))
    assert found.both_pixels == np.count_nonzero(truth & prediction)


def test_pooling_counts_every_pixel_alike():
    one, two = evaluate_pixels(line(3), line(3)), evaluate_pixels(line(3), line(15, 5))
    both = pool_pixels([one, two])
    assert both.precision == 20 / 25
    assert both.recall == 20 / 40
    with pytest.raises(NanosegError, match="same tolerance"):
        pool_pixels([one, evaluate_pixels(line(3), line(3), 1)])
    with pytest.raises(NanosegError, match="same tolerance"):
        pool_pixels([])


def test_other_shapes_are_refused():
    with pytest.raises(NanosegError, match="compare the same image"):
        evaluate_pixels(np.zeros((3, 4)), np.zeros((4, 3)))
    with pytest.raises(NanosegError, match="0 or more"):
        evaluate_pixels(np.zeros((3, 4)), np.zeros((3, 4)), -1)
