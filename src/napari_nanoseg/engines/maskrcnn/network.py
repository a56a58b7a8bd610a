"""The Mask R-CNN: Detectron2's GeneralizedRCNN with a ResNet-FPN, stage by stage, on torchvision's operations.

The names in its state dict are Detectron2's, so that weights travel without a table of names. torchvision's own Mask
R-CNN differs in rounded anchors, unaligned pooling and pasted masks: with Detectron2's weights in it, 68 instead of 56
objects were found, and their masks had a mean IoU of 0.88.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.engines.maskrcnn.anchors import make_anchors
from napari_nanoseg.engines.maskrcnn.fpn import FeaturePyramid
from napari_nanoseg.engines.maskrcnn.heads import RoiHeads
from napari_nanoseg.engines.maskrcnn.rpn import ProposalGenerator, Proposals, RpnOutput


class MaskRCNN(nn.Module):
    """The network in stages, which training uses on batches and prediction on single images.

    Images are float32 (N, C, H, W), brought to 0..255, minus the mean and divided by the deviation of the config, with
    zeros below and on the right up to sides divisible by :attr:`divisor`. Boxes are (x0, y0, x1, y1) in their px.

    Parameters
    ----------
    config : MaskRCNNConfig
        The architecture.
    """

    divisor = 32

    def __init__(self, config: MaskRCNNConfig):
        super().__init__()
        self.config = config
        self.backbone = FeaturePyramid(config)
        self.proposal_generator = ProposalGenerator(config)
        self.roi_heads = RoiHeads(config)

    def features(self, images: Tensor) -> list[Tensor]:
        """Maps of the levels p2 to p6, each (N, C, h, w) with strides 4, 8, 16, 32, 64."""
        maps: list[Tensor] = self.backbone(images)
        return maps

    def rpn(self, maps: Sequence[Tensor]) -> RpnOutput:
        """Logits and box changes of every anchor; see :class:`RpnOutput`."""
        output: RpnOutput = self.proposal_generator(maps)
        return output

    def anchors(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Anchors of each level, shape (h * w * anchors per place, 4), in the order of :meth:`rpn`'s output."""
        return make_anchors(self.config, maps)

    def proposals(
        self, anchors: Sequence[Tensor], output: RpnOutput, sizes: Sequence[tuple[int, int]], *, train: bool
    ) -> list[Proposals]:
        """Boxes of each image that may hold an object, without gradient; `sizes` are rows and columns unpadded."""
        return self.proposal_generator.proposals(anchors, output, sizes, train=train)

    def box(self, maps: Sequence[Tensor], boxes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Class logits (R, classes + 1), background last, and box changes (R, 4 or 4 classes) of all images' boxes."""
        return self.roi_heads.box(maps, boxes)

    def mask(self, maps: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """Mask logits (R, 1 or classes, m, m) of all images' boxes, m twice the mask resolution."""
        return self.roi_heads.mask(maps, boxes)
