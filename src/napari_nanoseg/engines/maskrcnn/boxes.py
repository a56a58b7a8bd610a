"""Boxes (x0, y0, x1, y1) as floating-point corners in px, and the changes (deltas) that turn one into another."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

MOST_GROWTH = math.log(1000 / 16)
"""Of a box in one step, as a logarithm."""


class BoxCoder(NamedTuple):
    """How a box is written as a change of another.

    Parameters
    ----------
    x, y, width, height : float
        Weights of the changes.
    """

    x: float
    y: float
    width: float
    height: float

    def deltas(self, source: Tensor, target: Tensor) -> Tensor:
        """Changes, shape (N, 4), that turn boxes into others; both of shape (N, 4) with positive sides."""
        widths, heights, centre_x, centre_y = _split(source)
        target_widths, target_heights, target_x, target_y = _split(target)
        return torch.stack(
            (
                self.x * (target_x - centre_x) / widths,
                self.y * (target_y - centre_y) / heights,
                self.width * torch.log(target_widths / widths),
                self.height * torch.log(target_heights / heights),
            ),
            dim=1,
        )

    def apply(self, deltas: Tensor, boxes: Tensor) -> Tensor:
        """Boxes, shape (N, 4 K), after changes of shape (N, 4 K); `boxes` has shape (N, 4)."""
        deltas = deltas.float()
        widths, heights, centre_x, centre_y = (part[:, None] for part in _split(boxes.to(deltas.dtype)))
        wide = (deltas[:, 2::4] / self.width).clamp(max=MOST_GROWTH).exp() * widths
        high = (deltas[:, 3::4] / self.height).clamp(max=MOST_GROWTH).exp() * heights
        x = deltas[:, 0::4] / self.x * widths + centre_x
        y = deltas[:, 1::4] / self.y * heights + centre_y
        corners = (x - 0.5 * wide, y - 0.5 * high, x + 0.5 * wide, y + 0.5 * high)
        return torch.stack(corners, dim=-1).reshape(deltas.shape)


def _split(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return widths, heights, boxes[:, 0] + 0.5 * widths, boxes[:, 1] + 0.5 * heights


def clipped(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes, shape (..., 4), cut to an image of `size` (rows, columns)."""
    x = boxes[..., 0::2].clamp(min=0, max=size[1])
    y = boxes[..., 1::2].clamp(min=0, max=size[0])
    return torch.stack((x[..., 0], y[..., 0], x[..., 1], y[..., 1]), dim=-1)


def not_empty(boxes: Tensor, least: float = 0.0) -> Tensor:
    """Which of the boxes, shape (N, 4), have sides longer than `least`."""
    return (boxes[:, 2] - boxes[:, 0] > least) & (boxes[:, 3] - boxes[:, 1] > least)
