"""Comparisons slice by slice, and what became of every particle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from followed import events_of

from napari_nanoseg import Instances, NanosegError, evaluate
from napari_nanoseg.config.evaluate import EvaluateConfig
from napari_nanoseg.evaluation.comparison import compare
from napari_nanoseg.evaluation.error_map import error_map
from napari_nanoseg.evaluation.figures import FIGURES
from napari_nanoseg.evaluation.matching import pool


@pytest.fixture
def stack():
    """Truth, whose particle 3 reaches through both slices, and prediction, numbered through."""
    truth, prediction = np.zeros((2, 40, 60), np.int32), np.zeros((2, 40, 60), np.int32)
    truth[:, 5:15, 5:15], truth[0, 20:30, 20:30] = 3, 8
    prediction[0, 5:15, 6:15], prediction[0, 25:35, 45:55], prediction[1, 5:15, 5:15] = 11, 12, 13
    return Instances.from_labels(truth), Instances.from_labels(prediction)


def test_a_stack_is_compared_slice_by_slice(stack):
    truth, prediction = stack
    events, comparison = events_of(lambda: compare(truth, prediction))
    assert [event.done for event in events] == [1, 2]
    labels = truth.to_labels(), prediction.to_labels()
    alone = [evaluate(labels[0][number], labels[1][number]) for number in (0, 1)]
    assert comparison.evaluation.figures() == pool(alone).figures()
    for number, errors in enumerate(zip(*comparison.errors(), strict=True)):
        for found, expected in zip(errors, error_map(labels[0][number], labels[1][number], alone[number]), strict=True):
            assert np.array_equal(found, expected)
    assert comparison.particles().to_numpy().tolist() == [
        [0, 11, "TP", 0.9, 3],
        [0, 12, "FP", 0.0, 0],
        [0, 8, "FN", 0.0, 0],
        [1, 13, "TP", 1.0, 3],
    ]


def test_what_is_not_judged_is_counted_in_every_slice(stack):
    truth, prediction = stack
    known = np.zeros((40, 60), bool)
    comparison = compare(truth, Instances.from_labels(np.stack([prediction.to_labels()[0]] * 2)), known=known)
    assert comparison.not_judged == 2
    assert comparison.evaluation.false_positives == 0


def test_an_image_is_compared_as_before(stack):
    truth, prediction = (next(item.planes()) for item in stack)
    comparison = compare(truth, prediction, EvaluateConfig(iou_threshold=0.95))
    assert comparison.evaluation.figures() == evaluate(truth, prediction, 0.95).figures()
    assert comparison.errors().false_positives.shape == (40, 60)
    assert comparison.particles()["outcome"].tolist() == ["FP", "FP", "FN", "FN"]


def test_other_shapes_are_refused(stack):
    with pytest.raises(NanosegError, match="shape"):
        compare(stack[0], next(stack[1].planes()))


def test_every_figure_has_a_definition_that_the_docs_agree_with(stack):
    assert list(FIGURES) == list(compare(*stack).evaluation.figures())
    page = (Path(__file__).parents[2] / "docs" / "measuring.md").read_text("utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    documented = {row[1].strip(" `"): row[2].strip().replace("`", "") for row in rows}
    for name, figure in FIGURES.items():
        assert documented[name] == figure.meaning, name
