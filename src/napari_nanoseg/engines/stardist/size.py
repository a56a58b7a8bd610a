"""The particle diameter of an image that nobody was told: that at which the network is surest.

A network that was trained on particles of about one working diameter finds them best when an image is rescaled so that
they have it. The image is tried at a ladder of diameters; every try also measures what it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from napari_nanoseg.engines.contrast import Normalisation
from napari_nanoseg.engines.stardist.candidates import Candidates, joined, no_candidates
from napari_nanoseg.engines.stardist.network import StarDistNet
from napari_nanoseg.engines.stardist.predict import all_candidates, run_network
from napari_nanoseg.engines.stardist.suppression import suppressed
from napari_nanoseg.events import Progress, checkpoint, tell
from napari_nanoseg.scaling import LIMITS, ScaledView

STEP = 2**0.5
SMALLEST = 8.0
"""Diameter of the first try, px."""
PROBE = 384
"""Side of the pieces, px at working scale, on which small diameters are tried."""
WIDE = 1.5
"""Sides of a piece from which an image is seen in its middle and at two corners: few particles may be elsewhere."""
RIM = 16
"""Mirrored rim around the image, px at working scale."""
PROBABILITY, OVERLAP = 0.3, 0.3
MOST = 20_000
"""Candidates of a try."""
SPREAD = 0.35
"""Octaves by which a found particle may miss the working diameter before it counts 0.6 of its area."""
ENOUGH = 0.015
"""Share of the pieces that particles of the working diameter cover before it says no more. With 0.06, one blob as large
as the image often won over few particles: of 65 real micrographs the diameter was right within a factor 2 in 89 %."""
MANY, WEIGHT = 10, 0.12
"""Number of particles before it says no more, and its exponent in the score: a whole agglomerate is one."""
SEEN, SURE = 0.62, 0.8
"""Probability from which a particle counts as seen at the surest try, and as a smaller one at a finer try."""
FINER = 1.9
"""Times that a try must be finer than the surest one to speak of a second, smaller size."""
SMALLER, SHARE = 4, 0.2
"""Least number of smaller particles, also in relation to those seen at the surest try. In 23 of 25 real micrographs,
details and dirt give less; in the other two, the estimate fell from 1.11 and 1.18 times the truth to 1.01 and 1.04."""
FARTHEST = 6.0
"""Between sizes that are farther apart, there is no diameter at which the network sees both."""


@dataclass(frozen=True)
class Try:
    """What the network found at one diameter.

    Parameters
    ----------
    diameter : float
        At which the image was tried, px.
    found : float
        Diameter of what was found, weighted by area, px of the image; NaN when nothing was.
    score : float
        Mean probability of what was found, weighted by area and nearness to the working diameter; less when that
        covers little or is a single particle. Area in place of the mean probability, or no regard to the number, takes
        whole agglomerates, seen from far, for particles.
    particles : Candidates
        What was found, in pixels of the image.
    """

    diameter: float
    found: float
    score: float
    particles: Candidates


def try_diameters(
    network: StarDistNet,
    plane: NDArray[np.generic],
    working_diameter: float,
    prepared: Callable[[ScaledView], tuple[ScaledView, Normalisation]],
    device: torch.device,
) -> list[Try]:
    """Put an image through the network at one diameter after the other.

    Parameters
    ----------
    network : StarDistNet
        In evaluation mode on `device`.
    plane : array, shape (Y, X) or (Y, X, C)
    working_diameter : float
        Of the network.
    prepared : callable
        Finds a view as it is to be seen, and its normalisation.
    device : torch.device

    Returns
    -------
    list of Try
        From the smallest diameter up.
    """
    largest = min(max(SMALLEST, min(plane.shape[:2])), working_diameter / LIMITS[0])
    ladder = SMALLEST * STEP ** np.arange(int(np.log(largest / SMALLEST) / np.log(STEP)) + 1)
    tries: list[Try] = []
    for number, diameter in enumerate(ladder.tolist()):
        tell(Progress(number, len(ladder), "diameters tried"))
        view, (offset, factor) = prepared(ScaledView(plane, working_diameter / diameter))
        found, pixels = [no_candidates(network.config)], 0
        for rows, columns in _pieces(view.shape, network.divisor):
            piece = view.window(rows, columns)
            maps = run_network(network, (piece - offset) * factor, device)
            kept = suppressed(all_candidates(maps, network.config.grid, PROBABILITY, MOST), OVERLAP)
            found.append(replace(kept, points=kept.points + np.array([rows[0], columns[0]])))
            pixels += min(rows[1] - rows[0], view.shape[0]) * min(columns[1] - columns[0], view.shape[1])
            checkpoint()
        tries.append(_judged(joined(found), diameter, working_diameter, pixels))
    tell(Progress(len(ladder), len(ladder), "diameters tried"))
    return tries


def _pieces(shape: tuple[int, int], divisor: tuple[int, int]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Rows and columns of the pieces that are seen: the middle one and, of a wide image, two corners."""
    starts, lengths = [], []
    for size, step in zip(shape, divisor, strict=True):
        length = -(-min(size + 2 * RIM, PROBE) // step) * step
        middle = (size - length) // 2
        starts.append((middle, -RIM, size + RIM - length) if size > WIDE * PROBE else (middle,) * 3)
        lengths.append(length)
    corners = sorted(set(zip(*starts, strict=True)))
    return [((row, row + lengths[0]), (column, column + lengths[1])) for row, column in corners]


def surest(tries: Sequence[Try]) -> float | None:
    """Diameter of the particles, px: what was found at the best try; None when nothing was found at any.

    Not farther than a step from the tried diameter: the network measures well only near its working diameter. Not
    below the least tried: noise, enlarged enough, looks like particles. Where finer tries show enough smaller particles
    elsewhere, the diameter in the middle between the two, at which the network sees both.
    """
    best = max(tries, key=lambda one: one.score, default=None)
    if best is None or best.score <= 0:
        return None
    diameter = float(np.clip(best.found, max(SMALLEST, best.diameter / STEP), best.diameter * STEP))
    seen = best.particles.at_least(SEEN)
    finer = [_smaller(one, seen) for one in tries if one.diameter < best.diameter / FINER]
    second = max(finer, key=len, default=seen.where(np.zeros(len(seen), bool)))
    if len(second) < max(SMALLER, SHARE * len(seen)):
        return diameter
    smaller = float(np.median(_diameters(second)))
    return (diameter * smaller) ** 0.5 if diameter < FARTHEST * smaller else diameter


def _smaller(finer: Try, seen: Candidates) -> Candidates:
    """The sure particles of a finer try that are of its diameter and lie in no much larger one that was seen."""
    near = np.abs(np.log2(_diameters(finer.particles) / finer.diameter)) < 0.6
    sure = finer.particles.where(near & (finer.particles.prob > SURE))
    larger = seen.where(_diameters(seen) > 2 * finer.diameter)
    first = replace(larger, prob=larger.prob + 2)  # than any other: they survive, and remove what lies in them
    left = suppressed(joined([first, sure]), 0.2)
    return left.where(left.prob <= 1)


def _diameters(particles: Candidates) -> NDArray[np.float64]:
    """Diameters of the circles of the same area; at least 1 px."""
    following = np.roll(particles.dist, -1, axis=1).astype(float)
    areas = 0.5 * np.sin(2 * np.pi / particles.dist.shape[1]) * (particles.dist * following).sum(axis=1)
    diameters: NDArray[np.float64] = np.maximum(2 * np.sqrt(areas / np.pi), 1)
    return diameters


def _judged(kept: Candidates, diameter: float, working_diameter: float, pixels: int) -> Try:
    """Judge what was found at working scale."""
    scale = np.float32(diameter / working_diameter)
    particles = replace(kept, points=np.rint(kept.points * scale).astype(np.int64), dist=kept.dist * scale)
    if not len(kept):
        return Try(diameter, float("nan"), 0.0, particles)
    found = _diameters(kept)
    areas = np.pi / 4 * found**2
    octaves = np.log2(found / working_diameter)
    nearness = np.exp(-(octaves**2) / (2 * SPREAD**2))
    near = areas * nearness + 1e-12
    size = float(np.exp(np.average(np.log(found), weights=near * kept.prob)))
    covering = 1 - np.exp(-float(near.sum()) / pixels / ENOUGH)
    number = float(nearness[kept.prob > 0.5].sum())
    many = (np.clip(number, 0.2, MANY) / MANY) ** WEIGHT
    return Try(diameter, size * float(scale), float(np.average(kept.prob, weights=near) * covering * many), particles)
