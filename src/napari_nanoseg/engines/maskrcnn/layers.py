"""Convolutions under Detectron2's names: a normalisation is a part of its convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from napari_nanoseg.config.maskrcnn import GROUPS, Norm


class GroupNorm(nn.GroupNorm):
    """Group normalisation that takes groups of a single value, which become 0 before the bias.

    The last map of an image of up to 32 px is one place. torch refuses a group of one value in a batch of one, but not
    in larger ones.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same shape."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


def normalisation(norm: Norm, channels: int) -> nn.Module | None:
    """A normalisation by its name in Detectron2; None for none.

    One process sees all that SyncBN would share, so it is batch normalisation here.
    """
    if norm == "none":
        return None
    if norm == "GN":
        return GroupNorm(GROUPS, channels)
    return FrozenBatchNorm2d(channels, eps=1e-5) if norm == "FrozenBN" else nn.BatchNorm2d(channels)


class Convolution(nn.Conv2d):
    """A convolution with ``norm`` as a child and, on demand, a ReLU; keeps the size apart from its stride.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : int
    norm : str
    relu : bool
    stride, groups : int
    bias : bool, optional
        By default where there is no normalisation.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        norm: Norm = "none",
        *,
        relu: bool = False,
        stride: int = 1,
        groups: int = 1,
        bias: bool | None = None,
    ):
        super().__init__(
            inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups,
            bias=norm == "none" if bias is None else bias,
        )  # fmt: skip
        self.norm = normalisation(norm, outputs)
        self._relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, outputs, h, w) of maps (N, inputs, H, W)."""
        x = super().forward(x)
        if self.norm is not None:
            x = self.norm(x)
        return x.relu_() if self._relu else x


def fill_msra(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Fresh weights for a convolution that a ReLU follows (Caffe2's MSRAFill)."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def fill_xavier(layer: nn.Conv2d | nn.Linear) -> None:
    """Fresh weights for a layer that none follows (Caffe2's XavierFill)."""
    nn.init.kaiming_uniform_(layer.weight, a=1)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def fill_normal(layer: nn.Conv2d | nn.Linear, deviation: float) -> None:
    """Fresh weights for a layer that predicts."""
    nn.init.normal_(layer.weight, std=deviation)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
