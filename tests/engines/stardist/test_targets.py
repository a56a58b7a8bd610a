"""Targets of simple shapes, whose distances are known."""

from __future__ import annotations

import numpy as np

from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.engines.stardist.targets import make_targets


def square(side: int = 64, start: int = 20, stop: int = 41) -> np.ndarray:
    labels = np.zeros((side, side), np.int32)
    labels[start:stop, start:stop] = 70_000  # above what uint16 holds
    return labels


def test_distances_of_a_square_are_those_to_its_sides():
    targets = make_targets(square(), StarDistConfig(n_rays=4))
    row = column = 30 // 2
    # Rays run along (sin, cos): columns up, rows up, columns down, rows down; the side lies at 40.5 or 19.5.
    np.testing.assert_allclose(targets.dist[:, row, column], [10.5, 10.5, 10.5, 10.5], atol=0.51)
    assert targets.prob[0, row, column] == targets.prob.max() == 1
    np.testing.assert_array_equal(targets.mask, targets.prob)


def test_pixels_of_unknown_truth_are_ignored():
    labels = square()
    labels[:, 50:] = -1
    prob = make_targets(labels, StarDistConfig()).prob[0]
    assert (prob[:, 25:] == -1).all()
    assert (prob[:, :25] >= 0).all()


def test_classes_are_one_hot_and_unknown_classes_ignored():
    labels = square()
    labels[2:10, 2:10] = 5
    config = StarDistConfig(n_classes=2, grid=(1, 1))
    classes = make_targets(labels, config, {70_000: 2, 5: None}).classes
    np.testing.assert_array_equal(classes[:, 30, 30], [0, 0, 1])
    np.testing.assert_array_equal(classes[:, 5, 5], [-1, -1, -1])
    np.testing.assert_array_equal(classes[:, 60, 60], [1, 0, 0])


def test_shape_completion_sees_beyond_the_rim_but_skips_cut_particles():
    labels = square(96, 20, 61)
    labels[70:, 40:60] = 3  # cut by the border
    config = StarDistConfig(train_shape_completion=True, train_completion_crop=24, n_rays=4, grid=(1, 1))
    targets = make_targets(labels, config)
    assert targets.prob.shape == (1, 48, 48)
    # The left side of the square lies at column 19.5, outside the cropped patch, yet the distance to it is whole.
    assert abs(targets.dist[2, 40 - 24, 40 - 24] - 20.5) <= 0.51
    assert targets.mask[0, -1, 50 - 24] == 0
    assert targets.prob[0, -1, 50 - 24] > 0
