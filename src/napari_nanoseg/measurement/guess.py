"""A guess at how large the particles of an image are and whether they are bright, from the image alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.samples import Image

SIDE = 512
"""Longest side at which an image is looked at: 0.1 s for an image of any size."""
SMOOTHING = 1.0
LEAST_RADIUS = 1.5
LEAST_DISCS = 3
LEAST_SEPARATION = 0.66
"""Share of the variance that the two sides of the threshold explain; 0.64 in noise."""
SHRINKAGE = 1.15
"""How much larger annotated particles were than the discs that fit into them (50 micrographs of EMPS)."""


@dataclass(frozen=True)
class Guess:
    """What the particles of an image seem to be like.

    Parameters
    ----------
    diameter : float
        Typical diameter (width, of long ones) in pixels.
    polarity : {"bright", "dark"}
        In comparison with the background.
    """

    diameter: float
    polarity: Literal["bright", "dark"]


@dataclass(frozen=True)
class _Phase:
    """One side of the threshold, described by the largest discs that fit into it."""

    radius: float
    at_rim: float
    largest: float
    covered: float


@dataclass(frozen=True)
class _Phases:
    """Both sides, the share of the variance that they explain, and the side of a reduced pixel."""

    bright: _Phase | None
    dark: _Phase | None
    separation: float
    step: int

    def guess(self, polarity: Literal["bright", "dark"]) -> Guess | None:
        phase = self.bright if polarity == "bright" else self.dark
        return None if phase is None else Guess(2 * phase.radius * SHRINKAGE * self.step, polarity)


def guess_particles(image: Image | NDArray[Any]) -> Guess | None:
    """Guess diameter and polarity of the particles of a micrograph.

    The image is parted into bright and dark with Otsu's threshold; discs that fit into each part give the diameter.
    Of the two parts, particles touch the rim of the image less often than their area would have it, consist of many
    pieces, and discs in them overlap less. Where these three signs do not agree, nothing is said.

    Of 89 micrographs of EMPS, something was said of 42: the polarity was right in all, the diameter within a factor of
    1.5 in 30 and of 2 in 34.

    Parameters
    ----------
    image : Image or array, shape (Y, X)
        Axes ``YX`` or ``YXC``.

    Returns
    -------
    Guess or None
        None when it cannot tell.

    Raises
    ------
    NanosegError
        For a stack.
    """
    phases = _phases(image)
    if phases is None or phases.separation < LEAST_SEPARATION:
        return None
    bright, dark = phases.bright, phases.dark
    if bright is None or dark is None:
        return None
    signs = _signs(bright, dark)
    if any(signs) != all(signs):
        return None
    return phases.guess("bright" if signs[0] else "dark")


def likely_particles(image: Image | NDArray[Any], polarity: Literal["bright", "dark"] | None = None) -> Guess | None:
    """Guess as :func:`guess_particles` does, but always say something: the part that most of the three signs choose.

    Of 85 micrographs of EMPS, the polarity was right in 72, and the diameter within a factor of 2 in 70.

    Parameters
    ----------
    image : Image or array, shape (Y, X)
        Axes ``YX`` or ``YXC``.
    polarity : {"bright", "dark"}, optional
        Where it is known: only the diameter is guessed then.

    Returns
    -------
    Guess or None
        None where hardly a disc fits into the parts in question.

    Raises
    ------
    NanosegError
        For a stack.
    """
    phases = _phases(image)
    if phases is None:
        return None
    bright, dark = phases.bright, phases.dark
    if polarity is None and bright is not None and dark is not None:
        polarity = "bright" if sum(_signs(bright, dark)) >= 2 else "dark"
    elif polarity is None:
        polarity = "dark" if bright is None else "bright"
    return phases.guess(polarity)


def _signs(bright: _Phase, dark: _Phase) -> tuple[bool, bool, bool]:
    """Three signs that the bright part, and not the dark one, are the particles."""
    return bright.at_rim < dark.at_rim, bright.largest < dark.largest, bright.covered < dark.covered


def _phases(image: Image | NDArray[Any]) -> _Phases | None:
    """Both sides of Otsu's threshold; None where there is nothing to part."""
    from skimage.filters import gaussian, threshold_otsu

    if isinstance(image, Image):
        data = image.loaded().data
        data = data.mean(axis=-1) if image.axes.endswith("C") else data
    else:
        data = np.asarray(image)
    if data.ndim != 2:
        raise NanosegError("Particles are guessed from one image; take one slice of the stack.")
    grey, step = _reduced(data)
    if min(grey.shape) < 2 or not np.isfinite(grey).all() or grey.min() == grey.max():
        return None
    grey = gaussian(grey, SMOOTHING)
    above = grey > threshold_otsu(grey)
    share = float(above.mean())
    between = share * (1 - share) * float(grey[above].mean() - grey[~above].mean()) ** 2
    return _Phases(_phase(above), _phase(~above), between / float(grey.var()), step)


def _reduced(data: NDArray[Any]) -> tuple[NDArray[np.float32], int]:
    """Means of squares of pixels, and the side of a square."""
    step = max(1, -(-max(data.shape) // SIDE))
    rows, columns = data.shape[0] // step, data.shape[1] // step
    squares = np.asarray(data[: rows * step, : columns * step], np.float32).reshape(rows, step, columns, step)
    return np.asarray(squares.mean(axis=(1, 3))), step


def _phase(mask: NDArray[np.bool_]) -> _Phase | None:
    """Describe one side of the threshold; None when hardly a disc fits into it."""
    from scipy import ndimage
    from skimage.feature import peak_local_max

    mask = ndimage.binary_opening(mask)
    area = np.count_nonzero(mask)
    if area * 2 < mask.size:
        mask = ndimage.binary_fill_holes(mask)
        area = np.count_nonzero(mask)
    distance = ndimage.distance_transform_edt(mask)
    smooth = ndimage.gaussian_filter(distance, SMOOTHING)
    peaks = peak_local_max(smooth, min_distance=3, threshold_abs=LEAST_RADIUS, exclude_border=False)
    radii = _discs(peaks, distance[tuple(peaks.T)])
    if len(radii) < LEAST_DISCS:
        return None
    by_area = np.cumsum(radii**2)
    pieces, _ = ndimage.label(mask)
    rim = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return _Phase(
        radius=float(radii[np.searchsorted(by_area, by_area[-1] / 2)]),
        at_rim=float(rim.mean() / mask.mean()),
        largest=float(np.bincount(pieces.ravel())[1:].max() / area),
        covered=float(np.pi * by_area[-1] / area),
    )


def _discs(peaks: NDArray[np.int64], radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radii, in order, of discs whose centres do not lie in larger ones."""
    order = np.argsort(-radii, kind="stable")
    peaks, radii = peaks[order], radii[order]
    inside = np.zeros(len(radii), bool)
    kept = []
    for index, radius in enumerate(radii):
        if not inside[index]:
            kept.append(radius)
            inside |= ((peaks - peaks[index]) ** 2).sum(axis=1) < (0.9 * radius) ** 2
    return np.sort(np.array(kept, dtype=np.float64))
