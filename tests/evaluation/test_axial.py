"""Statistics of directions: what is known in closed form, and that the circle may be cut anywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstwo, wasserstein_distance

from napari_nanoseg.evaluation.axial import (
    axial_density,
    axial_difference,
    axial_median,
    axial_wasserstein,
    kuiper,
)

angles = st.lists(st.integers(0, 719), min_size=1, max_size=12).map(lambda quarters: np.array(quarters) / 4)


def test_one_direction_turned_by_90_degrees_is_as_far_as_can_be():
    one, other = np.full(7, 30.0), np.full(3, 120.0)
    assert axial_wasserstein(one, other) == pytest.approx(90)
    assert kuiper(one, other)[0] == 1
    assert axial_wasserstein(one, one + 180) == 0
    assert kuiper(one, one + 180) == (0, 1)


@pytest.mark.parametrize("turn", [1.0, 20.0, -30.0])
def test_a_turned_distribution_is_as_far_as_the_turn(turn):
    one = np.random.default_rng(0).normal(175, 8, 300)  # both sides of the cut
    assert axial_wasserstein(one, one + turn) == pytest.approx(abs(turn))
    assert axial_difference(one + turn, one) == pytest.approx(turn)


def test_far_from_the_cut_it_is_the_usual_distance():
    rng = np.random.default_rng(1)
    one, other = rng.uniform(60, 80, 40), rng.uniform(65, 100, 55)
    assert axial_wasserstein(one, other) == pytest.approx(wasserstein_distance(one, other))


@given(angles, angles, st.integers(0, 719))
def test_distances_do_not_depend_on_where_the_circle_is_cut(one, other, turned):
    turn = turned / 4
    for distance in (axial_wasserstein, lambda *both: kuiper(*both)[0]):
        there = distance(one, other)
        assert distance(one + turn, other + turn) == pytest.approx(there, abs=1e-9)
        assert distance(other, one) == pytest.approx(there, abs=1e-9)
        assert distance(one, one + 180) == pytest.approx(0, abs=1e-9)
    assert 0 <= axial_wasserstein(one, other) <= 90 + 1e-9


@given(angles)
def test_the_median_has_the_least_mean_turn(one):
    median = axial_median(one)
    assert median in one
    turns = np.abs(axial_difference(one[:, None], one[None])).mean(axis=0)
    assert np.abs(axial_difference(one, np.full_like(one, median))).mean() == pytest.approx(turns.min(), abs=1e-9)


def test_the_median_lies_between_directions_on_both_sides_of_the_cut():
    assert axial_median(np.array([178.0, 1.0, 4.0])) == 1
    assert axial_median(np.array([170.0, 179.0, 3.0])) == 179


def test_samples_of_one_distribution_have_evenly_spread_p_values():
    rng = np.random.default_rng(2)
    values = np.sort([kuiper(rng.uniform(0, 180, 60), rng.uniform(0, 180, 80))[1] for _ in range(400)])
    distance = np.abs(values - (np.arange(400) + 0.5) / 400).max()
    assert kstwo.sf(distance, 400) > 0.001
    assert kuiper(rng.normal(20, 5, 60), rng.normal(40, 5, 80))[1] < 1e-6


def test_the_density_is_one_in_all_and_comes_round():
    rng = np.random.default_rng(3)
    grid, density = axial_density(rng.normal(178, 10, 500))
    assert np.trapezoid(density, grid) == pytest.approx(1, rel=1e-3)
    assert density[0] == pytest.approx(density[-1])
    assert min(grid[density.argmax()], 180 - grid[density.argmax()]) < 6
    grid, density = axial_density(np.concatenate((rng.normal(20, 4, 300), rng.normal(110, 4, 300))))
    assert density[40] > 2 * density[130] < density[220]  # two peaks a right angle apart, 65 degrees lie between


@pytest.mark.parametrize("values", [[], [5.0], [5.0] * 9, [5.0, 185.0]])
def test_directions_that_are_all_one_have_no_density(values):
    assert axial_density(np.array(values)) is None
