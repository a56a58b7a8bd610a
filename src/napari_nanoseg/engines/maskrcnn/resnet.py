"""The residual network, with the names and strides of Detectron2's ``build_resnet_backbone``."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.engines.maskrcnn.layers import Convolution, fill_msra
from napari_nanoseg.events import checkpoint

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Blocks of the four stages, by depth."""


class _Stem(nn.Module):
    def __init__(self, config: MaskRCNNConfig):
        super().__init__()
        shape = config.architecture
        self.conv1 = Convolution(
            len(config.pixel_mean), shape.stem_channels, 7, shape.norm, relu=True, stride=2, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(self.conv1(x), kernel_size=3, stride=2, padding=1)


class _Block(nn.Module):
    """Two convolutions (18 and 34 layers) or a bottleneck of three, added to what came in."""

    def __init__(self, config: MaskRCNNConfig, inputs: int, outputs: int, width: int, stride: int):
        super().__init__()
        depth, norm = config.architecture.depth, config.architecture.norm
        self.shortcut = Convolution(inputs, outputs, 1, norm, stride=stride, bias=False) if inputs != outputs else None
        if depth < 50:
            self.conv1 = Convolution(inputs, outputs, 3, norm, relu=True, stride=stride, bias=False)
            self.conv2 = Convolution(outputs, outputs, 3, norm, bias=False)
            self.conv3 = None
            return
        first, second = (stride, 1) if config.stride_in_1x1 else (1, stride)
        self.conv1 = Convolution(inputs, width, 1, norm, relu=True, stride=first, bias=False)
        self.conv2 = Convolution(width, width, 3, norm, relu=True, stride=second, groups=config.groups, bias=False)
        self.conv3 = Convolution(width, outputs, 1, norm, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.conv1(x))
        if self.conv3 is not None:
            out = self.conv3(out)
        out = out + (x if self.shortcut is None else self.shortcut(x))
        return cast(Tensor, out.relu_())


class ResNet(nn.Module):
    """Stem and four stages.

    Parameters
    ----------
    config : MaskRCNNConfig
    """

    def __init__(self, config: MaskRCNNConfig):
        super().__init__()
        shape = config.architecture
        self.stem = _Stem(config)
        inputs, outputs, width = shape.stem_channels, shape.res2_channels, config.groups * shape.width_per_group
        self.channels: list[int] = []
        for stage, count in enumerate(BLOCKS[shape.depth], start=2):
            blocks = []
            for block in range(count):
                stride = 2 if stage > 2 and block == 0 else 1
                blocks.append(_Block(config, inputs, outputs, width, stride))
                inputs = outputs
            self.add_module(f"res{stage}", nn.Sequential(*blocks))
            self.channels.append(outputs)
            outputs, width = 2 * outputs, 2 * width
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fill_msra(module)

    @property
    def stages(self) -> list[nn.Module]:
        """The stem and the four stages."""
        return [self.stem, *(self.get_submodule(f"res{stage}") for stage in range(2, 6))]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps of strides 4, 8, 16 and 32 of images (N, C, H, W)."""
        maps = []
        for stage in self.stages:
            for block in stage if isinstance(stage, nn.Sequential) else [stage]:
                x = block(x)
                checkpoint()
            maps.append(x)
        return maps[1:]
