"""COCO's average precision by hand and against its own definition written out."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nanoseg import Instances, NanosegError
from napari_nanoseg.evaluation.average_precision import COCO_THRESHOLDS, average_precision

SHAPE = (40, 60)


def squares(boxes, scores=None):
    masks = [np.ones((r1 - r0, c1 - c0), bool) for r0, c0, r1, c1 in boxes]
    return Instances.from_masks(SHAPE, np.array(boxes).reshape(-1, 4), masks, scores=scores)


TRUTH = squares([(0, 0, 10, 10), (0, 20, 10, 30), (20, 0, 30, 10), (20, 20, 30, 30)])


def test_the_truth_itself_has_all():
    assert average_precision([(TRUTH, TRUTH)]) == pytest.approx(np.ones(len(COCO_THRESHOLDS)))


def test_by_hand():
    # right, wrong, right, in this order of scores; two of four are not found
    found = squares([(0, 20, 10, 30), (30, 40, 40, 50), (0, 0, 10, 10)], [0.9, 0.8, 0.7])
    # precision 1 up to a recall of 0.25 (26 of the 101 recalls), 2/3 up to 0.5 (25), then 0
    assert average_precision([(TRUTH, found)], [0.5]) == pytest.approx([(26 + 25 * 2 / 3) / 101])


def test_only_the_order_of_scores_counts_and_over_all_images():
    right = squares([(0, 0, 10, 10), (0, 20, 10, 30), (20, 0, 30, 10), (20, 20, 30, 30)], [0.4] * 4)
    wrong = squares([(30, 40, 40, 50)], [0.3])
    empty = Instances.empty(SHAPE)
    assert average_precision([(TRUTH, right), (empty, wrong)], [0.5]) == pytest.approx([1.0])
    surer = squares([(30, 40, 40, 50)], [0.5])
    assert average_precision([(TRUTH, right), (empty, surer)], [0.5]) == pytest.approx([0.8])


def test_a_true_particle_is_found_once_by_the_surest():
    truth = squares([(0, 0, 10, 10)])
    worse_first = squares([(0, 0, 10, 9), (0, 0, 10, 10)], [0.9, 0.8])
    # at 0.95 the surer one is wrong, so the other is right at a precision of one half
    assert average_precision([(truth, worse_first)], [0.5, 0.95]) == pytest.approx([1.0, 0.5])


def test_the_best_of_several_true_ones_is_taken():
    halves = squares([(0, 0, 10, 10), (0, 0, 10, 8)])
    both = squares([(0, 0, 10, 10), (0, 0, 10, 8)], [0.9, 0.8])
    assert average_precision([(halves, both)]) == pytest.approx(np.ones(len(COCO_THRESHOLDS)))


def test_nothing_there_and_nothing_found():
    empty = Instances.empty(SHAPE)
    assert np.isnan(average_precision([(empty, TRUTH)])).all()
    assert average_precision([(TRUTH, empty)], [0.5]) == pytest.approx([0.0])
    with pytest.raises(NanosegError, match="the same micrograph"):
        average_precision([(TRUTH, Instances.empty((5, 5)))])
