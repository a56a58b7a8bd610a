"""Cutting a plane into overlapping tiles of which each pixel belongs to exactly one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tile:
    """A window of the plane and the part of it that is this tile's own; half-open (start, stop) ranges.

    Parameters
    ----------
    rows, columns : tuple of int
        What goes through the network.
    own_rows, own_columns : tuple of int
        What is kept: the windows of all tiles cover the plane, their own parts without overlap.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    own_rows: tuple[int, int]
    own_columns: tuple[int, int]


def cut(size: int, tile: int, overlap: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Cut one axis: (window, own part) of each tile.

    Parameters
    ----------
    size : int
        Length of the axis.
    tile : int
        Length of a tile's own part; a shorter axis, or one that fits with its overlap, is one tile.
    overlap : int
        How far windows reach beyond their own part where the plane goes on.
    """
    if size <= tile + 2 * overlap:
        return [((0, size), (0, size))]
    count = -(-size // tile)
    return [
        ((max(0, k * tile - overlap), min(size, (k + 1) * tile + overlap)), (k * tile, min(size, (k + 1) * tile)))
        for k in range(count)
    ]


def tiles(shape: tuple[int, int], tile: int, overlap: int) -> list[Tile]:
    """Cut a plane into tiles, row by row.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns; where the network needs multiples of something, they, `tile` and `overlap` are multiples.
    tile, overlap : int
        As in :func:`cut`.
    """
    return [
        Tile(rows, columns, own_rows, own_columns)
        for rows, own_rows in cut(shape[0], tile, overlap)
        for columns, own_columns in cut(shape[1], tile, overlap)
    ]
