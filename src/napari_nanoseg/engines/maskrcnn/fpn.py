"""The feature pyramid over the residual network."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.engines.maskrcnn.layers import Convolution, fill_xavier
from napari_nanoseg.engines.maskrcnn.resnet import ResNet
from napari_nanoseg.events import checkpoint

STRIDES = (4, 8, 16, 32, 64)
"""Of the levels p2 to p6, px."""


class FeaturePyramid(nn.Module):
    """Backbone: residual network, lateral and output convolutions, and p6 as every other place of p5.

    Parameters
    ----------
    config : MaskRCNNConfig
    """

    def __init__(self, config: MaskRCNNConfig):
        super().__init__()
        shape = config.architecture
        self.bottom_up = ResNet(config)
        self._halved = config.fpn_fuse == "avg"
        for level, channels in enumerate(self.bottom_up.channels, start=2):
            lateral = Convolution(channels, shape.fpn_channels, 1, shape.fpn_norm)
            output = Convolution(shape.fpn_channels, shape.fpn_channels, 3, shape.fpn_norm)
            for name, layer in (("lateral", lateral), ("output", output)):
                fill_xavier(layer)
                self.add_module(f"fpn_{name}{level}", layer)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps p2 to p6 of images (N, C, H, W) with sides divisible by 32."""
        maps = self.bottom_up(x)
        above: Tensor | None = None
        levels: list[Tensor] = []
        for level in (5, 4, 3, 2):
            here = self.get_submodule(f"fpn_lateral{level}")(maps[level - 2])
            if above is not None:
                here = here + F.interpolate(above, scale_factor=2.0, mode="nearest")
                here = here / 2 if self._halved else here
            above = here
            levels.insert(0, self.get_submodule(f"fpn_output{level}")(here))
            checkpoint()
        return [*levels, F.max_pool2d(levels[-1], kernel_size=1, stride=2)]
