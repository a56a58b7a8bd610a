"""Error maps: which particle lands where, and what the picture shows."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nanoseg import Image, NanosegError, evaluate
from napari_nanoseg.evaluation.error_map import error_map, overlay, overlay_figure, pixel_map


@pytest.fixture
def case():
    truth, prediction = np.zeros((40, 60), np.int32), np.zeros((40, 60), np.int32)
    truth[5:15, 5:15], truth[20:30, 20:30] = 3, 8
    prediction[5:15, 6:15], prediction[25:35, 45:55] = 11, 12
    return truth, prediction, evaluate(truth, prediction)


def test_every_particle_lands_in_its_map(case):
    truth, prediction, evaluation = case
    errors = error_map(*case)
    assert np.array_equal(errors.true_positives, np.where(prediction == 11, 11, 0))
    assert np.array_equal(errors.false_positives, np.where(prediction == 12, 12, 0))
    assert np.array_equal(errors.false_negatives, np.where(truth == 8, 8, 0))
    assert len(np.unique(errors.false_negatives)) - 1 == evaluation.false_negatives


def test_the_overlay_tints_areas_and_leaves_the_rest_grey(case):
    image = np.tile(np.linspace(0, 4000, 60), (40, 1)).astype(np.uint16)
    picture = overlay(image, error_map(*case)).astype(int)
    assert picture.shape == (40, 60, 3)
    assert (np.ptp(picture[36:], axis=2) == 0).all()
    assert picture[36, 0, 0] == 0
    assert picture[36, -1, 0] == 255
    right, wrong, missed = picture[10, 6], picture[25, 45], picture[20, 20]
    assert right.argmax() == 2
    assert wrong.argmin() == 2
    assert missed.argmin() == 1


@pytest.mark.parametrize("image", [np.zeros((40, 60)), np.full((40, 60, 3), 7, np.uint8)])
def test_flat_and_coloured_images_can_be_painted_on(case, image):
    assert overlay(image, error_map(*case)).dtype == np.uint8


def test_the_figure_counts_and_keeps_every_pixel(case):
    figure = overlay_figure(Image(np.random.default_rng(0).random((40, 60))), *case)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["found: 1 TP", "not there: 1 FP", "missed: 1 FN"]
    assert "F1 = 0.500" in figure.texts[0].get_text()
    axes = figure.axes[0]
    box = axes.get_window_extent()
    assert box.width / box.height == pytest.approx(60 / 40)
    assert axes.images[0].get_array().shape == (40, 60, 3)


def test_another_shape_is_refused(case):
    with pytest.raises(NanosegError, match="shape"):
        overlay_figure(np.zeros((40, 61)), *case)


def test_pixels_are_compared_whatever_particle_they_belong_to():
    truth, prediction = np.zeros((2, 4, 6), np.int64), np.zeros((2, 4, 6), np.uint8)
    truth[0, 1:3, 0:4], prediction[0, 1:3, 2:6] = [[5, 5, 6, 6]] * 2, 9
    truth[1, 0, 0] = -1
    found = pixel_map(truth, prediction)
    assert found.dtype == np.uint8
    assert found[0].tolist() == [[0] * 6, [3, 3, 1, 1, 2, 2], [3, 3, 1, 1, 2, 2], [0] * 6]
    assert not found[1].any()
    with pytest.raises(NanosegError, match="shape"):
        pixel_map(truth, prediction[0])
