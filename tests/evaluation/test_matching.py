"""Matching against StarDist's, against trying all assignments, and by hand."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stardist.matching import matching

from napari_nanoseg import Instances, NanosegError, evaluate
from napari_nanoseg.evaluation.coco import BOX_FIGURES, MASK_FIGURES
from napari_nanoseg.evaluation.matching import pool
from napari_nanoseg.io.images import read_label_array

LABELS = arrays(np.uint8, (7, 8), elements=st.integers(0, 6))
NAMES = {
    "tp": "true_positives", "fp": "false_positives", "fn": "false_negatives", "precision": "precision",
    "recall": "recall", "f1": "f1", "accuracy": "accuracy", "panoptic_quality": "panoptic_quality",
    "mean_matched_score": "mean_matched_iou",
}  # fmt: skip


def assert_as_stardist(truth, prediction, threshold):
    figures = evaluate(truth, prediction, threshold).figures()
    theirs = matching(truth, prediction, thresh=threshold)
    for name, ours in NAMES.items():
        assert figures[ours] == pytest.approx(getattr(theirs, name), abs=1e-6), ours


@settings(max_examples=150, deadline=None)
@given(LABELS, LABELS, st.sampled_from([0.5, 0.6, 0.75, 0.9]))
def test_equal_to_stardist_on_any_labels(truth, prediction, threshold):
    assert_as_stardist(truth, prediction, threshold)


@settings(max_examples=100, deadline=None)
@given(LABELS, st.lists(st.tuples(st.integers(0, 6), st.integers(0, 7)), max_size=12), st.sampled_from([0.5, 0.8]))
def test_equal_to_stardist_on_nearly_right_predictions(truth, changes, threshold):
    prediction = truth.copy()
    for number, at in enumerate(changes):
        prediction[at] = number % 7
    assert_as_stardist(truth, prediction, threshold)


def test_ties_at_one_half():
    truth = np.zeros((4, 8), int)
    truth[:2], truth[2:] = 1, 2
    halves = np.array([[1, 1, 1, 1, 2, 2, 2, 2]] * 2 + [[3, 3, 3, 3, 4, 4, 4, 4]] * 2)
    for one, other in ((truth, halves), (halves, truth)):
        assert_as_stardist(one, other, 0.5)
        assert evaluate(one, other).true_positives == 2


def test_real_particles_equal_stardist(shared_data):
    for path in sorted((shared_data / "emps" / "masks").glob("*.png"))[:40:8]:
        truth = read_label_array(path)
        for threshold in (0.5, 0.7):
            assert_as_stardist(truth, np.roll(truth, (2, 3), (0, 1)), threshold)


@settings(max_examples=80, deadline=None)
@given(st.data(), st.sampled_from([0.1, 0.3, 0.5]))
def test_overlapping_masks_are_matched_as_well_as_any_assignment_could(data, threshold):
    def objects():
        masks = data.draw(st.lists(arrays(bool, (4, 4)).filter(np.any), max_size=4))
        return Instances.from_masks((4, 4), np.array([[0, 0, 4, 4]] * len(masks)).reshape(-1, 4), masks), masks

    (truth, true_masks), (prediction, predicted_masks) = objects(), objects()
    ious = np.array([[(t & p).sum() / (t | p).sum() for p in predicted_masks] for t in true_masks])
    ious = np.where(ious >= threshold, ious, 0).reshape(len(true_masks), len(predicted_masks))
    if ious.shape[0] > ious.shape[1]:
        ious = ious.T
    best = max(
        (int((picked > 0).sum()), float(picked.sum()))
        for order in permutations(range(ious.shape[1]), ious.shape[0])
        for picked in [ious[range(ious.shape[0]), list(order)]]
    )
    evaluation = evaluate(truth, prediction, threshold)
    assert evaluation.true_positives == best[0]
    assert evaluation.ious.sum() == pytest.approx(best[1])
    assert len(set(evaluation.truth_ids)) == len(set(evaluation.prediction_ids)) == best[0]
    for true_id, predicted_id, iou in zip(
        evaluation.truth_ids, evaluation.prediction_ids, evaluation.ious, strict=True
    ):
        a, b = true_masks[true_id - 1], predicted_masks[predicted_id - 1]
        assert iou == pytest.approx((a & b).sum() / (a | b).sum())


def test_a_perfect_prediction_and_renumbered_ids():
    truth = np.zeros((9, 9), np.int32)
    truth[1:3, 1:3], truth[5:8, 4:8], truth[0, 8] = 4, 900, 17
    evaluation = evaluate(truth, (truth > 0) * (1000 - truth))
    figures = evaluation.figures()
    for name in ("precision", "recall", "f1", "accuracy", "panoptic_quality", "mean_matched_iou",
                 "foreground_accuracy", "recall_complete", "recall_border"):  # fmt: skip
        assert figures[name] == 1
    assert dict(zip(evaluation.truth_ids, evaluation.prediction_ids, strict=True)) == {4: 996, 17: 983, 900: 100}
    precisions = {*MASK_FIGURES, *BOX_FIGURES}  # label images have no scores
    assert all(value is None if name in precisions else type(value) in (int, float) for name, value in figures.items())


def test_foreground_and_border_figures_by_hand():
    truth, prediction = np.zeros((10, 10), int), np.zeros((10, 10), int)
    truth[0:2, 0:5], truth[4:6, 4:8] = 1, 2
    prediction[0:2, 0:4], prediction[8:, 8:] = 5, 6
    evaluation = evaluate(truth, prediction)
    assert evaluation.foreground_accuracy == pytest.approx(8 / (10 + 8 + 4))
    assert evaluation.mean_matched_iou == pytest.approx(0.8)
    assert (evaluation.true_positives, evaluation.false_positives, evaluation.false_negatives) == (1, 1, 1)
    assert evaluation.panoptic_quality == pytest.approx(0.8 / 2)
    assert (evaluation.recall_border, evaluation.recall_complete) == (1, 0)


def test_overlaps_count_once_in_the_foreground():
    square = np.ones((6, 6), bool)
    truth = Instances.from_masks((12, 12), [[1, 1, 7, 7], [4, 4, 10, 10]], [square, square])
    assert evaluate(truth, truth).foreground_accuracy == 1
    assert evaluate(truth, truth).true_positives == 2
    hidden = evaluate(truth, truth.to_labels())
    assert hidden.true_positives == 2
    assert sorted(hidden.ious) == pytest.approx([27 / 36, 1])


@pytest.mark.parametrize(("true", "predicted"), [(0, 0), (0, 1), (1, 0)])
def test_nothing_there_or_nothing_found(true, predicted):
    evaluation = evaluate(np.full((5, 5), true), np.full((5, 5), predicted))
    figures = evaluation.figures()
    assert (figures["false_negatives"], figures["false_positives"]) == (true, predicted)
    for name in ("precision", "recall", "f1", "accuracy", "panoptic_quality", "foreground_accuracy"):
        assert figures[name] == 0
    assert figures["recall_complete"] is None
    assert figures["recall_border"] == (0 if true else None)


def test_volumes_can_be_compared():
    truth = np.zeros((4, 6, 6), int)
    truth[1:3, 1:4, 1:4] = 1
    assert evaluate(truth, np.roll(truth, 1, 2)).mean_matched_iou == pytest.approx(0.5)


@settings(max_examples=30, deadline=None)
@given(LABELS, LABELS, LABELS, LABELS)
def test_pooling_is_comparing_the_images_side_by_side(truth1, prediction1, truth2, prediction2):
    def beside(one, other):
        gap = np.zeros((7, 1), int)
        return np.hstack([gap, one, gap, np.where(other > 0, other.astype(int) + 100, 0), gap])

    pooled = pool([evaluate(truth1, prediction1), evaluate(truth2, prediction2)]).figures()
    whole = evaluate(beside(truth1, truth2), beside(prediction1, prediction2)).figures()
    for name in pooled.keys() - {"recall_complete", "recall_border"}:  # the gap changes what touches the border
        assert pooled[name] == pytest.approx(whole[name]), name


def test_bad_input_is_refused_in_one_sentence():
    labels = np.ones((4, 4), int)
    with pytest.raises(NanosegError, match=r"\(4, 4\).*\(5, 4\)"):
        evaluate(labels, np.ones((5, 4), int))
    for threshold in (0, 1.5, float("nan")):
        with pytest.raises(NanosegError, match="threshold"):
            evaluate(labels, labels, threshold)
    with pytest.raises(NanosegError, match="at least one"):
        pool([])
    with pytest.raises(NanosegError, match="threshold"):
        pool([evaluate(labels, labels, 0.5), evaluate(labels, labels, 0.6)])
