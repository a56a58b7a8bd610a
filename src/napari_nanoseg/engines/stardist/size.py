"""The particle diameter of an image that nobody was told: that at which the network is surest.

A network that was trained on particles of about one working diameter finds them best when an image is rescaled so that
they have it. The image is tried at a ladder of diameters; every try also measures what it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_nanoseg.engines.contrast import Normalisation
from napari_nanoseg.engines.stardist.candidates import Candidates, joined
from napari_nanoseg.engines.stardist.network import StarDistNet
from napari_nanoseg.engines.stardist.predict import all_candidates, network_steps
from napari_nanoseg.engines.stardist.suppression import suppressed
from napari_nanoseg.events import Event, Progress, Waiting
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
PROBABILITY = 0.3
MOST = 20_000
"""Candidates of a try."""
SPREAD = 0.35
"""Octaves by which a found particle may miss the working diameter before it counts 0.6 of its area."""
ENOUGH = 0.015
"""Share of the pieces that particles of the working diameter cover before it says no more. With 0.06, one blob as large
as the image often won over few particles: of 65 real micrographs the diameter was right within a factor 2 in 89 %."""
MANY, WEIGHT = 10, 0.12
"""Number of particles before it says no more, and its exponent in the score: a whole agglomerate is one."""


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
    """

    diameter: float
    found: float
    score: float


def try_diameters(
    network: StarDistNet,
    plane: NDArray[np.generic],
    working_diameter: float,
    prepared: Callable[[ScaledView], tuple[ScaledView, Normalisation]],
    device: torch.device,
) -> Generator[Event, None, list[Try]]:
    """Put an image through the network at one diameter after the other.

    Parameters
    ----------
    network : StarDistNet
        In evaluation mode on `device`.
    plane : array, shape (Y, X) or (Y, X, C)
    working_diameter : float
        Of the network.
    prepared : callable
        A view as it is to be seen, and its normalisation.
    device : torch.device

    Yields
    ------
    Progress, Waiting

    Returns
    -------
    list of Try
        From the smallest diameter up.
    """
    largest = min(max(SMALLEST, min(plane.shape[:2])), working_diameter / LIMITS[0])
    ladder = SMALLEST * STEP ** np.arange(int(np.log(largest / SMALLEST) / np.log(STEP)) + 1)
    tries: list[Try] = []
    for number, diameter in enumerate(ladder.tolist()):
        yield Progress(number, len(ladder), "diameters tried")
        view, (offset, factor) = prepared(ScaledView(plane, working_diameter / diameter))
        yield Waiting()
        found, pixels = [], 0
        for rows, columns in _pieces(view.shape, network.divisor):
            maps = yield from network_steps(network, (view.window(rows, columns) - offset) * factor, device)
            found.append(suppressed(all_candidates(maps, network.config.grid, PROBABILITY, MOST), 0.3))
            pixels += min(rows[1] - rows[0], view.shape[0]) * min(columns[1] - columns[0], view.shape[1])
            yield Waiting()
        tries.append(_judged(joined(found), diameter, working_diameter, pixels))
    yield Progress(len(ladder), len(ladder), "diameters tried")
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
    below the least tried: noise, enlarged enough, looks like particles.
    """
    best = max(tries, key=lambda one: one.score, default=None)
    if best is None or best.score <= 0:
        return None
    return float(np.clip(best.found, max(SMALLEST, best.diameter / STEP), best.diameter * STEP))


def _judged(kept: Candidates, diameter: float, working_diameter: float, pixels: int) -> Try:
    if not len(kept):
        return Try(diameter, float("nan"), 0.0)
    following = np.roll(kept.dist, -1, axis=1)
    areas = 0.5 * np.sin(2 * np.pi / kept.dist.shape[1]) * (kept.dist * following).sum(axis=1)
    found = 2 * np.sqrt(areas / np.pi)
    octaves = np.log2(np.maximum(found, 1) / working_diameter)
    nearness = np.exp(-(octaves**2) / (2 * SPREAD**2))
    near = areas * nearness + 1e-12
    size = float(np.exp(np.average(np.log(np.maximum(found, 1)), weights=near * kept.prob)))
    covering = 1 - np.exp(-float(near.sum()) / pixels / ENOUGH)
    number = float(nearness[kept.prob > 0.5].sum())
    many = (np.clip(number, 0.2, MANY) / MANY) ** WEIGHT
    return Try(
        diameter, size * diameter / working_diameter, float(np.average(kept.prob, weights=near) * covering * many)
    )
