"""Changes of training patches keep the truth true."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import regionprops

from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.engines.augment import (
    BURNT_IN_FRACTION,
    MIRRORED_FRACTION,
    burn_in,
    change_intensity,
    mirror_border,
    turn,
    warped_patch,
)


def patch(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An image whose bright pixels are the labelled ones."""
    labels = np.zeros((64, 64), np.int32)
    labels[8:30, 12:50] = 3
    labels[40:60, 5:20] = 7
    noise = np.random.default_rng(seed).normal(0, 0.02, labels.shape)
    return ((labels > 0) + noise).astype(np.float32), labels


@pytest.mark.parametrize("seed", range(8))
def test_turning_moves_image_and_labels_alike(seed):
    image, labels = turn(*patch(), np.random.default_rng(seed))
    np.testing.assert_array_equal(image > 0.5, labels > 0)


@pytest.mark.parametrize("seed", range(5))
def test_warping_moves_image_and_labels_alike_and_knows_nothing_outside(seed):
    image, labels = patch()
    config = TrainConfig(blur=0).filled(fine_tuning=False)
    pixels, truth = warped_patch(image, labels, (20.0, 20.0), 64, config, np.random.default_rng(seed))
    known = truth >= 0
    assert 0.2 < known.mean() < 1
    assert ((pixels > 0.5) == (truth > 0))[known].mean() > 0.97


def test_stretching_makes_discs_ellipses_of_the_same_area():
    rows, columns = np.mgrid[:128, :128]
    labels = (np.hypot(rows - 64, columns - 64) < 12).astype(np.int32)
    config = TrainConfig(blur=0, scale=(1, 1), stretch=3).filled(fine_tuning=False)
    ratios = []
    for seed in range(60):
        pixels, truth = warped_patch(
            labels.astype(np.float32), labels, (64.0, 64.0), 96, config, np.random.default_rng(seed)
        )
        assert ((pixels > 0.5) == (truth > 0)).mean() > 0.98
        (disc,) = regionprops((truth > 0).astype(np.uint8))
        assert disc.area == pytest.approx(labels.sum(), rel=0.06)
        ratios.append(disc.axis_major_length / disc.axis_minor_length)
    assert np.mean(np.array(ratios) < 1.05) == pytest.approx(0.5, abs=0.15), "half of the patches"
    assert 2.3 < max(ratios) < 3.2


def test_letters_cover_a_fraction_of_the_patches():
    image, _ = patch()
    rng = np.random.default_rng(1)
    changed = [float((burn_in(image, rng) != image).mean()) for _ in range(300)]
    assert np.mean(np.array(changed) > 0) == pytest.approx(BURNT_IN_FRACTION, abs=0.08)
    assert max(changed) < 0.7


def test_a_mirrored_border_is_numpys_reflection_of_unknown_truth():
    image, labels = patch()
    rng = np.random.default_rng(2)
    mirrored = 0
    for _ in range(200):
        pixels, truth = mirror_border(image, labels, 8, rng)
        rows, columns = np.nonzero(truth >= 0)
        inner = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        np.testing.assert_array_equal(truth[inner], labels[inner])
        pads = [(part.start, 64 - part.stop) for part in inner]
        np.testing.assert_array_equal(pixels, np.pad(image[inner], pads, mode="reflect"))
        mirrored += pads != [(0, 0), (0, 0)]
    assert mirrored / 200 == pytest.approx(MIRRORED_FRACTION, abs=0.12)
    np.testing.assert_array_equal(patch()[0], image)


def test_inversion_exchanges_dark_and_bright():
    image, labels = patch()
    config = TrainConfig(invert=1, intensity=0, noise=0)
    inverted = change_intensity(image, config, np.random.default_rng(3))
    np.testing.assert_array_equal(inverted < 0.5, labels > 0)


@pytest.mark.parametrize("size", [32, 64, 65, 128])
def test_the_mirrored_rim_leaves_half_of_a_patch(size):
    image = np.random.default_rng(0).random((size, size)).astype(np.float32)
    for seed in range(20):
        _, labels = mirror_border(image, np.zeros((size, size), np.int32), 32, np.random.default_rng(seed))
        known = labels >= 0
        assert known.any(axis=0).sum() > size / 2
        assert known.any(axis=1).sum() > size / 2
