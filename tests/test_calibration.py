"""Pixels become nanometres in one place, and never by guessing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_nanoseg.calibration import NM_PER_UNIT, Calibration
from napari_nanoseg.errors import NanosegError


@pytest.mark.parametrize(
    ("unit", "nm"), [("nm", 1), ("µm", 1e3), ("μm", 1e3), (" Micron ", 1e3), ("Å", 0.1), ("mm", 1e6), ("m", 1e9)]
)
def test_units_of_length_become_nanometres(unit: str, nm: float) -> None:
    assert Calibration.of(2, unit).pixel_size_nm == pytest.approx((2 * nm, 2 * nm))
    assert Calibration.of((3, 2), unit).pixel_size_nm == pytest.approx((3 * nm, 2 * nm))


@given(st.floats(1e-3, 1e6), st.floats(0.05, 20))
def test_zooming_in_makes_pixels_smaller_and_out_again_as_before(size: float, factor: float) -> None:
    calibration = Calibration.of(size)
    zoomed = calibration.zoomed(factor)
    assert zoomed.nm_per_pixel == pytest.approx(size / factor)
    assert zoomed.zoomed(1 / factor).nm_per_pixel == pytest.approx(size)


def test_unknown_stays_unknown() -> None:
    assert not Calibration().known
    assert not Calibration().zoomed(2).known
    with pytest.raises(NanosegError, match="not known"):
        _ = Calibration().nm_per_pixel


def test_the_plane_counts_not_the_distance_of_slices() -> None:
    assert Calibration((50.0, 2.0, 2.0)).nm_per_pixel == 2.0
    assert Calibration.of(5, "nm", ndim=3).pixel_size_nm == (5.0, 5.0, 5.0)


def test_pixels_that_are_not_square_are_refused() -> None:
    assert Calibration((1.0, 1.0005)).nm_per_pixel == 1.0
    with pytest.raises(NanosegError, match="not square"):
        _ = Calibration((1.0, 1.01)).nm_per_pixel


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_sizes_are_refused(size: float) -> None:
    with pytest.raises(NanosegError, match="not a positive number"):
        Calibration.of(size)


def test_other_units_are_refused() -> None:
    assert "pixel" not in NM_PER_UNIT
    with pytest.raises(NanosegError, match="'pixel' is not a unit of length"):
        Calibration.of(1, "pixel")
