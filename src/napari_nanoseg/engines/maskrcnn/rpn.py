"""The region proposal network: where objects may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.engines.maskrcnn.boxes import BoxCoder, clipped, not_empty
from napari_nanoseg.engines.maskrcnn.layers import Convolution, fill_normal


class RpnOutput(NamedTuple):
    """What the proposal head says of every anchor of every level.

    Parameters
    ----------
    logits : list of tensor, shape (N, anchors)
        Of being an object.
    deltas : list of tensor, shape (N, anchors, 4)
        Changes of the anchors.
    """

    logits: list[Tensor]
    deltas: list[Tensor]


class Proposals(NamedTuple):
    """Boxes of one image that may hold an object, most probable first.

    Parameters
    ----------
    boxes : float32 tensor, shape (P, 4)
    logits : float32 tensor, shape (P,)
    """

    boxes: Tensor
    logits: Tensor


class _Head(nn.Module):
    def __init__(self, config: MaskRCNNConfig):
        super().__init__()
        channels = config.architecture.fpn_channels
        layers: list[nn.Module] = []
        for wanted in config.rpn_conv_channels:
            outputs = channels if wanted == -1 else wanted
            layers.append(Convolution(channels, outputs, 3, relu=True))
            channels = outputs
        # with one convolution, Detectron2's name has no number
        self.conv: nn.Module = layers[0]
        if len(layers) > 1:
            self.conv = nn.Sequential()
            for number, layer in enumerate(layers):
                self.conv.add_module(f"conv{number}", layer)
        self.objectness_logits = Convolution(channels, config.anchors_per_place, 1)
        self.anchor_deltas = Convolution(channels, 4 * config.anchors_per_place, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fill_normal(module, 0.01)

    def forward(self, maps: Sequence[Tensor]) -> RpnOutput:
        logits, deltas = [], []
        for features in maps:
            hidden = self.conv(features)
            logits.append(self.objectness_logits(hidden).permute(0, 2, 3, 1).flatten(1))
            images, _, height, width = hidden.shape
            change = self.anchor_deltas(hidden).view(images, -1, 4, height, width)
            deltas.append(change.permute(0, 3, 4, 1, 2).flatten(1, 3))
        return RpnOutput(logits, deltas)


class ProposalGenerator(nn.Module):
    """The proposal head and what makes proposals of its output.

    Parameters
    ----------
    config : MaskRCNNConfig
    """

    def __init__(self, config: MaskRCNNConfig):
        super().__init__()
        self._config = config
        self.coder = BoxCoder(*config.rpn_box_weights)
        self.rpn_head = _Head(config)

    def forward(self, maps: Sequence[Tensor]) -> RpnOutput:
        """What the head says of the levels p2 to p6, each of shape (N, C, h, w)."""
        output: RpnOutput = self.rpn_head(maps)
        return output

    @torch.no_grad()
    def proposals(
        self, anchors: Sequence[Tensor], output: RpnOutput, sizes: Sequence[tuple[int, int]], *, train: bool
    ) -> list[Proposals]:
        """The best anchors after their changes, clipped to the images, without those that others cover.

        Parameters
        ----------
        anchors : sequence of tensor, shape (anchors, 4)
            Of each level.
        output : RpnOutput
        sizes : sequence of tuple of int
            Rows and columns of each image without its padding.
        train : bool
            Whether the numbers of proposals are those of training.
        """
        config = self._config
        before = config.rpn_pre_nms_topk_train if train else config.rpn_pre_nms_topk_test
        after = config.rpn_post_nms_topk_train if train else config.rpn_post_nms_topk_test
        best_boxes, best_logits, levels = [], [], []
        for level, (anchor, logits, deltas) in enumerate(zip(anchors, output.logits, output.deltas, strict=True)):
            best, index = logits.topk(min(before, logits.shape[1]), dim=1)
            chosen = deltas.gather(1, index[..., None].expand(-1, -1, 4))
            boxes = self.coder.apply(chosen.reshape(-1, 4), anchor[index].reshape(-1, 4))
            best_boxes.append(boxes.view(*index.shape, 4))
            best_logits.append(best.float())
            levels.append(torch.full((index.shape[1],), level, device=index.device))
        all_boxes, all_logits, level_of = torch.cat(best_boxes, 1), torch.cat(best_logits, 1), torch.cat(levels)
        found = []
        for boxes, logits, size in zip(all_boxes, all_logits, sizes, strict=True):
            finite = boxes.isfinite().all(dim=1) & logits.isfinite()
            boxes = clipped(boxes, size)
            keep = finite & not_empty(boxes, config.rpn_min_box_size)
            boxes, logits = boxes[keep], logits[keep]
            kept = batched_nms(boxes, logits, level_of[keep], config.rpn_nms_threshold)[:after]
            found.append(Proposals(boxes[kept], logits[kept]))
        return found
