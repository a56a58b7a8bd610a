"""Pictures of the damage of a volume."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from napari_nanoseg.errors import need
from napari_nanoseg.measurement.damage.analysis import Damage
from napari_nanoseg.measurement.distributions import BAR, DENSITY, FIT, MARK, PAPER_STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PACKED = "#009E73"
"""Okabe and Ito's green (jfly.uni-koeln.de/color)."""


def damage_figures(damage: Damage, beside: Damage | None = None) -> dict[str, Figure]:
    """All pictures of an analysis, by name; one column of a journal wide (89 mm).

    Parameters
    ----------
    damage : Damage
        From :func:`~napari_nanoseg.measurement.damage.analysis.damage`.
    beside : Damage, optional
        Another analysis of the same volume, whose profile is drawn beside it: that of the baseline.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        ``profile``, ``distribution``; ``correlation`` and ``slope`` where there are particles; ``cracks`` where cracks
        were measured and there are some.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> classes = ns.open_volume(ns.sample_data() / "cathode" / "classes.tif")
    >>> found = ns.damage(classes, names=("crack", "void", "binder", "particle"), window=25)
    >>> sorted(ns.damage_figures(found))
    ['correlation', 'cracks', 'distribution', 'profile', 'slope']
    """
    need(damage, Damage, "damage_figures: 'damage'", "what damage() gives")
    figures = {"profile": _profile_figure(damage, beside), "distribution": distribution_figure(damage)}
    if len(damage.correlation):
        figures["correlation"] = correlation_figure(damage)
        figures["slope"] = _figure(lambda axes: _draw_slope(axes, damage))
    if damage.directions is not None and len(damage.widths):
        figures["cracks"] = _crack_figure(damage)
    return figures


def distribution_figure(damage: Damage) -> Figure:
    """How the damage is distributed in the slices of :attr:`Damage.distribution`."""
    return _figure(lambda axes: _draw_distribution(axes, damage))


def correlation_figure(damage: Damage) -> Figure:
    """The windows of :attr:`Damage.points` and the first line of :attr:`Damage.correlation`."""
    return _figure(lambda axes: _draw_correlation(axes, damage))


def _figure(draw: Callable[[Axes], None]) -> Figure:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(PAPER_STYLE):
        figure = Figure(figsize=(3.5, 2.6), dpi=300, layout="constrained")
        draw(figure.add_subplot())
    return figure


def _profile_figure(damage: Damage, beside: Damage | None) -> Figure:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    table = damage.profile
    depths = table[damage.lengths.depth].to_numpy()
    shown = {key: colour for key, colour in (("damage", FIT), ("packing", PACKED)) if key in table}
    with rc_context(PAPER_STYLE):
        figure = Figure(figsize=(3.5, 1.0 + 1.6 * len(shown)), dpi=300, layout="constrained")
        panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False).ravel()
        for axes, (key, colour) in zip(panels, shown.items(), strict=True):
            axes.plot(depths, table[key], color=colour, linewidth=1.2)
            axes.fill_between(depths, table[f"{key}_low"], table[f"{key}_high"], color=colour, alpha=0.2, linewidth=0)
            if beside is not None and key in beside.profile:
                axes.plot(depths, beside.profile[key], color=MARK, linewidth=1.0, linestyle=":", label="threshold")
            axes.set_ylabel(_titles(damage)[key])
            axes.set_ylim(bottom=0)
        if beside is not None:
            panels[0].legend(frameon=False, fontsize=7)
        panels[-1].set_xlabel(_depth(damage))
    return figure


def _draw_distribution(axes: Axes, damage: Damage) -> None:
    from matplotlib import colormaps

    table, name = damage.distribution, damage.lengths.depth
    groups = list(table.groupby("slice"))
    for number, (_, part) in enumerate(groups):
        colour = colormaps["viridis"](0.9 * number / max(len(groups) - 1, 1))
        label = f"{part[name].iloc[0]:.3g}"
        axes.plot(part["damage"], part["probability_density"], color=colour, linewidth=1.2, label=label)
    axes.set_xlabel(_titles(damage)["damage"])
    axes.set_ylabel("Probability density")
    axes.set_ylim(bottom=0)
    axes.legend(title=_depth(damage), frameon=False, fontsize=7, title_fontsize=7)


