"""Thresholds against brute force over the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nanoseg.engines.unet.thresholds import STEPS, Counts


def test_f1_and_the_best_threshold_are_those_of_the_pixels():
    rng = np.random.default_rng(0)
    truth = rng.integers(-1, 3, (2, 30, 40)).astype(np.int8)
    probabilities = rng.random((2, 2, 30, 40), dtype=np.float32)
    probabilities[0, 0][truth[0] == 1] += 0.3
    probabilities = np.clip(probabilities, 0, 1)
    counts = Counts(2)
    for one, classes in zip(probabilities, truth, strict=True):
        counts.add(one, classes)
    known = truth >= 0
    for kind in range(2):
        scores = []
        for step in range(1, STEPS):
            found, true = (probabilities[:, kind] * STEPS >= step) & known, truth == kind + 1
            scores.append(2 * np.count_nonzero(found & true) / (np.count_nonzero(found) + np.count_nonzero(true)))
        np.testing.assert_allclose(counts.f1()[kind][1:STEPS], scores)
        assert scores[round(counts.best((0.5, 0.5))[kind] * STEPS) - 1] == max(scores)
    both = counts.best((0.5, 0.5))
    assert counts.mean_f1(both) == pytest.approx(np.nanmax(counts.f1()[:, 1:STEPS], axis=1).mean())


def test_a_class_that_is_not_there_counts_in_no_mean():
    counts = Counts(2)
    assert not counts.any
    assert counts.mean_f1((0.5, 0.5)) == 0
    truth = np.array([[0, 1]], np.int8)
    counts.add(np.array([[[0.2, 0.8]], [[0.1, 0.1]]], np.float32), truth)
    assert counts.any
    assert counts.mean_f1((0.5, 0.5)) == 1
    assert counts.best((0.4, 0.6)) == (0.51, 0.6), "the middle of 0.21 to 0.8"
