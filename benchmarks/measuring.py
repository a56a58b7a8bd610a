"""Measure and compare 2,000 particles in 2048 x 2048 pixels, beside scikit-image and StarDist in the same run.

Prints seconds (best of three) and ratios: numbers above 1 say how many times faster we are.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops_table
from stardist.matching import matching

from napari_nanoseg import Instances, evaluate, measure

SIDE, CELLS = 2048, 45
THEIR_PROPERTIES = (
    "label", "area", "equivalent_diameter_area", "axis_major_length", "axis_minor_length", "feret_diameter_max",
    "perimeter_crofton", "solidity", "extent", "orientation", "centroid", "intensity_mean", "bbox",
)  # fmt: skip


def main() -> None:
    """Run the benchmark."""
    rng = np.random.default_rng(0)
    labels = ellipses(rng)
    prediction = np.where(labels % 10 == 0, 0, np.roll(labels, (2, 3), (0, 1)))
    image = rng.random(labels.shape)
    print(f"{len(Instances.from_labels(labels))} particles, median {np.median(np.bincount(labels.flat)[1:]):.0f} px2")
    compare(
        "measure",
        lambda: measure(labels, image=image),
        "regionprops_table",
        lambda: regionprops_table(labels, image, properties=THEIR_PROPERTIES),
    )
    matching(labels, prediction)  # numba compiles
    compare("evaluate", lambda: evaluate(labels, prediction), "matching", lambda: matching(labels, prediction))


def ellipses(rng: np.random.Generator) -> NDArray[np.int32]:
    """One randomly shaped and turned ellipse in each cell of a grid."""
    labels = np.zeros((SIDE, SIDE), np.int32)
    cell = SIDE // CELLS
    row, column = np.mgrid[:cell, :cell] - cell / 2
    for number in range(CELLS * CELLS):
        semi_axes, angle = rng.uniform(8, 21, 2), rng.uniform(0, np.pi)
        along = np.cos(angle) * column + np.sin(angle) * row
        across = np.cos(angle) * row - np.sin(angle) * column
        top, left = cell * (number // CELLS), cell * (number % CELLS)
        inside = (along / semi_axes[0]) ** 2 + (across / semi_axes[1]) ** 2 < 1
        labels[top : top + cell, left : left + cell][inside] = number + 1
    return labels


def compare(name: str, ours: Callable[[], Any], their_name: str, theirs: Callable[[], Any]) -> None:
    """Time both in turn and print the best of each."""
    our_best, their_best = (min(times) for times in zip(*((timed(ours), timed(theirs)) for _ in range(3)), strict=True))
    print(f"{name}: {our_best:.2f} s, {their_name}: {their_best:.2f} s, ratio {their_best / our_best:.1f}")


def timed(function: Callable[[], Any]) -> float:
    """Return the seconds one call takes."""
    start = perf_counter()
    function()
    return perf_counter() - start


if __name__ == "__main__":
    main()
