"""Resizing to a shortest side, as Detectron2's predictor does before the network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def shortest_edge(shape: tuple[int, int], least: int, most: int) -> tuple[int, int]:
    """Rows and columns of an image after resizing (Detectron2's ``ResizeShortestEdge``).

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    least : int
        The shortest side becomes this long, 0: the image stays as it is ...
    most : int
        ... unless the longest would be longer than this.
    """
    if least == 0:
        return shape
    scale = least / min(shape)
    rows, columns = (float(least if size == min(shape) else scale * size) for size in shape)
    if max(rows, columns) > most:
        scale = most / max(rows, columns)
        rows, columns = rows * scale, columns * scale
    return max(1, int(rows + 0.5)), max(1, int(columns + 0.5))


def resized(pixels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[Any]:
    """An image (H, W) or (H, W, C) at another size, with Pillow's bilinear filter, which all its pixels go through."""
    from PIL import Image as Picture

    if pixels.shape[:2] == shape:
        return pixels
    channels = [
        np.asarray(Picture.fromarray(np.ascontiguousarray(channel)).resize(shape[::-1], Picture.Resampling.BILINEAR))
        for channel in np.moveaxis(np.atleast_3d(pixels), -1, 0)
    ]
    return np.stack(channels, axis=-1)
