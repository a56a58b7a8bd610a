"""Run lengths as in COCO: column by column, background first, written as short text.

Source: the reference implementation ``maskApi.c`` of pycocotools (``rleEncode``, ``rleToString``, ``rleFrString``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GROUP_BITS = 5


def mask_to_counts(mask: NDArray[np.bool_], start: tuple[int, int], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Run lengths in the whole image of a mask that lies at `start` (row, column)."""
    height, width = shape
    steps = np.diff(np.pad(mask, ((1, 1), (0, 0))).astype(np.int8), axis=0).T
    columns, rows = np.nonzero(steps)
    edges = (columns + start[1]) * height + rows + start[0]
    # a run that goes on from the last row of a column to the first row of the next has no edge there
    goes_on = np.flatnonzero(edges[:-1] == edges[1:])
    edges = np.delete(edges, np.concatenate([goes_on, goes_on + 1]))
    counts = np.diff(edges, prepend=0, append=height * width)
    return counts if counts[-1] else counts[:-1]


def mask_from_counts(counts: NDArray[np.int64], shape: tuple[int, int]) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Mask of the rows and columns that the runs reach, and its start (row, column).

    Raises
    ------
    ValueError
        When the runs do not fill an image of this shape.
    """
    height, width = shape
    if counts.ndim != 1 or (counts < 0).any() or counts.sum() != height * width:
        raise ValueError("the run lengths do not fill the image")
    ends = np.cumsum(counts)
    starts, stops = ends[:-1:2], ends[1::2]
    starts, stops = starts[stops > starts], stops[stops > starts]
    if not starts.size:
        return np.zeros((0, 0), dtype=bool), (0, 0)
    columns, last_columns = starts // height, (stops - 1) // height
    first, last = columns[0], last_columns[-1] + 1
    top, bottom = 0, height
    if np.array_equal(columns, last_columns):  # else a run goes from the last row to the first
        top, bottom = (starts - columns * height).min(), (stops - columns * height).max()
    # runs are apart, so no two start or stop at the same place
    steps = np.zeros((last - first) * (bottom - top) + 1, dtype=np.int8)
    steps[starts - columns * height - top + (columns - first) * (bottom - top)] += 1
    steps[stops - last_columns * height - top + (last_columns - first) * (bottom - top)] -= 1
    flat = np.cumsum(steps[:-1], dtype=np.int8).astype(bool)
    return flat.reshape(last - first, bottom - top).T, (int(top), int(first))


def encode_counts(counts: NDArray[np.int64]) -> str:
    """Write run lengths as COCO's compressed text: differences in groups of five bits."""
    rest = counts.astype(np.int64)
    rest[3:] -= counts[1:-2]
    letters, used = [], []
    going = np.ones(len(rest), dtype=bool)
    while going.any():
        used.append(going)
        group = rest & 31
        rest = rest >> GROUP_BITS
        more = np.where(group & 16, rest != -1, rest != 0)
        letters.append(group + 32 * more + 48)
        going = going & more
    return bytes(np.array(letters, dtype=np.uint8).T[np.array(used).T]).decode("ascii")


def decode_counts(text: str | bytes) -> NDArray[np.int64]:
    """Read what :func:`encode_counts` or pycocotools wrote.

    Raises
    ------
    ValueError
        When the text is cut off or holds other characters.
    """
    data = text.encode() if isinstance(text, str) else text
    groups = np.frombuffer(data, dtype=np.uint8).astype(np.int64) - 48
    if not groups.size or groups.min() < 0 or groups.max() > 63 or groups[-1] & 32:
        raise ValueError("not compressed run lengths")
    ends = np.flatnonzero((groups & 32) == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(groups.size) - np.repeat(starts, ends - starts + 1)
    if place.max() > 11:
        raise ValueError("not compressed run lengths")
    values: NDArray[np.int64] = np.add.reduceat((groups & 31) << (GROUP_BITS * place), starts)
    negative = (groups[ends] & 16) != 0
    values -= negative.astype(np.int64) << (GROUP_BITS * (ends - starts + 1))
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values
