"""A window of a scaled image is the same however the image is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nanoseg import scaling
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import ignore, listening
from napari_nanoseg.scaling import ScaledView, mirrored, scaled_labels

factors = st.sampled_from([0.2, 0.37, 0.5, 1.0, 1.7, 3.0])


@settings(deadline=None, max_examples=40)
@given(factors, st.integers(0, 2**32 - 1), st.data())
def test_windows_equal_the_whole(factor, seed, data):
    rng = np.random.default_rng(seed)
    source = rng.integers(0, 255, rng.integers(3, 90, 2)).astype(np.uint8)
    view = ScaledView(source, factor)
    whole = np.pad(view.whole(), 7, mode="reflect" if min(view.shape) > 1 else "edge")
    spans = []
    for size in view.shape:
        start = data.draw(st.integers(-7, size + 6))
        spans.append((start, data.draw(st.integers(start + 1, size + 7))))
    (r0, r1), (c0, c1) = spans
    expected = whole[r0 + 7 : r1 + 7, c0 + 7 : c1 + 7]
    if min(view.shape) > 7:
        np.testing.assert_array_equal(view.window(*spans), expected)


@pytest.mark.parametrize("factor", [0.25, 0.5, 2.0, 4.0])
def test_a_ramp_stays_a_ramp_and_coordinates_map_back(factor):
    ramp = np.broadcast_to(np.arange(64, dtype=np.float32), (64, 64))
    view = ScaledView(ramp, factor)
    middle = view.whole()[view.shape[0] // 2]
    inner = slice(view.shape[1] // 4, -view.shape[1] // 4)
    at = view.to_source(np.arange(view.shape[1]), 1)
    np.testing.assert_allclose(middle[inner], at[inner], atol=1e-3)


def test_reducing_averages_noise_away():
    noise = np.random.default_rng(0).normal(0, 1, (200, 200))
    assert ScaledView(noise, 0.25).whole().std() < 0.35


def test_labels_keep_their_numbers_and_their_place():
    labels = np.zeros((100, 100), np.int32)
    labels[20:60, 40:80] = 90_001
    small = scaled_labels(labels, 0.25)
    assert small.shape == (25, 25)
    np.testing.assert_array_equal(np.argwhere(small == 90_001).min(axis=0), [5, 10])
    np.testing.assert_array_equal(np.argwhere(small == 90_001).max(axis=0), [14, 19])


@given(st.integers(2, 20), st.integers(1, 60))
def test_mirroring_is_numpys(size, pad):
    expected = np.pad(np.arange(size), pad, mode="reflect")
    np.testing.assert_array_equal(mirrored(np.arange(-pad, size + pad), size), expected)


@pytest.mark.parametrize("factor", [1e-8, 1e6, float("inf"), float("nan")])
def test_absurd_factors_are_refused(factor):
    with pytest.raises(NanosegError, match="correct the particle diameter"):
        ScaledView(np.zeros((10, 10)), factor)


class Read:
    """An image that knows how many of its pixels were read."""

    def __init__(self, pixels):
        self.pixels, self.shape, self.count = pixels, pixels.shape, 0

    def __getitem__(self, where):
        part = self.pixels[where]
        self.count += part.size
        return part


@pytest.mark.parametrize("factor", [0.6, 1 / 3, 1 / 40, 1 / 200])
def test_pixels_for_percentiles_are_those_of_the_whole_view_and_read_bit_by_bit(factor, monkeypatch):
    monkeypatch.setattr(scaling, "STRIP", 2**12)
    source = Read(np.random.default_rng(3).integers(0, 255, (411, 777)).astype(np.uint8))
    view = ScaledView(source, factor)
    counts = [0]
    with listening(ignore, lambda: counts.append(source.count)):
        pixels = view.sampled(10**6)
    assert np.diff([*counts, source.count]).max() < source.pixels.size / 4
    np.testing.assert_array_equal(pixels, view.whole())
