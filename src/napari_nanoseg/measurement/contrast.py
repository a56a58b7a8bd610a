"""How outlined particles differ from their surroundings, and whether other places look like them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.samples import Sample

MOST_PARTICLES = 200
"""Particles that are looked at, spread over all; more would not change the answer."""
MOST_PIXELS = 2**20
"""Pixels that are looked at; of a larger image, every second or third row and column."""
CLEAR_MAJORITY = 0.75
RECOGNISED = 0.8
"""Share of the annotated pixels that grey values must tell from their surroundings before others are judged by them."""


@dataclass(frozen=True)
class Contrast:
    """Grey values of particles and around them.

    Parameters
    ----------
    side : {"brighter", "darker", "mixed"}
        What three quarters of the particles are in comparison with their surroundings; otherwise mixed.
    inside, outside : float
        Median over the particles of their mean grey value and of that around them.
    """

    side: Literal["brighter", "darker", "mixed"]
    inside: float
    outside: float


def contrast_of(sample: Sample, labels: NDArray[np.int32]) -> Contrast | None:
    """Compare particles with what lies around them within a fifth of their size, other particles left out.

    Parameters
    ----------
    sample : Sample
    labels : int32 array, shape (Y, X)
        Its particles as a label image.

    Returns
    -------
    Contrast or None
        None when there is no particle, or none has free surroundings.
    """
    instances = sample.instances
    count = len(instances)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_PARTICLES)).astype(int))
    inside, outside = [], []
    for index in chosen:
        row, column, row_stop, column_stop = instances.boxes[index].tolist()
        margin = max(2, round(0.2 * max(row_stop - row, column_stop - column)))
        window = (
            slice(max(row - margin, 0), row_stop + margin),
            slice(max(column - margin, 0), column_stop + margin),
        )
        grey, free = _grey(sample.image.data[window]), labels[window] == 0
        own = labels[window] == instances.ids[index]
        if own.any() and free.any():
            levels = float(grey[own].mean()), float(grey[free].mean())
            if np.isfinite(levels).all():
                inside.append(levels[0])
                outside.append(levels[1])
    if not inside:
        return None
    brighter = float(np.mean(np.greater(inside, outside)))
    side: Literal["brighter", "darker", "mixed"] = "mixed"
    if max(brighter, 1 - brighter) >= CLEAR_MAJORITY:
        side = "brighter" if brighter > 0.5 else "darker"
    return Contrast(side, float(np.median(inside)), float(np.median(outside)))


def look_alikes(sample: Sample, labels: NDArray[np.int32], contrast: Contrast) -> float:
    """Area outside the outlines that has the grey values of the particles, as a multiple of the outlined area.

    Parameters
    ----------
    sample : Sample
    labels : int32 array, shape (Y, X)
        Its particles as a label image.
    contrast : Contrast
        What :func:`contrast_of` finds.

    Returns
    -------
    float
        0 when grey values do not tell the particles from the rest.
    """
    from scipy.ndimage import uniform_filter

    if contrast.side == "mixed":
        return 0.0
    step = max(1, round((labels.size / MOST_PIXELS) ** 0.5))
    outlined = labels[::step, ::step] > 0
    size = max(1, round(sample.instances.diameter() / step / 5))  # smooths noise away, not particles
    grey = uniform_filter(_grey(sample.image.data[::step, ::step]), size)
    middle = (contrast.inside + contrast.outside) / 2
    alike = grey > middle if contrast.side == "brighter" else grey < middle
    if not outlined.any() or alike[outlined].mean() < RECOGNISED or alike[~outlined].mean() > 0.5:
        return 0.0
    return float(np.count_nonzero(alike & ~outlined) / np.count_nonzero(outlined))


def _grey(data: Any) -> NDArray[np.float32]:
    """One grey value per pixel, whatever the channels."""
    values = np.asarray(data, dtype=np.float32)
    grey: NDArray[np.float32] = values.mean(axis=-1) if values.ndim == 3 else values
    return grey
