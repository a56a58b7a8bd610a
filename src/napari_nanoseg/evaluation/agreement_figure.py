"""The picture of how well sizes, shapes and directions agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.errors import need
from napari_nanoseg.evaluation.agreement import Agreement, Agreements
from napari_nanoseg.evaluation.axial import PERIOD, axial_density
from napari_nanoseg.measurement.distributions import PAPER_STYLE, kernel_density
from napari_nanoseg.measurement.particles import POWER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Line = Literal["-", "--"]
SIDES: dict[str, tuple[str, str, Line]] = {
    "truth": ("true", "#0072B2", "-"),
    "prediction": ("predicted", "#D55E00", "--"),
}
"""Names, colours of Okabe and Ito (jfly.uni-koeln.de/color), and lines."""


def agreement_figure(agreements: Agreements) -> Figure:
    """Kernel densities of the true and of the predicted particles, quantity by quantity.

    Parameters
    ----------
    agreements : mapping of str to Agreement
        From :func:`~napari_nanoseg.evaluation.agreement.agreement`.

    Returns
    -------
    matplotlib.figure.Figure
        One column of a journal wide (89 mm). Every area under a curve is 1; values that are all equal are a line. Over
        each pair stand the Kolmogorov-Smirnov (of directions: Kuiper) statistic and the Wasserstein distance.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> figure = ns.agreement_figure(ns.agreement(truth, truth[:60], pixel_size_nm=2.5))
    >>> [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
    ['Area (nm²)', 'Aspect ratio', 'Orientation (°)', 'Equivalent diameter (nm)', 'Feret max (nm)']
    """
    need(agreements, Mapping, "agreement_figure: 'agreements'", "what agreement() gives")
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    with rc_context(PAPER_STYLE):
        figure = Figure(figsize=(3.5, 4.4), dpi=300, layout="constrained")
        *panels, last = figure.subplots(3, 2).ravel()
        for axes, found in zip(panels, agreements.values(), strict=True):
            _draw(axes, found)
        last.set_axis_off()
        first = next(iter(agreements.values())).figures()
        handles = [
            Line2D([], [], color=colour, linestyle=line, linewidth=1.2, label=f"{name}, {first[f'n_{side}']}")
            for side, (name, colour, line) in SIDES.items()
        ]
        last.legend(handles=handles, loc="center", frameon=False, fontsize=7, title="Particles", title_fontsize=7)
    return figure


def _draw(axes: Axes, found: Agreement) -> None:
    figures = found.figures()
    divisor, unit = _reading_unit(found)
    for side, (_, colour, line) in SIDES.items():
        values: NDArray[np.float64] = getattr(found, side) / divisor
        curve = axial_density(values) if found.circular else kernel_density(values)
        if curve is not None:
            axes.plot(*curve, color=colour, linestyle=line, linewidth=1.2)
            axes.fill_between(*curve, color=colour, alpha=0.12, linewidth=0)
        elif len(values):
            axes.axvline(values[0], color=colour, linestyle=line, linewidth=1.2)
    if found.circular:
        axes.set_xlim(0, PERIOD)
        axes.set_xticks(np.arange(0, PERIOD + 1, 45))
    else:
        axes.locator_params(axis="x", nbins=4)
    axes.set_ylim(bottom=0)
    axes.set_yticks([])
    axes.set_xlabel(found.title.replace(found.unit, unit) if unit else found.title, fontsize=7)
    axes.tick_params(labelsize=7)
    axes.set_title(_said(figures, found.circular, divisor, unit), fontsize=7)


def _said(figures: dict[str, int | float | str | None], circular: bool, divisor: float, unit: str) -> str:
    statistic, distance = figures["ks"], figures["wasserstein"]
    if not isinstance(statistic, float) or not isinstance(distance, float):
        without = [name for side, (name, *_) in SIDES.items() if not figures[f"n_{side}"]]
        return f"no {' and no '.join(without)} particle"
    distance /= divisor
    digits = f"{distance:.2g}" if distance < 100 else f"{distance:.0f}"
    space = "" if unit in ("", "°") else " "
    return f"{'Kuiper' if circular else 'KS'} {statistic:.2g}, W {digits}{space}{unit}"


def _reading_unit(found: Agreement) -> tuple[float, str]:
    """What to divide values by, and their unit then: micrometres for large particles."""
    values = found.truth if len(found.truth) else found.prediction
    factor = 1000.0 ** POWER.get(found.quantity, 0)
    if found.unit.startswith("nm") and len(values) and np.median(values) >= factor:
        return factor, found.unit.replace("nm", "µm")
    return 1.0, found.unit
