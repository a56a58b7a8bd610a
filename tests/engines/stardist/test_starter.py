"""The model that comes with the package: on images that are easy for people, and on those that are bad."""

from __future__ import annotations

import numpy as np
import pytest
from followed import events_of, leave_at

from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.matching import evaluate
from napari_nanoseg.events import Notice, Progress
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image


@pytest.fixture(scope="module")
def starter():
    return load_model("starter")


def shaded_discs(shape, radii, seed):
    """Bright shaded discs that do not touch, largest first, and their truth."""
    rng = np.random.default_rng(seed)
    labels, pixels = np.zeros(shape, np.int32), np.full(shape, 70.0)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    for number, radius in enumerate(sorted(radii, reverse=True), 1):
        for _ in range(500):
            row, column = (rng.uniform(radius + 3, size - radius - 3) for size in shape)
            away = np.hypot(rows - row, columns - column)
            if not labels[away < radius + 4].any():
                break
        else:
            raise AssertionError("no room for the discs")
        inside = away < radius
        labels[inside] = number
        pixels[inside] += 90 * (0.6 + 0.4 * np.sqrt(1 - (away[inside] / radius) ** 2))
    pixels += rng.normal(0, 6, shape)
    return np.clip(pixels, 0, 255).astype(np.uint8), Instances.from_labels(labels)


@pytest.fixture(scope="module")
def discs():
    return shaded_discs((160, 170), [12] * 9, 1)


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(100, 10, shape).astype(np.float32)


@pytest.mark.parametrize("diameter", [None, 24.0])
def test_discs_are_found_told_and_untold(starter, discs, diameter):
    pixels, truth = discs
    assert evaluate(truth, starter.segment(pixels, SegmentConfig(diameter=diameter)), 0.75).f1 > 0.9


def test_inverted_rotated_16_bit_and_coloured_images_give_the_same(starter, discs):
    pixels, truth = discs
    colours = Image(np.stack([pixels] * 3, axis=-1), "YXC", source="colours")
    told = SegmentConfig(diameter=24)
    for same in (255 - pixels, pixels.astype(np.uint16) * 100 + 5000, pixels / 255, colours):
        assert evaluate(truth, starter.segment(same, told), 0.75).f1 > 0.9
    assert evaluate(truth, starter.segment(255 - pixels), 0.75).f1 > 0.9
    assert len(starter.segment(np.rot90(pixels))) == len(truth)


def test_saturated_pixels_change_nearly_nothing(starter, discs):
    pixels, _ = discs
    wide = pixels.astype(np.uint16) * 8 + 500
    spoilt = wide.copy()
    spoilt.ravel()[np.random.default_rng(2).choice(spoilt.size, 27, replace=False)] = 65535
    assert evaluate(starter.segment(wide), starter.segment(spoilt), 0.75).f1 > 0.95


def test_few_small_particles_on_a_wide_background(starter):
    pixels, truth = shaded_discs((260, 280), [8] * 5, 3)
    assert evaluate(truth, starter.segment(pixels)).f1 > 0.8


@pytest.mark.parametrize(("least", "largest"), [(7, 28), (10, 40)])
def test_sizes_that_differ_by_a_factor_4_are_found_in_one_image(starter, least, largest):
    radii = np.geomspace(least, largest, 24)
    pixels, truth = shaded_discs((14 * largest, 15 * largest), radii, 5)
    assert evaluate(truth, starter.segment(pixels)).recall >= 0.8


@pytest.mark.parametrize("radii", [[8] * 30 + [32] * 8, [8] * 60 + [32] * 4, [12] * 20 + [48] * 6])
def test_two_sizes_a_factor_4_apart_are_found_without_a_diameter(starter, radii):
    pixels, truth = shaded_discs((480, 520), radii, 3)
    assert evaluate(truth, starter.segment(pixels)).recall >= 0.9


@pytest.mark.parametrize("value", [0, 77])
def test_an_image_of_one_value_has_no_particle_and_it_is_said(
    starter,
    value,
):
    events, found = events_of(
        lambda: starter.segment(Image(np.full((80, 90), value, np.uint8), source="flat"), SegmentConfig())
    )
    assert len(found) == 0
    assert any("all pixels are the same" in event.message for event in events if isinstance(event, Notice))


def test_one_bright_pixel_alone_is_no_particle(starter):
    pixels = np.full((100, 120), 10, np.uint8)
    pixels[50, 60] = 200
    assert len(starter.segment(pixels)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 90), (16, 16), (130, 128)])
def test_small_images_and_noise_are_no_problem(starter, shape):
    assert len(starter.segment(noise(shape))) <= 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_refused(starter, value):
    pixels = noise((60, 60))
    pixels[5, 7] = value
    for config in (SegmentConfig(), SegmentConfig(diameter=20)):
        with pytest.raises(NanosegError, match="NaN or infinite"):
            starter.segment(pixels, config)


def test_the_diameter_of_a_huge_image_is_looked_for_in_small_steps(starter):
    """16,384 px a side, of which only the pages that are read take memory."""
    pixels = np.broadcast_to(noise((1, 16384)), (16384, 16384))
    *_, last = leave_at(
        lambda event: isinstance(event, Progress) and event.done == 1,
        lambda: starter.segment(Image(pixels, source="huge"), SegmentConfig()),
    )
    assert last.total > 20
