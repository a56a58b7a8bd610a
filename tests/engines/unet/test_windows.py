"""Windows cover all of an axis and count for 1 in sum."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_nanoseg.engines.unet.windows import cover, single


@given(
    st.integers(1, 3000), st.integers(1, 700), st.integers(0, 200), st.sampled_from([1, 4, 16, 64]), st.integers(0, 40)
)
def test_windows_cover_an_axis_and_its_rim(size, longest, overlap, divisor, rim):
    windows = cover(size, longest, overlap, divisor, rim)
    assert windows.length % divisor == 0
    assert windows.starts[0] == -rim
    if len(windows) > 1:
        assert windows.length <= max(longest, divisor)
        assert windows.starts[-1] + windows.length == size + rim
        shared = windows.length - np.diff(windows.starts)
        assert shared.min() >= min(overlap, max(longest // divisor * divisor, divisor) // 2) - 1
    total = np.zeros(max(size + 2 * rim, windows.length))
    for start, weight in zip(windows.starts, windows.weights, strict=True):
        assert weight.min() > 0
        total[start + rim : start + rim + windows.length] += weight
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_weights_fall_towards_the_rim_where_another_window_is():
    first, *_, last = cover(1000, 256, 64, 16).weights
    assert first[0] == last[-1] == 1
    assert (np.diff(first[-60:]) < 0).all()
    assert (np.diff(last[:60]) > 0).all()


@given(st.integers(1, 300), st.integers(1, 64), st.integers(0, 32), st.data())
def test_windows_that_see_a_range(size, longest, overlap, data):
    windows = cover(size, longest, overlap, 4)
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start + 1, size))
    seen = windows.within(start, stop)
    covered = np.zeros(size, bool)
    for number, at in enumerate(windows.starts):
        inside = at < stop and at + windows.length > start
        assert inside == (number in seen)
        covered[at : at + windows.length] |= inside
    assert covered[start:stop].all()
    assert windows.final(len(windows) - 1) >= size


def test_slices_are_windows_of_their_own():
    slices = single(5)
    assert slices.within(2, 4) == range(2, 4)
    assert [slices.final(number) for number in range(5)] == [1, 2, 3, 4, 5]
