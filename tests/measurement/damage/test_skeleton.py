"""Centre lines of drawn cracks: length, width, direction, branches."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_nanoseg.measurement.damage.skeleton import centre_line


def strip(shape, spacing, start, stop, width):
    """Pixels within half a width of the line between two physical points, without round ends."""
    places = np.stack(np.indices(shape), axis=-1) * np.array(spacing)
    start, stop = np.array(start, float), np.array(stop, float)
    length = np.linalg.norm(stop - start)
    along = (places - start) @ (stop - start) / length
    away = np.linalg.norm(places - start - along[..., None] * (stop - start) / length, axis=-1)
    return (along >= 0) & (along <= length) & (away <= width / 2)


def turned(angle, length, middle):
    """Ends (row, column) of a line at an angle counter-clockwise from the horizontal."""
    step = length / 2 * np.array([-math.sin(math.radians(angle)), math.cos(math.radians(angle))])
    return np.array(middle) - step, np.array(middle) + step


def main_angle(line):
    tensor = (line.directions * line.lengths[:, None]).T @ line.directions
    down, right = np.linalg.eigh(tensor)[1][:, -1]
    return math.degrees(math.atan2(-down, right)) % 180


@pytest.mark.parametrize("width", [1, 2, 3, 4, 6])
def test_a_crack_along_an_axis_is_exact(width):
    mask = np.zeros((40, 120), bool)
    mask[20 : 20 + width, 10:110] = True
    for drawn in (mask, mask.T):
        line = centre_line(drawn, (1.0, 1.0))
        middle = np.abs(line.places - np.array(drawn.shape) / 2).max(axis=1) < 30
        assert line.widths[middle] == pytest.approx(width)
        assert line.length == pytest.approx(100, abs=width + 1)
        assert line.branches == 0


@pytest.mark.parametrize("angle", [8, 18.4, 26.6, 45, 63, 110, 160])
@pytest.mark.parametrize("width", [2, 3.5, 5])
def test_a_sloping_crack(angle, width):
    line = centre_line(strip((160, 160), (1, 1), *turned(angle, 120, (80.3, 79.6)), width), (1.0, 1.0))
    assert line.length == pytest.approx(120, abs=width + 1)  # its ends may fork into the corners
    assert np.average(line.widths, weights=line.lengths) == pytest.approx(width, abs=0.5)
    assert abs((main_angle(line) - angle + 90) % 180 - 90) < 2


@pytest.mark.parametrize("angle", [0, 30, 60, 90, 130])
def test_pixels_that_are_not_square(angle):
    spacing = (0.14, 0.07)
    line = centre_line(strip((120, 220), spacing, *turned(angle, 10, (8, 8)), 0.5), spacing)
    assert line.length == pytest.approx(10, abs=2 * 0.5)
    assert np.average(line.widths, weights=line.lengths) == pytest.approx(0.5, abs=0.14)
    assert abs((main_angle(line) - angle + 90) % 180 - 90) < 3


def test_a_fork_has_one_branch_point():
    mask = np.zeros((150, 150), bool)
    for angle in (90, 210, 330):
        mask |= strip(mask.shape, (1, 1), (75, 75), turned(angle, 120, (75, 75))[1], 3)
    line = centre_line(mask, (1.0, 1.0))
    assert line.branches == 1
    assert line.length == pytest.approx(180, rel=0.04)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.5)])
def test_a_rod_in_space(spacing):
    shape = tuple(int(44 / size) for size in spacing)
    ends = np.array([6.0, 10, 8]), np.array([36.0, 30, 28])
    line = centre_line(strip(shape, spacing, *ends, 4.5), spacing)
    length = float(np.linalg.norm(ends[1] - ends[0]))
    assert line.length == pytest.approx(length, abs=5.5)
    middle = np.abs(line.places * np.array(spacing) - (ends[0] + ends[1]) / 2).max(axis=1) < 8
    expected = (ends[1] - ends[0]) / length
    assert np.abs(line.directions[middle] @ expected).mean() > 0.99
    assert line.widths[middle].mean() == pytest.approx(4.5, abs=1.2)


def test_nothing_and_hardly_anything():
    assert centre_line(np.zeros((5, 5), bool), (1.0, 1.0)).length == 0
    for shape in ((3, 3), (3, 3, 3)):
        mask = np.zeros(shape, bool)
        mask[(1,) * len(shape)] = True
        line = centre_line(mask, (2.0,) * len(shape))
        assert line.length == 2
        assert not line.directions.any()


@pytest.mark.parametrize("shape", [(2, 2), (4, 4), (2, 2, 2), (3, 2, 4), (4, 4, 4), (6, 6, 6)])
def test_no_block_vanishes(shape):
    assert len(centre_line(np.ones(shape, bool), (1.0,) * len(shape)).places)
