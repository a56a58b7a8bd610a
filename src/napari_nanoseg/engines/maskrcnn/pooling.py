"""Cutting the features of boxes out of the level of the pyramid that suits their size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import roi_align

from napari_nanoseg.config.maskrcnn import Pooler
from napari_nanoseg.engines.maskrcnn.fpn import STRIDES

POOLED_LEVELS = 4
"""p2 to p5; p6 is for proposals only."""
CANONICAL_SIDE, CANONICAL_LEVEL = 224, 4
"""Boxes of this side (of ImageNet's images) belong to this level."""


def levels_of(boxes: Tensor) -> Tensor:
    """Index of the level of each box, shape (R, 4); 0 is p2."""
    sides = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp(min=0).sqrt()
    levels = torch.floor(CANONICAL_LEVEL + torch.log2(sides / CANONICAL_SIDE + 1e-8))
    return levels.clamp(2, 1 + POOLED_LEVELS).long() - 2


def pooled(
    maps: Sequence[Tensor], boxes: Sequence[Tensor], resolution: int, sampling_ratio: int, pooler: Pooler
) -> Tensor:
    """Features of boxes at one resolution.

    Parameters
    ----------
    maps : sequence of tensor, shape (N, C, h, w)
        Of the levels p2 and up.
    boxes : sequence of tensor, shape (R, 4)
        Of each image, px.
    resolution, sampling_ratio : int
        As in the config.
    pooler : str
        ``ROIAlign`` is without the half pixel that ``ROIAlignV2`` puts right.

    Returns
    -------
    tensor, shape (all boxes, C, resolution, resolution)
        In the order of the images and their boxes.
    """
    together = torch.cat(list(boxes))
    image = torch.cat([torch.full_like(own[:, :1], number) for number, own in enumerate(boxes)])
    rois = torch.cat([image, together], dim=1).to(maps[0].dtype)
    levels = levels_of(together)
    out = maps[0].new_zeros((len(rois), maps[0].shape[1], resolution, resolution))
    for level in range(POOLED_LEVELS):
        here = (levels == level).nonzero()[:, 0]
        if len(here):
            own = roi_align(
                maps[level], rois[here], resolution, 1 / STRIDES[level], sampling_ratio, aligned=pooler == "ROIAlignV2"
            )
            out = out.index_put((here,), own)
    return out