def _draw_correlation(axes: Axes, damage: Damage) -> None:
    points, line = damage.points, damage.correlation.iloc[0]
    axes.plot(points[:, 0], points[:, 1], ".", color=BAR, markersize=2, alpha=0.5, rasterized=True)
    if math.isfinite(line["slope"]):
        ends = np.array([points[:, 0].min(), points[:, 0].max()])
        axes.plot(ends, line["intercept"] + line["slope"] * ends, color=FIT, linewidth=1.2)
        chance = "" if not math.isfinite(line["p"]) else f", p = {line['p']:.2g}"
        axes.set_title(f"slope {line['slope']:.3g}, r = {line['r']:.2f}{chance}, n = {line['n']:.0f}", fontsize=7)
    axes.set_xlabel(_titles(damage)["packing"])
    axes.set_ylabel(_titles(damage)["damage"])


def _draw_slope(axes: Axes, damage: Damage) -> None:
    table, name = damage.correlation, damage.lengths.depth
    table = table[table["scope"] == "slice"]
    depths = table[name].to_numpy(np.float64)
    axes.axhline(0, color=MARK, linewidth=0.6)
    axes.plot(depths, table["slope"], ".", color=BAR, markersize=2, label="slice")
    axes.plot(depths, table["smooth_slope"], color=DENSITY, linewidth=1.2, label="smoothed")
    axes.fill_between(
        depths, table["smooth_slope_low"], table["smooth_slope_high"], color=DENSITY, alpha=0.2, linewidth=0
    )
    if damage.turn is not None:
        step = damage.lengths.voxel[0]
        axes.axvline(damage.turn.depth * step, color=FIT, linewidth=1.0, linestyle="--")
        surely = "" if damage.turn.significant else "; may be chance"
        axes.set_title(f"turns at {damage.turn.depth * step:.3g} {damage.lengths.shown()}{surely}", fontsize=7)
        if damage.turn.significant:
            axes.axvspan(damage.turn.low * step, damage.turn.high * step, color=FIT, alpha=0.15, linewidth=0)
    axes.set_xlabel(_depth(damage))
    axes.set_ylabel("Slope of damage against packing")
    axes.legend(frameon=False, fontsize=7)


def _crack_figure(damage: Damage) -> Figure:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    assert damage.directions is not None
    with rc_context(PAPER_STYLE):
        figure = Figure(figsize=(3.5, 2.0), dpi=300, layout="constrained")
        left, right = figure.subplots(1, 2)
        values, weights = damage.widths.T
        left.hist(values, bins=30, weights=weights / weights.sum(), color=BAR, edgecolor="white", linewidth=0.3)
        left.set_xlabel(f"Width of cracks ({damage.lengths.shown()})", fontsize=7)
        left.set_ylabel("Share of their length", fontsize=7)
        table = damage.directions[damage.directions["angle"] == "in_plane"]
        right.bar(
            table["from_deg"], table["share"], width=10, align="edge", color=BAR, edgecolor="white", linewidth=0.3
        )
        right.set_xlim(0, 180)
        right.set_xticks(np.arange(0, 181, 45))
        right.set_xlabel("Direction in the slice (°)", fontsize=7)
        for axes in (left, right):
            axes.tick_params(labelsize=7)
    return figure


def _titles(damage: Damage) -> dict[str, str]:
    return {"damage": f"Damage (cracks / {damage.config.normalise})", "packing": "Packing (particles / window)"}


def _depth(damage: Damage) -> str:
    return f"Depth ({damage.lengths.shown() if damage.lengths.unit else 'slices'})"
