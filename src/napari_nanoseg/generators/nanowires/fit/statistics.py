"""What is compared between real and generated images: grey values, noise, background, edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude, white_tophat

BLOCK = 32
"""Side (px) of the blocks that noise and background are measured in."""
FLATTEST = 0.1
"""Fraction of the blocks, those with the least content, that noise is measured in."""
LEVELS = np.linspace(0.0025, 0.9975, 200)
"""Quantiles of the histogram."""
BANDS = np.array([0.05, 0.09, 0.14, 0.2, 0.28, 0.37, 0.5])
"""Limits (cycles per px) of the rings of the noise power spectrum."""
LINE = 1.5 / BLOCK
"""Frequencies along rows below this belong to what is the same in a whole scan line, spread by the block's window."""
FLOOR = 3e-3
"""Fraction of the largest power in a spectrum below which nobody sees a difference."""
SEEN = 4.0
"""An object's pixel differs from the background by so many standard deviations of the smoothed noise."""
THICKEST = 3.0
"""What is so many times wider than an object is none, but a pad, a hole or uneven background."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """Of windows of one or more images; grey values in the unit of the pixels.

    ``quantiles`` belong to LEVELS; ``level`` is the background's, ``noise`` the standard deviation in flat blocks and
    ``spectrum`` its power in each of the rings between BANDS, ``lines`` how many times more power there is in what is
    the same along scan lines; ``gradient`` is the change of the background across a window, ``uneven`` what else is
    uneven in it (standard deviation); ``sharpness`` the ratio of the slopes of edges after smoothing with 1 and 2 px;
    ``coverage`` the fraction of the pixels that objects have, ``contrast`` by how much these differ from the background
    on average, and ``peak`` how many times more than that the most different 5 % of them do.
    """

    quantiles: NDArray[np.float64]
    level: float
    noise: float
    spectrum: NDArray[np.float64]
    lines: float
    gradient: float
    uneven: float
    sharpness: float
    coverage: float
    contrast: float
    peak: float

    @property
    def spread(self) -> float:
        """Range of the grey values without the extremes."""
        return float(self.quantiles[-1] - self.quantiles[0])


def statistics(windows: Sequence[NDArray[np.float32]], bright: bool, width: float) -> Statistics:
    """Measure windows of at least 64 px.

    Parameters
    ----------
    windows : sequence of arrays, shape (Y, X)
    bright : bool
        Whether objects are brighter than the background.
    width : float
        Of objects (px): what is THICKEST times wider belongs to the background.
    """
    blocks = [_blocks(window) for window in windows]
    rough = np.concatenate([_content(block) for block in blocks])
    quiet = rough <= np.quantile(rough, FLATTEST)
    flat = np.concatenate(blocks)[quiet]
    power = _power(flat)
    rings, whole_lines = _rings(power)
    planes = np.array([_background(block, window.shape) for block, window in zip(blocks, windows, strict=True)])
    thin = [_thin(window if bright else -window, width) for window in windows]
    still = np.concatenate([_blocks(one) for one in thin])[quiet]
    excess = np.concatenate([one.ravel() for one in thin]) - np.median(still)
    objects = _objects(excess, SEEN * max(float(still.std()), 1e-9))
    return Statistics(
        quantiles=np.quantile(np.concatenate([window.ravel() for window in windows]), LEVELS),
        level=float(np.median(flat)),
        noise=float(np.sqrt(max(power.sum(), 1e-18))),
        spectrum=rings,
        lines=whole_lines,
        gradient=float(np.median(planes[:, 0])),
        uneven=float(np.median(planes[:, 1])),
        sharpness=float(np.mean([_sharpness(window) for window in windows])),
        coverage=len(objects) / len(excess),
        contrast=float(objects.mean()) if len(objects) else 0.0,
        peak=float(np.quantile(objects, 0.95) / objects.mean()) if len(objects) else 1.0,
    )


def wasserstein(one: Statistics, other: Statistics) -> float:
    """Wasserstein distance of the histograms, in grey values: the mean distance of their quantiles."""
    return float(np.abs(one.quantiles - other.quantiles).mean())


def spectrum_error(found: Statistics, target: Statistics) -> float:
    """Mean relative error of the noise power, as |ln ratio| over the rings and the scan lines."""
    return float(
        np.abs(np.append(log_ratios(found.spectrum, target.spectrum), math.log(found.lines / target.lines))).mean()
    )


def log_ratios(found: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of spectra; what is below FLOOR of the target's largest power is taken as that."""
    floor = FLOOR * target.max()
    return np.asarray(np.log(np.maximum(found, floor) / np.maximum(target, floor)))


