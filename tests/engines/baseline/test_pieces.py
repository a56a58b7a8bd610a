"""Connected pieces strip by strip are those of the whole mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, label

from napari_nanoseg.engines.baseline.pieces import CORNERS, EDGES, fill_holes, find_pieces


@pytest.mark.parametrize("structure", [EDGES, CORNERS], ids=["edges", "corners"])
@given(mask=arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 9))), strip=st.integers(1, 40))
def test_pieces_are_those_of_the_whole_mask(structure: NDArray[np.bool_], mask: NDArray[np.bool_], strip: int) -> None:
    labels, areas = find_pieces(mask, structure, strip)
    expected, number = label(mask, structure)
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(areas, np.bincount(expected.ravel(), minlength=number + 1))


@given(mask=arrays(bool, st.tuples(st.integers(3, 12), st.integers(3, 12))))
def test_without_a_limit_all_holes_are_filled(mask: NDArray[np.bool_]) -> None:
    np.testing.assert_array_equal(fill_holes(mask, np.inf), binary_fill_holes(mask, CORNERS))


def test_only_small_holes_are_filled() -> None:
    mask = np.ones((12, 20), bool)
    mask[2:5, 2:5] = mask[2:7, 8:13] = mask[9:, 18:] = False
    filled = fill_holes(mask, 10)
    assert filled[3, 3]
    assert not filled[4, 10]
    assert not filled[11, 19], "open to the rim of the image, it is no hole"
