"""Sizes, numbers and directions of outlined wires, as the nanowire generator takes them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.measurement.shape import shape_of
from napari_nanoseg.samples import Sample

WIRE = 0
"""The class of wires in datasets of the nanowire generator, and of everything where there are no classes."""
SLENDER = 1.5
"""Aspect ratio from which on an outline has a direction."""
BENT_PX = 1.0
"""A wire is bent when its middle is farther than this, and than BENT of its length, from the line between its ends."""
BENT = 0.02
SAGITTA = 2 / math.pi**4
"""Mean square of the sagitta times persistence length over length cubed, by the first mode of bending (Gittes et al.,
J. Cell Biol. 120 (1993) 923)."""
SURE = 7.0
"""n times the squared order parameter, from which on the direction of n wires is no chance (Rayleigh, p < 0.001)."""


@dataclass(frozen=True, eq=False)
class Wires:
    """What some outlined wires are like; lengths in nm, or in px where the pixel size is not known.

    Wires that the border cuts are not measured. Long wires are cut more often than short ones: every complete one
    stands for more, the fewer places its box has in the image (the minus-sampling of stereology, Miles 1974).

    Parameters
    ----------
    measured, cut : int
        Number of complete wires, and of those at the border.
    length, width : float
        Means.
    length_sd, width_sd : float or None
        Standard deviations as fractions of the means; None for a single wire.
    per_area : float
        Middles of wires in a unit of area, of the known area of the images.
    order, direction : float
        Order parameter, mean of cos 2a, and the direction that a is counted from (degrees, counter-clockwise from the
        horizontal).
    aligned : bool
        Whether that order can hardly be chance.
    bent : float
        Fraction of the wires that are bent.
    persistence : float or None
        Persistence length of the bent ones.
    """

    measured: int
    cut: int
    length: float
    width: float
    length_sd: float | None
    width_sd: float | None
    per_area: float
    order: float
    direction: float
    aligned: bool
    bent: float
    persistence: float | None


class _Wire(NamedTuple):
    """One complete wire: lengths as in :class:`Wires`, angle in degrees; `weight` is how many it stands for."""

    length: float
    width: float
    sagitta: float
    angle: float
    weight: float
    bent: bool


def measure_wires(samples: Iterable[Sample]) -> Wires | None:
    """Measure outlined wires; None when no complete one is among them.

    Parameters
    ----------
    samples : iterable of Sample
        All with a pixel size, or all without. Of a partly annotated one, the known region counts as its area.

    Raises
    ------
    NanosegError
        When pixels are not square.
    """
    wires: list[_Wire] = []
    cut, areas = 0, 0.0
    for sample in samples:
        pixel = sample.image.calibration.nm_per_pixel if sample.image.calibration.known else 1.0
        area = math.prod(sample.instances.shape) if sample.known is None else int(np.count_nonzero(sample.known))
        areas += area * pixel**2
        chosen = sample.instances[sample.instances.classes == WIRE]
        border = chosen.touches_border
        cut += int(np.count_nonzero(border))
        complete = chosen[~border]
        for box, mask in zip(complete.boxes, complete.masks, strict=True):
            wires.append(_measured(mask, box, chosen.shape, pixel))
    if not wires:
        return None
    lengths, widths, sagittas, angles, weights, bent = map(np.array, zip(*wires, strict=True))
    slender = lengths > SLENDER * widths
    mean = complex((np.exp(2j * np.radians(angles)) * weights * slender).sum() / max((weights * slender).sum(), 1e-9))
    stiffness = (lengths[bent] ** 3).sum() / max((sagittas[bent] ** 2).sum(), 1e-9)
    return Wires(
        measured=len(wires),
        cut=cut,
        length=float(np.average(lengths, weights=weights)),
        width=float(np.average(widths, weights=weights)),
        length_sd=_spread(lengths, weights),
        width_sd=_spread(widths, weights),
        per_area=float(weights.sum()) / areas,
        order=abs(mean),
        direction=math.degrees(float(np.angle(mean))) / 2 % 180,
        aligned=bool(np.count_nonzero(slender) * abs(mean) ** 2 > SURE),
        bent=float(np.average(bent, weights=weights)),
        persistence=float(SAGITTA * stiffness) if bent.any() else None,
    )


def _measured(mask: NDArray[np.bool_], box: NDArray[np.int64], shape: tuple[int, ...], pixel: float) -> _Wire:
    """Length along the middle line, a curve of third degree; width from the spread of the pixels about it."""
    found = shape_of(mask)
    angle = math.radians(found.orientation_deg)
    rows, columns = np.nonzero(mask)
    along = columns * math.cos(angle) - rows * math.sin(angle)
    across = columns * math.sin(angle) + rows * math.cos(angle)
    half = max(float(np.ptp(along)) / 2, 0.5)
    along = (along - (along.max() + along.min()) / 2) / half
    degree = 3 if len(along) > 8 and found.rectangle_length > SLENDER * found.rectangle_width else 0
    line = np.polynomial.Polynomial.fit(along, across, degree, domain=(-1, 1))
    width = math.sqrt(12 * float(np.var(across - line(along))) + 0.5)
    sagitta = abs(float(line(0) - (line(-1) + line(1)) / 2))
    length = found.rectangle_length * (1 + 8 / 3 * (sagitta / found.rectangle_length) ** 2)
    sides = [side - (stop - start) for side, start, stop in zip(shape, box[:2], box[2:], strict=True)]
    weight = math.prod(shape) / max(math.prod(sides), 1)
    bent = sagitta > max(BENT_PX, BENT * length)
    return _Wire(length * pixel, width * pixel, sagitta * pixel, found.orientation_deg, weight, bent)


def _spread(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float | None:
    """Standard deviation (n - 1) as a fraction of the mean."""
    if len(values) < 2:
        return None
    mean = np.average(values, weights=weights)
    variance = np.average((values - mean) ** 2, weights=weights) * len(values) / (len(values) - 1)
    return float(np.sqrt(variance) / mean)
