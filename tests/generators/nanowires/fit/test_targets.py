"""Real images as a fit takes them, and those that it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.generators.nanowires.fit.targets import SIDE, target_of
from napari_nanoseg.samples import Image

NOISE = np.random.default_rng(0).integers(60, 200, (300, 900)).astype(np.uint8)


def test_a_data_bar_is_left_out() -> None:
    pixels = NOISE.copy()
    pixels[270:] = 0
    pixels[280:290, 100:200] = 255
    target = target_of(Image(pixels), True)
    assert target.bar == 30
    assert {window.shape for window in target.windows} == {(270, SIDE)}
    assert min(float(window.min()) for window in target.windows) > 0.2
    assert target_of(Image(NOISE), True).bar == 0


def test_whole_numbers_run_from_black_to_white_and_others_stay() -> None:
    assert target_of(Image(NOISE.astype(np.uint16) * 257), False).windows[0].max() == pytest.approx(NOISE.max() / 255)
    density = target_of(Image(NOISE / np.float32(50)), False)
    assert (density.dtype, density.white) == ("float32", 1.0)
    assert density.windows[0].max() > 3


@pytest.mark.parametrize(
    ("pixels", "axes", "words"),
    [
        (np.zeros((99, 99, 3), np.uint8), "YXC", "has colours"),
        (np.zeros((9, 99, 99), np.uint8), "ZYX", "is a stack"),
        (NOISE[:63], "YX", "63 x 900 px; a fit needs at least 64 x 64"),
        (np.full((99, 99), 7, np.uint8), "YX", "same value 7 everywhere"),
        (np.where(NOISE > 190, np.nan, NOISE), "YX", "NaN"),
        (NOISE / 10.0, "YX", "must run from 0"),
    ],
    ids=["colour", "stack", "small", "constant", "NaN", "grey values of no known white"],
)
def test_what_cannot_be_fitted_is_said(pixels: np.ndarray, axes: str, words: str) -> None:
    with pytest.raises(NanosegError, match=words):
        target_of(Image(pixels, axes, source="scan.tif"), True)
