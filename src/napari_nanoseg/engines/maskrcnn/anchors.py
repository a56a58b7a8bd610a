"""Anchor boxes: Detectron2's exact ones, which are not rounded to whole pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.engines.maskrcnn.fpn import STRIDES


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """Anchors around the origin, sizes outside and ratios (height over width) inside.

    Returns
    -------
    float32 tensor, shape (sizes * ratios, 4)
    """
    rows = []
    for size in sizes:
        for ratio in ratios:
            width = math.sqrt(size**2 / ratio)
            height = ratio * width
            rows.append((-width / 2, -height / 2, width / 2, height / 2))
    return torch.tensor(rows)


def make_anchors(config: MaskRCNNConfig, maps: Sequence[Tensor]) -> list[Tensor]:
    """Anchors of every place of every level.

    Parameters
    ----------
    config : MaskRCNNConfig
    maps : sequence of tensor, shape (N, C, h, w)
        Of the levels p2 to p6.

    Returns
    -------
    list of float32 tensor, shape (h * w * anchors per place, 4)
    """
    anchors = []
    for features, stride, sizes in zip(maps, STRIDES, config.sizes_of_levels, strict=True):
        height, width = features.shape[-2:]
        offset = config.anchor_offset * stride
        y = torch.arange(offset, height * stride, stride, dtype=torch.float32, device=features.device)
        x = torch.arange(offset, width * stride, stride, dtype=torch.float32, device=features.device)
        at_y, at_x = (grid.reshape(-1) for grid in torch.meshgrid(y, x, indexing="ij"))
        shifts = torch.stack((at_x, at_y, at_x, at_y), dim=1)
        cell = cell_anchors(sizes, config.anchor_ratios).to(features.device)
        anchors.append((shifts[:, None] + cell[None]).reshape(-1, 4))
    return anchors
