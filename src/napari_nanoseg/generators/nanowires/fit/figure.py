"""Grey values and noise of real and generated images, in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.generators.nanowires.fit.appearance import Fitted
from napari_nanoseg.generators.nanowires.fit.statistics import BANDS, LEVELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {"font.size": 8, "font.family": "DejaVu Sans", "axes.linewidth": 0.6}
BINS = 60


def fit_figure(fitted: Fitted, white: float) -> Figure:
    """Draw histograms without the outermost 0.5 % and noise power spectra; grey values are `white` times the pixels."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    series = (
        ("real", fitted.target, "#333333", "-"),
        ("generated before", fitted.before, "#D55E00", ":"),
        ("generated after", fitted.after, "#0072B2", "--"),
    )
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 2.8), dpi=200, layout="constrained")
        left, right = figure.subplots(1, 2)
        ends = [value for _, one, _, _ in series for value in (one.quantiles[0], one.quantiles[-1])]
        edges = np.linspace(min(ends), max(ends), BINS + 1)
        for name, one, colour, line in series:
            below = np.interp(edges, *_steps(one.quantiles))
            left.stairs(np.diff(below), white * edges, color=colour, linestyle=line, label=name)
            right.plot((BANDS[:-1] + BANDS[1:]) / 2, white**2 * one.spectrum, line, color=colour, marker=".")
        left.set_xlabel("Grey value")
        left.set_ylabel("Fraction of the pixels")
        right.set_yscale("log")
        right.set_xlabel("Frequency (cycles per px)")
        right.set_ylabel("Noise power (grey values²)")
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def _steps(quantiles: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grey values, each once, and the fraction of the pixels that are not brighter."""
    values, counts = np.unique(quantiles, return_counts=True)
    return values, LEVELS[counts.cumsum() - 1]
