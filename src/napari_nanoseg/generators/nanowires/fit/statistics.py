"""What is compared between real and generated images: grey values, noise, background, edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

BLOCK = 32
"""Side (px) of the blocks that noise and background are measured in."""
FLATTEST = 0.25
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


def statistics(windows: Sequence[NDArray[np.float32]], bright: bool) -> Statistics:
    """Measure windows of at least 64 px; `bright` says whether objects are brighter than the background."""
    blocks = [_blocks(window) for window in windows]
    rough = np.concatenate([_content(block) for block in blocks])
    limit = np.quantile(rough, FLATTEST)
    flat = np.concatenate(blocks)[rough <= limit]
    power = _power(flat)
    rings, whole_lines = _rings(power)
    planes = [_background(block, window.shape) for block, window in zip(blocks, windows, strict=True)]
    level = float(np.median(flat))
    smooth = [gaussian_filter(window, 1.0, mode="reflect") for window in windows]
    quiet = [_content_sd(_blocks(one)) for one in smooth]
    fine = float(np.median(np.concatenate(quiet)[rough <= limit]))
    sign = 1 if bright else -1
    excess = [sign * (one - plane) for one, (plane, _, _) in zip(smooth, planes, strict=True)]
    objects = _objects(np.concatenate([one.ravel() for one in excess]), SEEN * max(fine, 1e-9))
    return Statistics(
        quantiles=np.quantile(np.concatenate([window.ravel() for window in windows]), LEVELS),
        level=level,
        noise=float(np.sqrt(max(power.sum(), 1e-18))),
        spectrum=rings,
        lines=whole_lines,
        gradient=float(np.median([slope for _, slope, _ in planes])),
        uneven=float(np.median([rest for _, _, rest in planes])),
        sharpness=float(np.mean([_sharpness(window) for window in windows])),
        coverage=len(objects) / sum(window.size for window in windows),
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
    return blocks - blocks.mean((1, 2), keepdims=True) - rows - columns


def _content(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each block holds that is larger than noise: the standard deviation of means of 4 x 4 px."""
    cells = _levelled(blocks).reshape(-1, BLOCK // 4, 4, BLOCK // 4, 4).mean((2, 4))
    return np.asarray(cells.std((1, 2)))


def _content_sd(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(_levelled(blocks).std((1, 2)))


def _power(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean power spectrum of blocks, whose sum is their variance."""
    hann = np.hanning(BLOCK + 2)[1:-1]
    hann = hann[:, None] * hann
    spectra = np.abs(np.fft.fft2(_levelled(blocks) * hann)) ** 2
    return np.asarray(spectra.mean(0) / (hann**2).sum() / BLOCK**2)


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


def _objects(excess: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Excesses above half their own mean, and `least`: what is only uneven background is below."""
    limit = least
    for _ in range(20):
        objects = excess[excess > limit]
        if not len(objects) or objects.mean() / 2 <= limit:
            break
        limit = float(objects.mean()) / 2
    return excess[excess > limit]


def _background(blocks: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[NDArray[np.float64], float, float]:
    """Plane through the medians of blocks that objects do not move; its change across the window; what is left."""
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
    down, across = (np.arange(side) / side - 0.5 for side in shape)
    return plane[0] + plane[1] * down[:, None] + plane[2] * across, float(np.hypot(plane[1], plane[2])), scale


def _sharpness(window: NDArray[np.float32]) -> float:
    """Ratio of slopes after little and much smoothing, where they are steepest after much."""
    fine, coarse = (gaussian_gradient_magnitude(window, sigma) for sigma in (1.0, 2.0))
    steep = coarse >= np.quantile(coarse, 0.99)
    return float(fine[steep].mean() / max(float(coarse[steep].mean()), 1e-12))
