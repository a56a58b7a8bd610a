"""Tiles cover the plane once, and windows reach as far as they must."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nanoseg.tiling import tiles

sizes = st.integers(1, 120)


@settings(deadline=None)
@given(st.tuples(sizes, sizes), st.integers(4, 90), st.integers(0, 40))
def test_every_pixel_belongs_to_one_tile_and_sees_its_surroundings(shape, tile, overlap):
    owners = np.zeros(shape, int)
    for t in tiles(shape, tile, overlap):
        owners[slice(*t.own_rows), slice(*t.own_columns)] += 1
        spans = zip(shape, (t.rows, t.columns), (t.own_rows, t.own_columns), strict=True)
        for size, window, own in spans:
            assert window[0] <= max(0, own[0] - overlap)
            assert window[1] >= min(size, own[1] + overlap)
            assert 0 <= window[0] < window[1] <= size
            assert window[1] - window[0] <= tile + 2 * overlap
    assert (owners == 1).all()
