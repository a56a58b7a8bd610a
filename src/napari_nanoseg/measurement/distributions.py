"""How large the particles are: figures of the size distribution, and its picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.arguments import as_table
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.measurement.particles import in_nm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

PAPER_STYLE: dict[Any, Any] = {"font.size": 8, "font.family": "DejaVu Sans", "axes.linewidth": 0.6}
SIZE = "equivalent_diameter"
BAR, DENSITY, FIT, MARK = "#56B4E9", "#0072B2", "#D55E00", "#333333"
"""Okabe and Ito's colours, which colour-blind readers tell apart (jfly.uni-koeln.de/color)."""


def size_summary(table: DataFrame, exclude_border: bool = True) -> dict[str, int | float | None]:
    """Figures of the distribution of equivalent diameters.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`~napari_nanoseg.measurement.particles.measure`; several tables may be stacked.
    exclude_border : bool
        Leave out particles that touch the image border: they are cut off and look too small.

    Returns
    -------
    dict
        ``n`` (particles counted), ``n_border`` (particles at the border, counted or not), then, with the suffix
        ``_nm`` when the table is calibrated and in pixels without: ``mean``, ``std`` (n - 1), the diameters ``d10``,
        ``d50`` (the median), ``d90`` below which 10, 50 and 90 % of the particles lie, ``d10_volume``,
        ``d50_volume``, ``d90_volume`` below which 10, 50 and 90 % of the volume lies when each particle is taken as
        a sphere, and the log-normal fit's ``lognormal_median`` and unitless ``lognormal_gsd`` (geometric standard
        deviation). None where too few particles are left.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> summary = ns.size_summary(ns.measure(truth, pixel_size_nm=2.5))
    >>> summary["n"], round(summary["d50_nm"], 1)
    (64, 136.7)
    """
    sizes, unit = _sizes(table, exclude_border)
    n = len(sizes)
    quantiles = np.quantile(sizes, (0.1, 0.5, 0.9)).tolist() if n else [None] * 3
    by_volume = (
        np.quantile(sizes, (0.1, 0.5, 0.9), weights=sizes**3, method="inverted_cdf").tolist() if n else [None] * 3
    )
    median, gsd = lognormal_fit(sizes) if n > 1 else (None, None)
    suffix = f"_{unit}" if unit else ""
    return {
        "n": n,
        "n_border": int(table["touches_border"].sum()),
        f"mean{suffix}": float(sizes.mean()) if n else None,
        f"std{suffix}": float(sizes.std(ddof=1)) if n > 1 else None,
        **{f"d{percent}{suffix}": value for percent, value in zip((10, 50, 90), quantiles, strict=True)},
        **{f"d{percent}_volume{suffix}": value for percent, value in zip((10, 50, 90), by_volume, strict=True)},
        f"lognormal_median{suffix}": median,
        "lognormal_gsd": gsd,
    }


def lognormal_fit(sizes: NDArray[np.float64]) -> tuple[float, float]:
    """Median and geometric standard deviation of the log-normal distribution most likely to give these sizes.

    The maximum-likelihood estimates are the exponentials of the mean and of the standard deviation (n) of ln d.
    """
    logarithms = np.log(sizes)
    return math.exp(logarithms.mean()), math.exp(logarithms.std())


def distribution_figure(table: DataFrame, exclude_border: bool = True) -> Figure:
    """Histogram of the equivalent diameters with their density, log-normal fit and D10, D50 and D90.

    Parameters
    ----------
    table, exclude_border
        As for :func:`size_summary`.

    Returns
    -------
    matplotlib.figure.Figure
        One column of a journal wide (89 mm). Bars follow the rule of Freedman and Diaconis or Sturges, whichever
        gives more; the density is a Gaussian kernel estimate with Scott's bandwidth. Both curves are scaled to
        particles per bar.

    Raises
    ------
    NanosegError
        When no particle is left.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> figure = ns.distribution_figure(ns.measure(truth, pixel_size_nm=2.5))
    >>> figure.axes[0].get_xlabel()
    'Equivalent diameter (nm)'
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    sizes, unit = _sizes(table, exclude_border)
    if not len(sizes):
        raise NanosegError("No particle is left for a size distribution; count those at the border too.")
    if unit and np.median(sizes) >= 1000:
        sizes, unit = sizes / 1000, "µm"
    with rc_context(PAPER_STYLE):
        figure = Figure(figsize=(3.5, 2.9), dpi=300, layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, sizes)
        axes.set_xlabel(f"Equivalent diameter ({unit or 'px'})")
        axes.set_ylabel("Number of particles")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(
            frameon=False, fontsize=7, loc="outside upper center", ncols=2, columnspacing=0.9, handlelength=1.5
        )
    return figure


def kernel_density(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Gaussian kernel density with Scott's bandwidth (D. W. Scott, Multivariate Density Estimation, 1992).

    Parameters
    ----------
    values : float64 array, shape (N,)
        Positive.

    Returns
    -------
    tuple of two float64 arrays, shape (400,), or None
        Values and the density there; None where fewer than two values differ.
    """
    from scipy.stats import gaussian_kde

    if len(values) < 2 or np.ptp(values) <= 1e-9 * values.max():
        return None
    kernel = gaussian_kde(values)
    margin = 3 * float(kernel.factor) * values.std(ddof=1)
    grid = np.linspace(max(values.min() - margin, 1e-3 * values.min()), values.max() + margin, 400)
    return grid, kernel(grid)


def _sizes(table: DataFrame, exclude_border: bool) -> tuple[NDArray[np.float64], str]:
    """Diameters that count, and their unit ("nm", or "" for pixels)."""
    as_table(table, "'table'", ("touches_border", SIZE))
    kept = table[~table["touches_border"].astype(bool)] if exclude_border else table
    unit = "nm" if in_nm(SIZE) in table else ""
    return kept[in_nm(SIZE) if unit else SIZE].to_numpy(dtype=np.float64), unit


def _draw(axes: Axes, sizes: NDArray[np.float64]) -> None:
    from scipy.stats import lognorm

    counts, edges, _ = axes.hist(
        sizes, bins="auto", color=BAR, edgecolor="white", linewidth=0.5, label=f"n = {len(sizes)}"
    )
    top = float(np.max(counts))
    curve = kernel_density(sizes)
    if curve is not None:
        grid, density = curve
        median, gsd = lognormal_fit(sizes)
        per_bar = len(sizes) * float(edges[1] - edges[0])
        density = density * per_bar
        fit = lognorm.pdf(grid, math.log(gsd), scale=median) * per_bar
        axes.plot(grid, density, color=DENSITY, linewidth=1.2, label="kernel density")
        axes.plot(
            grid, fit, "--", color=FIT, linewidth=1.2, label=f"log-normal (median {_short(median)}, GSD {gsd:.2f})"
        )
        top = max(top, float(density.max()), float(fit.max()))
        for percent, value in zip((10, 50, 90), np.quantile(sizes, (0.1, 0.5, 0.9)).tolist(), strict=True):
            axes.axvline(value, color=MARK, linewidth=0.7, linestyle=":")
            axes.annotate(
                f"D{percent} = {_short(value)}", (value, 1.0), xycoords=("data", "axes fraction"), rotation=90,
                xytext=(-2, -3), textcoords="offset points", ha="right", va="top", fontsize=7, color=MARK,
            )  # fmt: skip
    axes.set_ylim(0, 1.4 * top)


def _short(value: float) -> str:
    """Three digits that count."""
    return f"{value:#.3g}".rstrip(".")
