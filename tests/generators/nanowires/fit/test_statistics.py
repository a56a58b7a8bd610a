"""Statistics of images whose noise, background and objects are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_nanoseg.generators.nanowires.fit.statistics import (
    LEVELS,
    Statistics,
    spectrum_error,
    statistics,
    wasserstein,
)
from napari_nanoseg.generators.nanowires.fit.tone import POINTS, tone_curve

RNG = np.random.default_rng(0)


def image(noise: float = 0.02, blur: float = 0.0, lines: float = 0.0, gradient: float = 0.0) -> NDArray[np.float32]:
    """A bar 6 px wide and 0.3 brighter than the background of 0.4."""
    pixels = np.full((256, 256), 0.4) + gradient * np.linspace(-0.5, 0.5, 256)
    pixels[60:66, 40:200] += 0.3
    if blur:
        pixels = gaussian_filter(pixels, blur)
    rng = np.random.default_rng(1)
    return (pixels + noise * rng.standard_normal((256, 256)) + lines * rng.standard_normal((256, 1))).astype(np.float32)


def found(**given: float) -> Statistics:
    return statistics([image(**given)], True, 6)


def test_level_noise_and_objects() -> None:
    one = found()
    assert one.level == pytest.approx(0.4, abs=0.003)
    assert one.noise == pytest.approx(0.02, rel=0.06)
    assert one.spectrum.max() / one.spectrum.min() < 1.5
    assert one.lines == pytest.approx(1, abs=0.3)
    assert one.gradient < 0.005
    assert one.coverage == pytest.approx(6 * 160 / 256**2, rel=0.3)
    assert one.contrast == pytest.approx(0.27, abs=0.04)
    dark = statistics([1 - image()], False, 6)
    assert dark.coverage == pytest.approx(one.coverage)
    assert dark.level == pytest.approx(1 - one.level)


def test_each_statistic_tells_its_own_change() -> None:
    assert found(noise=0.04).noise == pytest.approx(0.04, rel=0.06)
    assert found(gradient=0.2).gradient == pytest.approx(0.2, rel=0.05)
    assert found(gradient=0.2).noise == pytest.approx(found().noise, rel=0.05)
    assert found(lines=0.02).lines > 10
    assert found(blur=2).sharpness < found(blur=1).sharpness < found().sharpness


def test_a_wide_pad_is_no_object() -> None:
    pixels = image()
    pixels[120:200, 20:120] += 0.2
    assert statistics([pixels], True, 6).coverage == pytest.approx(found().coverage, rel=0.2)


def test_distances_of_equal_and_of_shifted_images() -> None:
    one = found()
    assert wasserstein(one, one) == spectrum_error(one, one) == 0
    shifted = statistics([image() + np.float32(0.1)], True, 6)
    assert wasserstein(shifted, one) == pytest.approx(0.1, rel=0.01)
    assert spectrum_error(shifted, one) < 0.01
    assert spectrum_error(found(noise=0.04), one) == pytest.approx(np.log(4), rel=0.35)


def test_a_tone_curve_rises_and_brings_the_quantiles_together() -> None:
    one = found()
    bent = statistics([np.clip(image(), 0, 1) ** np.float32(1.6)], True, 6)
    curve = tone_curve(one, bent)
    assert len(curve) == POINTS
    assert (np.diff(curve) >= 0).all()
    toned = np.interp(one.quantiles, np.linspace(0, 1, POINTS), curve)
    assert np.abs(toned - bent.quantiles).mean() < 0.1 * wasserstein(one, bent)
    assert len(one.quantiles) == len(LEVELS)
