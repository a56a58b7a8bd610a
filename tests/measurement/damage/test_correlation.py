"""Lines through windows, against SciPy, and the depth at which a slope turns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import linregress

from napari_nanoseg.measurement.damage.correlation import Correlation, sign_change

SHAPE = 6, 8


def planted(slopes, *, noise=0.01, seed=0, shape=SHAPE):
    """Windows whose damage depends on packing with a slope of its own in every slice."""
    rng = np.random.default_rng(seed)
    correlation, packing, damage = Correlation(shape), [], []
    for slope in slopes:
        x = rng.uniform(0.3, 0.9, shape)
        y = 0.05 + slope * (x - 0.6) + noise * rng.normal(size=shape)
        correlation.add(x, y)
        packing.append(x.ravel())
        damage.append(y.ravel())
    return correlation, np.array(packing), np.array(damage)


def test_lines_of_slices_are_those_of_scipy():
    correlation, packing, damage = planted([0.02, 0.0, -0.05], shape=(15, 16))
    for line, x, y in zip(correlation.slices(), packing, damage, strict=True):
        expected = linregress(x, y)
        assert line.n == len(x)
        assert line.slope == pytest.approx(expected.slope, rel=1e-9)
        assert line.intercept == pytest.approx(expected.intercept, rel=1e-9)
        assert line.r == pytest.approx(expected.rvalue, rel=1e-9)
        assert line.slope_error == pytest.approx(expected.stderr, rel=0.5)
        assert (line.p < 0.01) == (expected.pvalue < 0.01)


def test_line_of_the_volume():
    correlation, packing, damage = planted([0.03] * 30)
    line, expected = correlation.volume(), linregress(packing.ravel(), damage.ravel())
    assert (line.n, line.slope, line.r) == pytest.approx((packing.size, expected.slope, expected.rvalue))
    # windows are independent here, so that leaving out places tells what the residuals tell
    assert line.slope_error == pytest.approx(expected.stderr, rel=0.5)
    assert line.p < 1e-4


def test_slices_that_repeat_each_other_are_no_more_evidence():
    rng = np.random.default_rng(3)
    x, y = rng.random(SHAPE), rng.random(SHAPE)
    errors = []
    for slices in (1, 50):
        correlation = Correlation(SHAPE)
        for _ in range(slices):
            correlation.add(x, y)
        errors.append(correlation.volume().slope_error)
    assert errors[1] == pytest.approx(errors[0], rel=1e-6)


def test_chance_is_found_as_often_as_said():
    """Without a dependence, p below 0.1 comes about once in ten volumes."""
    rng = np.random.default_rng(8)
    low = 0
    for _ in range(200):
        correlation = Correlation(SHAPE)
        x, y = rng.random(SHAPE), rng.random(SHAPE)
        for _ in range(5):  # neighbouring slices are nearly the same
            packing, damage = x + 0.05 * rng.random(SHAPE), y + 0.05 * rng.random(SHAPE)
            correlation.add(packing, damage)
        low += correlation.volume().p < 0.1
    assert 8 <= low <= 36


def test_what_changes_with_depth_plays_no_part_within_slices():
    rng = np.random.default_rng(5)
    correlation = Correlation(SHAPE)
    for depth in np.linspace(0, 1, 20):
        x = depth + 0.1 * rng.random(SHAPE)
        correlation.add(x, 2 * depth - 0.5 * (x - depth))
    assert correlation.volume().slope > 1
    assert correlation.within_slices().slope == pytest.approx(-0.5)


def test_the_depth_of_the_turn_is_found():
    slopes = np.linspace(0.04, -0.06, 100)
    correlation, _, _ = planted(slopes, noise=0.004)
    turn = sign_change(*correlation.smoothed(5.0, 0.95))
    expected = np.interp(0, -slopes, np.arange(100))
    assert turn is not None
    assert turn.significant
    assert turn.before == 1
    assert turn.depth == pytest.approx(expected, abs=4)
    assert turn.low < turn.depth < turn.high
    assert turn.low - 1 <= expected <= turn.high + 1


def test_no_turn_and_a_turn_by_chance():
    correlation, _, _ = planted(np.full(60, 0.05))
    assert sign_change(*correlation.smoothed(4.0, 0.95)) is None
    for seed in range(6):
        correlation, _, _ = planted(np.zeros(60), seed=seed)
        turn = sign_change(*correlation.smoothed(4.0, 0.999))
        assert turn is None or not turn.significant


def test_constant_packing_has_no_slope():
    correlation = Correlation((2, 2))
    for _ in range(3):
        correlation.add(np.full((2, 2), 0.7), np.random.default_rng(0).random((2, 2)))
    assert math.isnan(correlation.volume().slope)
    assert all(math.isnan(line.p) for line in correlation.slices())
    assert sign_change(*correlation.smoothed(1.0, 0.95)) is None


def test_windows_that_do_not_count():
    correlation = Correlation((2, 3))
    x, y = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3) * 2
    y[0, 0], x[1, 2] = np.nan, np.nan
    correlation.add(x, y)
    line = correlation.slices()[0]
    assert (line.n, line.slope) == (4, pytest.approx(2))


def test_one_group_has_no_error():
    correlation = Correlation((4, 4), (1, 1))
    correlation.add(np.arange(16.0).reshape(4, 4), np.random.default_rng(0).random((4, 4)))
    assert math.isfinite(correlation.volume().slope)
    assert math.isnan(correlation.volume().p)
