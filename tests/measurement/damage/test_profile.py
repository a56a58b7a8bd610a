"""Means with bands, and densities of the distribution of damage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_nanoseg.measurement.damage.profile import Distribution, mean_share


def test_the_mean_is_that_of_all_pixels():
    found = mean_share(np.array([1, 5, 0]), np.array([10, 20, 5]), 0.95)
    assert found.value == pytest.approx(6 / 35)
    assert 0 <= found.low < found.value < found.high <= 1


def test_the_band_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(400):
        whole = rng.integers(500, 2500, 36)
        part = rng.binomial(whole, rng.beta(4, 96, 36))  # windows differ more than pixels do
        found = mean_share(part, whole, 0.9)
        inside += found.low <= 0.04 <= found.high
    assert 0.85 < inside / 400 < 0.94


@pytest.mark.parametrize(("part", "whole"), [([0], [0]), ([], [])])
def test_without_area_there_is_no_mean(part, whole):
    assert math.isnan(mean_share(np.array(part, int), np.array(whole, int), 0.95).value)


def test_one_window_has_no_band():
    found = mean_share(np.array([2]), np.array([8]), 0.95)
    assert found.value == 0.25
    assert math.isnan(found.low)


def test_density_integrates_to_one_and_stays_between_0_and_1():
    rng = np.random.default_rng(0)
    grid = np.linspace(0, 1, 2001)
    for values in (rng.beta(1, 30, 5000), rng.beta(5, 5, 5000), np.zeros(100), np.ones(4)):
        density = Distribution(values, 40).density(grid)
        assert np.trapezoid(density, grid) == pytest.approx(1, abs=0.02)


def test_density_of_a_known_distribution():
    values = np.random.default_rng(1).normal(0.4, 0.05, 200_000)
    found = Distribution(values, 2000)
    width = math.hypot(0.05, found.bandwidth)
    assert found.bandwidth == pytest.approx(0.05 * 2000**-0.2, rel=0.02)
    assert found.density(np.array([0.4]))[0] == pytest.approx(1 / (width * math.sqrt(math.tau)), rel=0.02)


def test_no_windows_no_density():
    assert np.isnan(Distribution(np.array([np.nan]), 1).density(np.array([0.1]))).all()
