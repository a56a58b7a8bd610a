"""Damage and packing of every slice, each with a band."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.measurement.damage.windows import Counts


@dataclass(frozen=True)
class Mean:
    """A share of the pixels of a slice, and the limits of its band; NaN where they are not known."""

    value: float
    low: float
    high: float


def mean_share(part: Counts, whole: Counts, confidence: float) -> Mean:
    """The share of the pixels of a slice, with a band from windows that have no pixel in common.

    Parameters
    ----------
    part, whole : int64 array
        Pixels in every window: those in question, and all that count.
    confidence : float
        Of the band, 0 to 1.

    Returns
    -------
    Mean
        R = sum of `part` / sum of `whole`, which is exact for the slice. The band is that of a ratio estimate of as
        many independent windows as have something in them (W. G. Cochran, Sampling Techniques (1977), eq. 6.13):
        R +- t s, s^2 = n / (n - 1) * sum (part - R whole)^2 / (sum of whole)^2, t Student's quantile for n - 1 degrees
        of freedom; cut at 0 and 1. NaN for one window.
    """
    from scipy.stats import t

    there = whole > 0
    n, total = int(np.count_nonzero(there)), int(whole.sum())
    if not total:
        return Mean(math.nan, math.nan, math.nan)
    share = float(part.sum() / total)
    if n < 2:
        return Mean(share, math.nan, math.nan)
    rest = (part - share * whole)[there]
    half = float(t.ppf((1 + confidence) / 2, n - 1)) * math.sqrt(n / (n - 1) * float(rest @ rest)) / total
    return Mean(share, max(share - half, 0.0), min(share + half, 1.0))


class Distribution:
    """How often a damage occurs in the moving windows of one slice.

    Parameters
    ----------
    damage : float array
        Damage in the moving windows, 0 to 1; NaN does not count.
    windows : int
        Windows in the slice that have no pixel in common.
    """

    BINS = 4000

    def __init__(self, damage: NDArray[np.float64], windows: int) -> None:
        values = damage[np.isfinite(damage)]
        self.count = len(values)
        self.counts = np.histogram(values, self.BINS, (0, 1))[0]
        self.largest = float(values.max()) if self.count else 0.0
        spread = float(values.std()) if self.count else 0.0
        self.bandwidth = max(spread * max(windows, 1) ** -0.2, 0.5 / self.BINS)

    def density(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability density of the damage, whose integral from 0 to 1 is 1; NaN for a slice without any.

        A Gaussian kernel reflected at 0 and at 1, which damage cannot leave. The bandwidth is Scott's (D. W. Scott,
        Multivariate Density Estimation (1992)) for the number of windows that have no pixel in common, since moving
        windows are not independent.
        """
        from scipy.ndimage import gaussian_filter1d

        if not self.count:
            return np.full(len(at), np.nan)
        smooth = gaussian_filter1d(self.counts * (self.BINS / self.count), self.bandwidth * self.BINS, mode="reflect")
        return np.asarray(np.interp(at, (np.arange(self.BINS) + 0.5) / self.BINS, smooth))
