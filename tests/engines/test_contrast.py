"""What is looked at in an image before a network sees it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nanoseg.engines import contrast
from napari_nanoseg.engines.contrast import is_flat, normalise, to_grey
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.samples import Image
from napari_nanoseg.scaling import ScaledView


@pytest.fixture(autouse=True)
def small_strips(monkeypatch):
    monkeypatch.setattr(contrast, "STRIP", 64)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_an_image_is_flat_when_no_pixel_differs(dtype):
    pixels = np.full((40, 30), 7, dtype)
    assert is_flat(Image(pixels))
    pixels[39, 29] = 8
    assert not is_flat(Image(pixels))


def test_a_pixel_that_is_no_number_is_found_behind_others():
    pixels = np.random.default_rng(0).random((40, 30)).astype(np.float32)
    pixels[38, 3] = np.nan
    with pytest.raises(NanosegError, match="NaN or infinite"):
        is_flat(Image(pixels))


def test_the_grey_of_colours_is_their_mean():
    pixels = np.random.default_rng(0).integers(0, 65535, (40, 30, 3)).astype(np.uint16)
    grey = to_grey(Image(pixels, "YXC"))
    np.testing.assert_array_equal(grey, pixels.mean(axis=-1, dtype=np.float32))


@pytest.mark.parametrize("channels", [(), (3,)])
def test_percentiles_of_each_channel_become_0_and_1(channels):
    pixels = np.random.default_rng(0).normal(size=(50, 60, *channels)).astype(np.float32)
    _, (offset, factor) = normalise(ScaledView(pixels), (1, 99.8), clip=False)
    normalised = (pixels - offset) * factor
    np.testing.assert_allclose(np.percentile(normalised, 1, axis=(0, 1)), 0, atol=1e-6)
    np.testing.assert_allclose(np.percentile(normalised, 99.8, axis=(0, 1)), 1, rtol=1e-6)
