"""Masks of the network, as large as its boxes say."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

LEAST = 0.5
"""Probability from which a pixel belongs to the object."""


@torch.inference_mode()
def pasted(mask: NDArray[Any], box: NDArray[Any], shape: tuple[int, int]) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Enlarge a mask to its box (Detectron2's ``paste_masks_in_image``).

    Parameters
    ----------
    mask : float array, shape (m, m)
        Probability over the box.
    box : float array, shape (4,)
        x0, y0, x1, y1 in px of the image; the corner of the first pixel is (0, 0).
    shape : tuple of int
        Rows and columns of the image.

    Returns
    -------
    mask : bool array
        The part of the image around the box.
    start : tuple of int
        Row and column where it lies.
    """
    x0, y0, x1, y1 = (float(value) for value in box)
    left, top = max(0, int(np.floor(x0)) - 1), max(0, int(np.floor(y0)) - 1)
    right, bottom = min(shape[1], int(np.ceil(x1)) + 1), min(shape[0], int(np.ceil(y1)) + 1)
    if right <= left or bottom <= top or x1 <= x0 or y1 <= y0:
        return np.zeros((0, 0), bool), (top, left)
    corners = torch.tensor([x0, y0, x1, y1], dtype=torch.float32)
    x = (torch.arange(left, right, dtype=torch.float32) + 0.5 - corners[0]) / (corners[2] - corners[0]) * 2 - 1
    y = (torch.arange(top, bottom, dtype=torch.float32) + 0.5 - corners[1]) / (corners[3] - corners[1]) * 2 - 1
    grid = torch.stack((x.expand(len(y), -1), y[:, None].expand(-1, len(x))), dim=-1)[None]
    source = torch.from_numpy(np.asarray(mask, np.float32))[None, None]
    sampled = F.grid_sample(source, grid, align_corners=False)[0, 0]
    return (sampled >= LEAST).numpy(), (top, left)
