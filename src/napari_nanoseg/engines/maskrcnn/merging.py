"""One object out of what several windows saw of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.events import checkpoint

SAME = 0.5
"""Intersection over union, in what both windows see, from which two masks are of the same object."""
MANY = 200
"""Pairs compared between two chances to stop."""


@dataclass(frozen=True, eq=False)
class Piece:
    """What one window saw of an object.

    Parameters
    ----------
    window : int
        Number of the window.
    start : tuple of int
        Row and column of `mask` in the image.
    mask : bool array
    score : float
    kind : int
        Class.
    cut : bool
        Whether it reaches the edge of the window where the image goes on.
    """

    window: int
    start: tuple[int, int]
    mask: NDArray[np.bool_]
    score: float
    kind: int
    cut: bool

    @property
    def box(self) -> tuple[int, int, int, int]:
        """First row and column, then those behind the last."""
        return (*self.start, self.start[0] + self.mask.shape[0], self.start[1] + self.mask.shape[1])


Box = tuple[int, int, int, int]


def merge_pieces(pieces: Sequence[Piece], windows: Sequence[Box], overlap: float) -> list[Piece]:
    """Each object once: whole from the window that saw it whole, else put together.

    Parameters
    ----------
    pieces : sequence of Piece
    windows : sequence of tuple
        First row and column of each window, then those behind the last.
    overlap : float
        Most intersection over union of the boxes of two objects of a class: of two that different windows saw, the less
        probable one goes, as it would have within one window.

    Returns
    -------
    list of Piece
        Of different windows of one object only one is left.
    """
    meeting = _meeting(pieces, windows)
    group = list(range(len(pieces)))
    members = {number: [number] for number in group}
    for _, one, other in sorted((pair for pair in meeting if pair[0] >= SAME), reverse=True):
        first, second = group[one], group[other]
        seen = [pieces[member].window for member in (*members[first], *members[second])]
        if first == second or len(set(seen)) < len(seen):  # one window saw two objects there
            continue
        for member in members[second]:
            group[member] = first
        members[first] += members.pop(second)
    joined = {number: _joined([pieces[member] for member in together]) for number, together in members.items()}
    return _unrivalled(joined, {(group[one], group[other]) for _, one, other in meeting}, overlap)


def _unrivalled(objects: dict[int, Piece], meeting: set[tuple[int, int]], overlap: float) -> list[Piece]:
    """Leave out what a more probable object of another window covers."""
    close: dict[int, list[int]] = {}
    for one, other in meeting:
        if one != other and _box_overlap(objects[one].box, objects[other].box) > overlap:
            close.setdefault(one, []).append(other)
            close.setdefault(other, []).append(one)
    left = dict(objects)
    for number in sorted(close, key=lambda member: -objects[member].score):
        if number in left:
            for rival in close[number]:
                left.pop(rival, None)
    return list(left.values())


def _meeting(pieces: Sequence[Piece], windows: Sequence[Box]) -> list[tuple[float, int, int]]:
    """Pieces of a class and of different windows whose boxes meet where both windows see, with their masks' overlap."""
    boxes = np.array([piece.box for piece in pieces], np.int64).reshape(-1, 4)
    frames = np.array(windows, np.int64)
    owners = np.array([piece.window for piece in pieces], np.int64)
    of_window = [np.flatnonzero(owners == number) for number in range(len(windows))]
    pairs: list[tuple[float, int, int]] = []
    compared = 0
    for number, frame in enumerate(frames):
        touching = (frames[:, :2] < frame[2:]).all(axis=1) & (frame[:2] < frames[:, 2:]).all(axis=1)
        for other in np.flatnonzero(touching):
            if other <= number:
                continue
            common = (
                *np.maximum(frame[:2], frames[other, :2]).tolist(), *np.minimum(frame[2:], frames[other, 2:]).tolist()
            )  # fmt: skip
            mine, theirs = (index[_reach(boxes[index], common)] for index in (of_window[number], of_window[other]))
            meet = _reach_each_other(boxes[mine], boxes[theirs])
            for a, b in np.argwhere(meet):
                one, two = int(mine[a]), int(theirs[b])
                if pieces[one].kind == pieces[two].kind:
                    pairs.append((_overlap(pieces[one], pieces[two], common), one, two))
                compared += 1
                if compared % MANY == 0:
                    checkpoint()
    return pairs


def _reach(boxes: NDArray[np.int64], frame: Box) -> NDArray[np.bool_]:
    return np.asarray((boxes[:, :2] < frame[2:]).all(axis=1) & (boxes[:, 2:] > frame[:2]).all(axis=1))


def _reach_each_other(some: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    return np.asarray((low < high).all(axis=2))


def _box_overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    high, wide = (max(0, min(one[i + 2], other[i + 2]) - max(one[i], other[i])) for i in (0, 1))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return high * wide / (sum(areas) - high * wide)


def _overlap(one: Piece, other: Piece, common: Box) -> float:
    """Intersection over union of two masks in a part of the image."""
    first, second = _crop(one, common), _crop(other, common)
    intersection = _shared(first, second)
    union = np.count_nonzero(first[1]) + np.count_nonzero(second[1]) - intersection
    return intersection / union if union else 0.0


Placed = tuple[tuple[int, int], NDArray[np.bool_]]


def _crop(piece: Piece, frame: Box) -> Placed:
    """The part of a mask inside a frame, and where it starts."""
    row, column, row_stop, column_stop = piece.box
    top, left = max(row, frame[0]), max(column, frame[1])
    bottom, right = max(top, min(row_stop, frame[2])), max(left, min(column_stop, frame[3]))
    return (top, left), piece.mask[top - row : bottom - row, left - column : right - column]


def _shared(one: Placed, other: Placed) -> int:
    """Pixels that belong to both masks."""
    (top, left), mask = one
    (other_top, other_left), other_mask = other
    row, column = max(top, other_top), max(left, other_left)
    bottom = min(top + mask.shape[0], other_top + other_mask.shape[0])
    right = min(left + mask.shape[1], other_left + other_mask.shape[1])
    if bottom <= row or right <= column:
        return 0
    part = mask[row - top : bottom - top, column - left : right - left]
    other_part = other_mask[row - other_top : bottom - other_top, column - other_left : right - other_left]
    return int(np.count_nonzero(part & other_part))


def _joined(pieces: list[Piece]) -> Piece:
    """The most probable piece that is not cut, else all of them together."""
    best = max(pieces, key=lambda piece: (not piece.cut, piece.score))
    if not best.cut or len(pieces) == 1:
        return best
    boxes = np.array([piece.box for piece in pieces])
    start = boxes[:, :2].min(axis=0)
    mask = np.zeros(boxes[:, 2:].max(axis=0) - start, bool)
    for piece, (row, column, row_stop, column_stop) in zip(pieces, boxes - np.tile(start, 2), strict=True):
        mask[row:row_stop, column:column_stop] |= piece.mask
    return Piece(best.window, (int(start[0]), int(start[1])), mask, best.score, best.kind, cut=True)
