"""From a window of an image to what may be an object in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import batched_nms

from napari_nanoseg.engines.maskrcnn.boxes import clipped
from napari_nanoseg.engines.maskrcnn.network import MaskRCNN
from napari_nanoseg.engines.maskrcnn.pixels import batch_of, to_network
from napari_nanoseg.engines.maskrcnn.rpn import RpnOutput
from napari_nanoseg.events import checkpoint

FULL = np.iinfo(np.uint16).max
BOXES, MASKS = 250, 50
"""Put through the heads at once: 0.1 to 0.3 s on 2 cores with the published architecture."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Objects that the network sees in one window, before the most probable of those that overlap is chosen.

    Parameters
    ----------
    boxes : float32 array, shape (N, 4)
        x0, y0, x1, y1 in px of the window as the network saw it.
    scores : float32 array, shape (N,)
    classes : int array, shape (N,)
    masks : uint16 array, shape (N, m, m)
        Probability of belonging to the object, over its box, in steps of 1 / 65535.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    masks: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: NDArray[Any]) -> Candidates:
        return Candidates(self.boxes[index], self.scores[index], self.classes[index], self.masks[index])


def survivors(boxes: Tensor, scores: Tensor, classes: Tensor, probability: float, overlap: float, most: int) -> Tensor:
    """Indices of the objects that no more probable one of their class covers, most probable first.

    Parameters
    ----------
    boxes, scores, classes : tensor, shape (N, 4), (N,), (N,)
    probability : float
        Only more probable ones.
    overlap : float
        Most intersection over union of two boxes.
    most : int
        So many at most.
    """
    index = (scores > probability).nonzero()[:, 0]
    return index[batched_nms(boxes[index], scores[index], classes[index], overlap)[:most]]


@torch.inference_mode()
def find_candidates(
    network: MaskRCNN,
    pixels: NDArray[Any],
    device: torch.device,
    *,
    floor: float,
    overlap: float | None = None,
    most: int,
) -> Candidates:
    """Put a window through the network.

    Parameters
    ----------
    network : MaskRCNN
        In evaluation mode on `device`.
    pixels : array, shape (H, W), (H, W, 1) or (H, W, 3)
        0 to 255; grey, or red, green and blue.
    device : torch.device
    floor : float
        Only what is more probable.
    overlap : float, optional
        Only those that survive :func:`survivors`; by default all.
    most : int
        So many survivors at most.
    """
    config = network.config
    batch = batch_of([to_network(pixels, config)], network.divisor).to(device, memory_format=torch.channels_last)
    size = (pixels.shape[0], pixels.shape[1])
    maps: list[Tensor] = network.backbone(batch)
    output = RpnOutput([], [])
    for level in maps:
        said = network.rpn([level])
        output.logits.extend(said.logits)
        output.deltas.extend(said.deltas)
        checkpoint()
    proposed = network.proposals(network.anchors(maps), output, [size], train=False)[0].boxes
    checkpoint()
    scores, boxes = [], []
    for part in torch.split(proposed, BOXES):
        logits, deltas = network.box(maps, [part])
        scores.append(logits.float().softmax(dim=1)[:, :-1])
        boxes.append(network.roi_heads.coder.apply(deltas, part))
        checkpoint()
    all_scores = torch.cat([torch.zeros((0, config.n_classes), device=device), *scores])
    all_boxes = torch.cat([torch.zeros((0, boxes[0].shape[1] if boxes else 4), device=device), *boxes])
    finite = all_scores.isfinite().all(dim=1) & all_boxes.isfinite().all(dim=1)
    all_scores, all_boxes = all_scores[finite], clipped(all_boxes[finite].view(int(finite.sum()), -1, 4), size)
    row, kind = (all_scores > floor).nonzero(as_tuple=True)
    chosen = all_boxes[row, torch.zeros_like(kind) if config.class_agnostic_box else kind]
    score = all_scores[row, kind]
    if overlap is not None:
        keep = survivors(chosen, score, kind, floor, overlap, most)
        chosen, score, kind = chosen[keep], score[keep], kind[keep]
    side = 2 * config.mask_resolution
    masks = [torch.zeros((0, side, side))]
    for part, own in zip(torch.split(chosen, MASKS), torch.split(kind, MASKS), strict=True):
        if not len(part):
            break
        logits = network.mask(maps, [part])
        channel = torch.zeros_like(own) if config.class_agnostic_mask else own
        masks.append(logits[torch.arange(len(own), device=device), channel].float().sigmoid().cpu())
        checkpoint()
    return Candidates(
        chosen.cpu().numpy(),
        score.cpu().numpy(),
        kind.cpu().numpy(),
        (torch.cat(masks).numpy() * FULL).round().astype(np.uint16),
    )
