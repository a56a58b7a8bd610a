"""What is said of each box: its class, a better box, a mask."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.engines.maskrcnn.boxes import BoxCoder
from napari_nanoseg.engines.maskrcnn.layers import Convolution, fill_msra, fill_normal, fill_xavier
from napari_nanoseg.engines.maskrcnn.pooling import pooled


class _BoxHead(nn.Module):
    def __init__(self, config: MaskRCNNConfig):
        super().__init__()
        shape = config.architecture
        channels = shape.fpn_channels
        self._convolutions, self._layers = config.box_conv_count, config.box_fc_count
        for number in range(1, config.box_conv_count + 1):
            layer = Convolution(channels, config.box_conv_channels, 3, config.box_norm, relu=True)
            fill_msra(layer)
            self.add_module(f"conv{number}", layer)
            channels = config.box_conv_channels
        channels *= config.box_resolution**2
        for number in range(1, config.box_fc_count + 1):
            linear = nn.Linear(channels, shape.box_fc_channels)
            fill_xavier(linear)
            self.add_module(f"fc{number}", linear)
            channels = shape.box_fc_channels
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        for number in range(1, self._convolutions + 1):
            x = self.get_submodule(f"conv{number}")(x)
        x = x.flatten(1)
        for number in range(1, self._layers + 1):
            x = F.relu_(self.get_submodule(f"fc{number}")(x))
        return x


class _BoxPredictor(nn.Module):
    def __init__(self, config: MaskRCNNConfig, channels: int):
        super().__init__()
        self.cls_score = nn.Linear(channels, config.n_classes + 1)
        self.bbox_pred = nn.Linear(channels, 4 * (1 if config.class_agnostic_box else config.n_classes))
        fill_normal(self.cls_score, 0.01)
        fill_normal(self.bbox_pred, 0.001)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.cls_score(x), self.bbox_pred(x)


class _MaskHead(nn.Module):
    def __init__(self, config: MaskRCNNConfig):
        super().__init__()
        shape = config.architecture
        channels = shape.fpn_channels
        self._convolutions = config.mask_conv_count
        for number in range(1, config.mask_conv_count + 1):
            layer = Convolution(channels, shape.mask_conv_channels, 3, shape.mask_norm, relu=True)
            fill_msra(layer)
            self.add_module(f"mask_fcn{number}", layer)
            channels = shape.mask_conv_channels
        self.deconv = nn.ConvTranspose2d(channels, shape.mask_conv_channels, 2, stride=2)
        fill_msra(self.deconv)
        self.predictor = Convolution(shape.mask_conv_channels, 1 if config.class_agnostic_mask else config.n_classes, 1)
        fill_normal(self.predictor, 0.001)

    def forward(self, x: Tensor) -> Tensor:
        for number in range(1, self._convolutions + 1):
            x = self.get_submodule(f"mask_fcn{number}")(x)
        logits: Tensor = self.predictor(F.relu_(self.deconv(x)))
        return logits


class RoiHeads(nn.Module):
    """Box and mask head.

    Parameters
    ----------
    config : MaskRCNNConfig
    """

    def __init__(self, config: MaskRCNNConfig):
        super().__init__()
        self._config = config
        self.coder = BoxCoder(*config.box_weights)
        self.box_head = _BoxHead(config)
        self.box_predictor = _BoxPredictor(config, self.box_head.channels)
        self.mask_head = _MaskHead(config)

    def box(self, maps: Sequence[Tensor], boxes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Class logits (all boxes, classes + 1), background last, and changes (all boxes, 4 or 4 classes)."""
        config = self._config
        cut = pooled(maps, boxes, config.box_resolution, config.box_sampling_ratio, config.box_pooler)
        said: tuple[Tensor, Tensor] = self.box_predictor(self.box_head(cut))
        return said

    def mask(self, maps: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """Mask logits (all boxes, 1 or classes, 2 resolution, 2 resolution)."""
        config = self._config
        cut = pooled(maps, boxes, config.mask_resolution, config.mask_sampling_ratio, config.mask_pooler)
        logits: Tensor = self.mask_head(cut)
        return logits
