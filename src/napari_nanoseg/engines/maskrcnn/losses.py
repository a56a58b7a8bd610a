"""Losses of a Mask R-CNN as Detectron2's ``RPN.losses``, ``FastRCNNOutputLayers`` and ``mask_rcnn_loss`` have them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_nanoseg.engines.maskrcnn.network import MaskRCNN
from napari_nanoseg.engines.maskrcnn.rpn import Proposals, RpnOutput
from napari_nanoseg.engines.maskrcnn.targets import (
    IGNORED,
    Truth,
    mask_targets,
    matched,
    sampled,
    without_unknown,
)


def maskrcnn_losses(network: MaskRCNN, images: Tensor, truths: Sequence[Truth]) -> dict[str, Tensor]:
    """All losses of a batch.

    Parameters
    ----------
    network : MaskRCNN
    images : float32 tensor, shape (B, C, H, W)
        As the network takes them, without padding, with sides divisible by ``network.divisor``.
    truths : sequence of Truth
        Of each image.

    Returns
    -------
    dict
        ``objectness``, ``proposal``, ``class``, ``box``, ``mask`` and their sum ``loss``.
    """
    maps = network.features(images)
    anchors, output = network.anchors(maps), network.rpn(maps)
    size = (int(images.shape[2]), int(images.shape[3]))
    losses = rpn_losses(network, torch.cat(anchors), output, size, truths)
    proposed = network.proposals(anchors, output, [size] * len(truths), train=True)
    losses |= roi_losses(network, maps, proposed, truths)
    losses["loss"] = torch.stack(list(losses.values())).sum()
    return losses


def rpn_losses(
    network: MaskRCNN, anchors: Tensor, output: RpnOutput, size: tuple[int, int], truths: Sequence[Truth]
) -> dict[str, Tensor]:
    """Losses of the proposals: sums over the anchors drawn, per anchor that may be drawn.

    Parameters
    ----------
    network : MaskRCNN
    anchors : tensor, shape (A, 4)
        Of all levels.
    output : RpnOutput
    size : tuple of int
        Rows and columns of the images.
    truths : sequence of Truth
    """
    config, coder = network.config, network.proposal_generator.coder
    all_logits, all_deltas = torch.cat(output.logits, dim=1).float(), torch.cat(output.deltas, dim=1).float()
    low, high = config.rpn_iou_thresholds
    inside = torch.ones(len(anchors), dtype=torch.bool, device=anchors.device)
    if config.rpn_boundary_threshold >= 0:
        far = config.rpn_boundary_threshold
        limits = anchors.new_tensor([size[1] + far, size[0] + far])
        inside = (anchors[:, :2] >= -far).all(dim=1) & (anchors[:, 2:] < limits).all(dim=1)
    objectness, proposal = all_logits.sum() * 0, all_deltas.sum() * 0
    for logits, deltas, truth in zip(all_logits, all_deltas, truths, strict=True):
        index, label = matched(anchors, truth.boxes, low, high, low_quality=True)
        label = without_unknown(label.where(inside, IGNORED), anchors, truth.known)
        positive, negative = sampled(label, config.rpn_batch_per_image, config.rpn_positive_fraction)
        drawn = torch.cat([positive, negative])
        wanted = (torch.arange(len(drawn), device=drawn.device) < len(positive)).float()
        objectness = objectness + F.binary_cross_entropy_with_logits(logits[drawn], wanted, reduction="sum")
        if len(positive):
            change = coder.deltas(anchors[positive], truth.boxes[index[positive]])
            proposal = proposal + _distance(deltas[positive], change, config.rpn_smooth_l1_beta)
    count = config.rpn_batch_per_image * len(truths)
    return {"objectness": objectness / count, "proposal": proposal / count}


def roi_losses(
    network: MaskRCNN, maps: Sequence[Tensor], proposed: Sequence[Proposals], truths: Sequence[Truth]
) -> dict[str, Tensor]:
    """Losses of the heads: class and box per proposal drawn, mask per pixel of the objects among them."""
    config, coder = network.config, network.roi_heads.coder
    threshold = config.roi_iou_threshold
    boxes, kinds, wanted, objects = [], [], [], []
    side = 2 * config.mask_resolution
    masks = []
    for proposals, truth in zip(proposed, truths, strict=True):
        own = torch.cat([proposals.boxes, truth.boxes]) if config.roi_append_truth else proposals.boxes
        index, label = matched(own, truth.boxes, threshold, threshold, low_quality=False)
        label = without_unknown(label, own, truth.known)
        positive, negative = sampled(label, config.roi_batch_per_image, config.roi_positive_fraction)
        drawn = torch.cat([positive, negative])
        kind = torch.full_like(drawn, config.n_classes)
        kind[: len(positive)] = truth.classes[index[positive]]
        boxes.append(own[drawn])
        kinds.append(kind)
        objects.append(own[positive])
        wanted.append(truth.boxes[index[positive]])
        masks.append(mask_targets(truth.masks[index[positive]], own[positive], side))
    kind = torch.cat(kinds)
    logits, deltas = (part.float() for part in network.box(maps, boxes))
    count = max(len(kind), 1)
    here = (kind < config.n_classes).nonzero()[:, 0]
    class_loss = F.cross_entropy(logits, kind, reduction="sum") / count
    changes = deltas.view(len(deltas), -1, 4)
    own_class = kind[here]
    chosen = changes[here, torch.zeros_like(own_class) if config.class_agnostic_box else own_class]
    together = torch.cat(objects)
    box_loss = _distance(chosen, coder.deltas(together, torch.cat(wanted)), config.box_smooth_l1_beta) / count
    mask_logits = network.mask(maps, objects).float()
    row = torch.arange(len(together), device=together.device)
    mask = mask_logits[row, torch.zeros_like(own_class) if config.class_agnostic_mask else own_class]
    pixels = F.binary_cross_entropy_with_logits(mask, torch.cat(masks).float(), reduction="sum")
    return {"class": class_loss, "box": box_loss, "mask": pixels / max(mask.numel(), 1)}


def _distance(said: Tensor, wanted: Tensor, beta: float) -> Tensor:
    """Sum of the (smooth) L1 loss."""
    if beta == 0:
        return (said - wanted).abs().sum()
    return F.smooth_l1_loss(said, wanted, beta=beta, reduction="sum")
