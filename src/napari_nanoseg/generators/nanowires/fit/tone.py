"""A monotone tone curve that brings generated grey values to those of real images."""

from __future__ import annotations

import numpy as np

from napari_nanoseg.generators.nanowires.fit.statistics import Statistics

POINTS = 33
STEEPEST = 3.0
"""Slope of the curve, or its inverse, at most: what the generator does not draw, such as letters, must not be made of
the background's noise."""


def tone_curve(generated: Statistics, target: Statistics) -> tuple[float, ...]:
    """Quantiles to quantiles, from the level of the background up and down."""
    grey = np.linspace(0, 1, POINTS)
    known, first = np.unique(generated.quantiles, return_index=True)
    wanted = np.interp(grey, known, target.quantiles[first])
    wanted = np.where(grey < known[0], target.quantiles[0] + (grey - known[0]), wanted)
    wanted = np.where(grey > known[-1], target.quantiles[-1] + (grey - known[-1]), wanted)
    step = 1 / (POINTS - 1)
    rises = np.clip(np.diff(wanted), step / STEEPEST, step * STEEPEST)
    curve = np.concatenate([[0.0], rises.cumsum()])
    curve += target.level - np.interp(generated.level, grey, curve)
    return tuple(float(round(value, 5)) for value in np.clip(curve, 0, 1))
