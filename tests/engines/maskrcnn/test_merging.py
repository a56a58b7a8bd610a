"""Every object once, whole, wherever the seams of the windows run."""

from __future__ import annotations

import numpy as np
import pytest
from followed import events_of
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.maskrcnn.found import MaskRCNNFound, Plane, Seen
from napari_nanoseg.engines.maskrcnn.merging import Piece, merge_pieces
from napari_nanoseg.engines.maskrcnn.predict import FULL, Candidates
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice
from napari_nanoseg.tiling import Tile, tiles

SHAPE = (120, 150)
ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]]


def pieces_of(mask: np.ndarray, windows: list[Tile], score: float) -> list[Piece]:
    """What a perfect network sees of an object."""
    found = []
    for number, window in enumerate(windows):
        crop = mask[slice(*window.rows), slice(*window.columns)]
        if crop.any():
            inner = [window.rows[0] > 0, window.rows[1] < SHAPE[0], window.columns[0] > 0, window.columns[1] < SHAPE[1]]
            edges = [crop[0].any(), crop[-1].any(), crop[:, 0].any(), crop[:, -1].any()]
            cut = any(goes and there for goes, there in zip(inner, edges, strict=True))
            rows, columns = (np.flatnonzero(crop.any(axis=axis)) for axis in (1, 0))
            tight = crop[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            start = (int(window.rows[0] + rows[0]), int(window.columns[0] + columns[0]))
            found.append(Piece(number, start, tight, score, 0, cut))
    return found


def painted(piece: Piece) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    row, column, row_stop, column_stop = piece.box
    mask[row:row_stop, column:column_stop] = piece.mask
    return mask


@given(
    row=st.floats(15, 105), column=st.floats(15, 135), radius=st.floats(3, 60), tile=st.integers(40, 80),
    overlap=st.integers(12, 30),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_disc_is_put_together_from_all_windows_that_see_it(row, column, radius, tile, overlap):
    mask = (ROWS - row) ** 2 + (COLUMNS - column) ** 2 < radius**2
    windows = tiles(SHAPE, tile, overlap)
    frames = [(window.rows[0], window.columns[0], window.rows[1], window.columns[1]) for window in windows]
    (merged,) = merge_pieces(pieces_of(mask, windows, 0.9), frames, 0.5)
    np.testing.assert_array_equal(painted(merged), mask)


def test_crossing_wires_stay_two_and_classes_apart():
    windows = tiles(SHAPE, 60, 20)
    frames = [(window.rows[0], window.columns[0], window.rows[1], window.columns[1]) for window in windows]
    wires = [abs(ROWS - 60) < 4, abs(COLUMNS - 75) < 4]
    pieces = [piece for wire in wires for piece in pieces_of(wire, windows, 0.9)]
    merged = merge_pieces(pieces, frames, 0.5)
    assert {painted(piece).tobytes() for piece in merged} == {wire.tobytes() for wire in wires}
    disc = pieces_of((ROWS - 60) ** 2 + (COLUMNS - 75) ** 2 < 100, windows, 0.9)
    other = Piece(disc[1].window, disc[1].start, disc[1].mask, 0.8, 1, cut=False)
    assert len(merge_pieces([disc[0], other], frames, 0.5)) == 2


def grid_of(rows: int, columns: int, side: int) -> np.ndarray:
    y, x = (side * part.ravel() for part in np.mgrid[:rows, :columns])
    return np.stack([x, y, x + side - 2, y + side - 2], axis=1).astype(np.float32)


def seen(boxes: np.ndarray, tile: Tile, score: float = 0.9) -> Seen:
    count = len(boxes)
    masks = np.full((count, 28, 28), FULL, np.uint16)
    return Seen(Candidates(boxes, np.full(count, score, np.float32), np.zeros(count, np.int64), masks), tile)


def one_plane(windows: list[Seen], shape: tuple[int, int], most: int = 6000) -> MaskRCNNFound:
    config = SegmentConfig(probability=0.5, overlap=0.5)
    return MaskRCNNFound([Plane(windows, shape, shape)], most, False, config, 0.5, suppressed=True)


def test_five_thousand_objects_in_one_image():
    shape = (500, 1000)
    boxes = grid_of(50, 100, 10)
    windows = []
    for tile in tiles(shape, 250, 32):
        corner = np.array([tile.columns[0], tile.rows[0]] * 2, np.float32)
        inside = boxes - corner
        whole = (inside[:, 0] >= 0) & (inside[:, 1] >= 0)
        whole &= (inside[:, 2] <= tile.columns[1] - tile.columns[0]) & (inside[:, 3] <= tile.rows[1] - tile.rows[0])
        windows.append(seen(inside[whole], tile))
    found = one_plane(windows, shape).instances()
    assert len(found) == 5000
    np.testing.assert_array_equal(np.unique(found.areas), [64])
    assert not found.overlapping


def test_an_object_wider_than_a_window_is_one():
    shape = (60, 400)
    windows = [
        seen(np.array([[0, 20, tile.columns[1] - tile.columns[0], 40]], np.float32), tile)
        for tile in tiles(shape, 100, 30)
    ]
    found = one_plane(windows, shape).instances()
    assert found.areas.tolist() == [20 * 400]


def test_a_full_window_is_told_and_another_overlap_refused():
    tile = Tile((0, 100), (0, 100), (0, 100), (0, 100))
    found = one_plane([seen(grid_of(4, 5, 20), tile)], (100, 100), most=10)
    events = events_of(lambda: found.instances())[0]
    assert any(isinstance(event, Notice) and "as many objects" in event.message for event in events)
    with pytest.raises(NanosegError, match="segment again"):
        found.instances(SegmentConfig(overlap=0.3))
