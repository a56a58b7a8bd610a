"""What anchors and proposals should say: Detectron2's ``Matcher``, ``subsample_labels`` and ``crop_and_resize``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import box_iou, roi_align

IGNORED, BACKGROUND, OBJECT = -1, 0, 1


class Truth(NamedTuple):
    """The objects of one image, and where they are all known.

    Parameters
    ----------
    boxes : float32 tensor, shape (N, 4)
        x0, y0, x1, y1 around the pixels.
    classes : int64 tensor, shape (N,)
    masks : bool tensor, shape (N, H, W)
    known : bool tensor, shape (H, W)
    """

    boxes: Tensor
    classes: Tensor
    masks: Tensor
    known: Tensor


def boxes_of(masks: Tensor) -> Tensor:
    """Boxes, float32 (N, 4), around the pixels of masks, bool (N, H, W), of at least one pixel each."""
    spans = []
    for axis in (1, 2):  # what is left: columns, rows
        line = masks.any(dim=axis).to(torch.uint8)
        spans.append((line.argmax(dim=1), line.shape[1] - line.flip(1).argmax(dim=1)))
    (x0, x1), (y0, y1) = spans
    return torch.stack((x0, y0, x1, y1), dim=1).float()


def matched(boxes: Tensor, truth: Tensor, low: float, high: float, *, low_quality: bool) -> tuple[Tensor, Tensor]:
    """Match boxes with the true ones by their intersection over union.

    Parameters
    ----------
    boxes, truth : tensor, shape (A, 4), (N, 4)
    low, high : float
        Background below `low`, objects from `high` on, neither in between.
    low_quality : bool
        Whether a true box also gets the boxes that overlap it most, however little that is.

    Returns
    -------
    index : int64 tensor, shape (A,)
        Of the true box that a box overlaps most; 0 where there is none.
    label : int64 tensor, shape (A,)
        `OBJECT`, `BACKGROUND` or `IGNORED`.
    """
    if not len(truth):
        return boxes.new_zeros(len(boxes), dtype=torch.long), boxes.new_full((len(boxes),), BACKGROUND).long()
    overlaps = box_iou(truth, boxes)
    best, index = overlaps.max(dim=0)
    label = torch.full_like(index, IGNORED)
    label[best < low] = BACKGROUND
    label[best >= high] = OBJECT
    if low_quality:
        most = overlaps.max(dim=1, keepdim=True).values
        label[((overlaps == most) & (most > 0)).any(dim=0)] = OBJECT
    return index, label


def without_unknown(label: Tensor, boxes: Tensor, known: Tensor) -> Tensor:
    """Ignore background whose centre lies where the truth is not known; beyond the image it counts as its edge."""
    x = ((boxes[:, 0] + boxes[:, 2]) / 2).long().clamp(0, known.shape[1] - 1)
    y = ((boxes[:, 1] + boxes[:, 3]) / 2).long().clamp(0, known.shape[0] - 1)
    return torch.where((label == BACKGROUND) & ~known[y, x], IGNORED, label)


def sampled(label: Tensor, count: int, positive_fraction: float) -> tuple[Tensor, Tensor]:
    """Draw objects and background with torch's own generator, which checkpoints hold.

    Returns
    -------
    positive, negative : int64 tensor
        Indices: at most ``count * positive_fraction`` objects, and background up to `count` together.
    """
    positive = _some((label == OBJECT).nonzero()[:, 0], int(count * positive_fraction))
    return positive, _some((label == BACKGROUND).nonzero()[:, 0], count - len(positive))


def _some(index: Tensor, count: int) -> Tensor:
    return index[torch.randperm(len(index))[:count].to(index.device)]


def mask_targets(masks: Tensor, boxes: Tensor, side: int) -> Tensor:
    """True masks within boxes, as the mask head gives them.

    Parameters
    ----------
    masks : bool tensor, shape (R, H, W)
        That of the object of each box.
    boxes : tensor, shape (R, 4)
    side : int

    Returns
    -------
    bool tensor, shape (R, side, side)
    """
    own = torch.arange(len(boxes), device=boxes.device, dtype=boxes.dtype)[:, None]
    cut = roi_align(masks[:, None].to(boxes.dtype), torch.cat([own, boxes], dim=1), side, 1.0, 0, aligned=True)
    inside: Tensor = cut[:, 0] >= 0.5
    return inside


def truths_of(masks: Tensor, owner: Tensor, classes: Tensor, known: Tensor) -> Sequence[Truth]:
    """Split the objects of a batch into those of each image.

    Parameters
    ----------
    masks : bool tensor, shape (T, H, W)
    owner, classes : int64 tensor, shape (T,)
        Number of the image in the batch, and class, of each object.
    known : bool tensor, shape (B, H, W)
    """
    found = []
    for number, place in enumerate(known):
        own = masks[owner == number]
        found.append(Truth(boxes_of(own), classes[owner == number], own, place))
    return found