def _blocks(window: NDArray[np.float32]) -> NDArray[np.float64]:
    """Blocks (N, BLOCK, BLOCK), row by row."""
    rows, columns = (side // BLOCK for side in window.shape)
    cut = window[: rows * BLOCK, : columns * BLOCK].astype(np.float64)
    return np.asarray(cut.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(-1, BLOCK, BLOCK))


def _levelled(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Blocks without their plane."""
    at = np.arange(BLOCK) - (BLOCK - 1) / 2
    weight = at / (at**2).sum() / BLOCK
    rows = np.einsum("nij,i->n", blocks, weight)[:, None, None] * at[:, None]
    columns = np.einsum("nij,j->n", blocks, weight)[:, None, None] * at
    return np.asarray(blocks - blocks.mean((1, 2), keepdims=True) - rows - columns)


def _content(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each block holds that is larger than noise: the standard deviation of means of 4 x 4 px."""
    cells = _levelled(blocks).reshape(-1, BLOCK // 4, 4, BLOCK // 4, 4).mean((2, 4))
    return np.asarray(cells.std((1, 2)))


def _thin(window: NDArray[np.float32], width: float) -> NDArray[np.float32]:
    """By how much what is thin is brighter than what is around it, after little smoothing."""
    smooth = gaussian_filter(window, 1.0)
    return np.asarray(white_tophat(smooth, 2 * math.ceil(THICKEST / 2 * width) + 1))


def _power(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean power spectrum of blocks, whose sum is their variance."""
    hann = np.hanning(BLOCK + 2)[1:-1]
    hann = hann[:, None] * hann
    spectra = np.abs(np.fft.fft2(_levelled(blocks) * hann)) ** 2
    mean: NDArray[np.float64] = spectra.mean(0) / ((hann**2).sum() * BLOCK**2)
    return mean


def _rings(power: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Mean power in rings, apart from whole scan lines, and the ratio of that in scan lines to the rest."""
    along = np.abs(np.fft.fftfreq(BLOCK))
    radius = np.hypot(along[:, None], along)
    other = np.broadcast_to(along > LINE, power.shape)
    rings = [power[other & (radius > low) & (radius <= high)].mean() for low, high in pairwise(BANDS)]
    fast = radius > BANDS[1]
    in_lines = power[fast & (along == 0)].mean()
    rest = power[fast & (along > LINE) & (radius <= 0.5)].mean()
    return np.maximum(rings, 1e-18), float(max(in_lines, 1e-18) / max(rest, 1e-18))


def _objects(excess: NDArray[np.float32], least: float) -> NDArray[np.float32]:
    """Excesses above half their own mean, and `least`: what is only uneven background is below."""
    limit = least
    for _ in range(20):
        objects = excess[excess > limit]
        if not len(objects) or objects.mean() / 2 <= limit:
            break
        limit = float(objects.mean()) / 2
    return excess[excess > limit]


def _background(blocks: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[float, float]:
    """Change across the window of a plane through the medians of blocks, which objects do not move; what is left."""
    rows, columns = (side // BLOCK for side in shape)
    medians = np.median(blocks, axis=(1, 2))
    middles = (np.indices((rows, columns)).reshape(2, -1).T + 0.5) * BLOCK
    basis = np.column_stack([np.ones(len(middles)), middles / shape - 0.5])
    weights = np.ones(len(medians))
    for _ in range(8):
        root = np.sqrt(weights)[:, None]
        plane = np.linalg.lstsq(basis * root, medians * root[:, 0], rcond=None)[0]
        rest = medians - basis @ plane
        scale = max(1.4826 * float(np.median(np.abs(rest))), 1e-9)
        weights = np.clip(1 - (rest / (4.685 * scale)) ** 2, 1e-3, None) ** 2  # Tukey's biweight
    return float(np.hypot(plane[1], plane[2])), scale


def _sharpness(window: NDArray[np.float32]) -> float:
    """Ratio of slopes after little and much smoothing, where they are steepest after much."""
    fine, coarse = (gaussian_gradient_magnitude(window, sigma) for sigma in (1.0, 2.0))
    steep = coarse >= np.quantile(coarse, 0.99)
    return float(fine[steep].mean() / max(float(coarse[steep].mean()), 1e-12))
