"""Counts in windows against counting pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nanoseg import Calibration, NanosegError
from napari_nanoseg.config.damage import DamageConfig
from napari_nanoseg.measurement.damage.windows import Windows, window_size

PAIRS = st.tuples(st.integers(1, 24), st.integers(1, 24))


def window_at(mask, row, column, window):
    top, left = row - window[0] // 2, column - window[1] // 2
    return mask[max(top, 0) : top + window[0], max(left, 0) : left + window[1]]


@settings(deadline=None, max_examples=60)
@given(shape=PAIRS, window=PAIRS, stride=st.integers(1, 30), seed=st.integers(0, 99))
def test_moving_windows_count_what_a_loop_counts(shape, window, stride, seed):
    mask = np.random.default_rng(seed).random(shape) < 0.4
    moving = Windows.moving(shape, window, stride)
    rows, columns = (range(min(stride // 2, size - 1), size, stride) for size in shape)
    cut = [[window_at(mask, row, column, window) for column in columns] for row in rows]
    assert moving.shape == (len(rows), len(columns))
    np.testing.assert_array_equal(moving.counts(mask), [[one.sum() for one in row] for row in cut])
    np.testing.assert_array_equal(moving.areas, [[one.size for one in row] for row in cut])


@settings(deadline=None, max_examples=40)
@given(shape=PAIRS, window=PAIRS, seed=st.integers(0, 99))
def test_windows_side_by_side_have_every_pixel_once(shape, window, seed):
    mask = np.random.default_rng(seed).random(shape) < 0.4
    tiled = Windows.tiled(shape, window)
    assert tiled.counts(mask).sum() == mask.sum()
    assert tiled.areas.sum() == mask.size
    assert tiled.areas.max() == min(window[0], shape[0]) * min(window[1], shape[1])


@settings(deadline=None, max_examples=40)
@given(shape=PAIRS, window=PAIRS, overlap=st.sampled_from([0, 0.5, 0.75]))
def test_windows_with_an_overlap_are_whole(shape, window, overlap):
    stepped = Windows.stepped(shape, window, overlap)
    assert (stepped.areas == min(window[0], shape[0]) * min(window[1], shape[1])).all()
    if not overlap:
        assert stepped.shape == tuple(max(1, n // side) for n, side in zip(shape, window, strict=True))


def test_physical_windows_stay_physical():
    config = DamageConfig(window_um=3.5)
    assert window_size(config, Calibration((300.0, 140.0, 70.0))) == (25, 50)
    assert window_size(DamageConfig(), Calibration((300.0, 140.0, 70.0))) == (50, 50)
    with pytest.raises(NanosegError, match="pixel size is not known"):
        window_size(config, Calibration())
