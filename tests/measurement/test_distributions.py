"""Size distributions: figures of known distributions, and what the picture says."""

from __future__ import annotations

import math

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import lognorm

from napari_nanoseg import Calibration, NanosegError, measure
from napari_nanoseg.measurement.distributions import distribution_figure, size_summary


def table_of(sizes, border=None, unit="_nm"):
    sizes = np.asarray(sizes, float)
    touches = np.zeros(len(sizes), bool) if border is None else np.asarray(border)
    table = pd.DataFrame({"equivalent_diameter": sizes / 2, "touches_border": touches})
    return table.assign(equivalent_diameter_nm=sizes) if unit else table


def test_figures_of_a_known_log_normal():
    sizes = lognorm.ppf((np.arange(4000) + 0.5) / 4000, math.log(1.4), scale=50)
    figures = size_summary(table_of(sizes))
    assert figures["n"] == 4000
    assert figures["d50_nm"] == pytest.approx(50, rel=1e-3)
    assert figures["d10_nm"] == pytest.approx(50 * 1.4**-1.2816, rel=0.01)
    assert figures["d90_nm"] == pytest.approx(50 * 1.4**1.2816, rel=0.01)
    assert figures["lognormal_median_nm"] == pytest.approx(50, rel=1e-3)
    assert figures["lognormal_gsd"] == pytest.approx(1.4, rel=0.01)
    # Hatch and Choate: the volume median of a log-normal lies higher by exp(3 ln^2 GSD)
    assert figures["d50_volume_nm"] == pytest.approx(50 * math.exp(3 * math.log(1.4) ** 2), rel=0.02)
    assert figures["mean_nm"] == pytest.approx(50 * math.exp(math.log(1.4) ** 2 / 2), rel=0.01)


def test_volume_counts_large_particles_more():
    figures = size_summary(table_of([1.0] * 999 + [10.0]))
    assert figures["d50_nm"] == 1
    assert figures["d50_volume_nm"] == 10
    assert figures["d10_volume_nm"] == 1
    assert figures["std_nm"] == pytest.approx(np.std([1.0] * 999 + [10.0], ddof=1))


def test_particles_at_the_border_are_left_out_unless_asked_for():
    table = table_of([10, 20, 30, 2], border=[False, False, False, True])
    assert (size_summary(table)["n"], size_summary(table)["n_border"]) == (3, 1)
    assert size_summary(table)["d50_nm"] == 20
    assert size_summary(table, exclude_border=False)["d50_nm"] == 15


def test_without_calibration_names_carry_no_unit():
    figures = size_summary(table_of([4, 6], unit=""))
    assert figures["d50"] == 2.5
    assert not [name for name in figures if name.endswith("_nm")]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_particles_give_none(count):
    figures = size_summary(table_of([5.0] * count))
    assert figures["n"] == count
    assert figures["std_nm"] is None
    assert figures["lognormal_gsd"] is None
    assert figures["d50_nm"] == (5 if count else None)
    assert list(figures) == list(size_summary(table_of([1.0, 2.0])))


def test_the_figure_has_units_marks_and_both_curves():
    rng = np.random.default_rng(0)
    figure = distribution_figure(table_of(rng.lognormal(4, 0.3, 200)))
    (axes,) = figure.axes
    assert axes.get_xlabel() == "Equivalent diameter (nm)"
    assert [text.get_text()[:3] for text in axes.texts] == ["D10", "D50", "D90"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0] == "n = 200"
    assert labels[1] == "kernel density"
    assert labels[2].startswith("log-normal")
    bars = sum(bar.get_height() for bar in axes.patches)
    assert bars == 200
    width = axes.patches[0].get_width()
    for line in axes.lines[:2]:
        assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(200 * width, rel=0.02)


def test_large_particles_get_micrometres_and_pixels_stay_pixels():
    rng = np.random.default_rng(0)
    large = distribution_figure(table_of(rng.lognormal(8, 0.3, 50))).axes[0]
    assert large.get_xlabel() == "Equivalent diameter (µm)"
    assert large.get_xlim()[1] < 20
    assert distribution_figure(table_of([3, 4, 6], unit="")).axes[0].get_xlabel() == "Equivalent diameter (px)"


@pytest.mark.parametrize("sizes", [[7.0], [7.0] * 30, [7.0, 9.0]])
def test_few_or_equal_particles_still_make_a_figure(sizes):
    figure = distribution_figure(table_of(sizes))
    figure.canvas.draw()
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == len(sizes)


def test_the_figure_leaves_global_settings_alone_and_needs_particles():
    before = dict(matplotlib.rcParams)
    distribution_figure(measure(np.eye(9, dtype=int) * np.arange(9), Calibration.of(1.0)), exclude_border=False)
    assert dict(matplotlib.rcParams) == before
    with pytest.raises(NanosegError, match="border"):
        distribution_figure(table_of([5.0], border=[True]))
