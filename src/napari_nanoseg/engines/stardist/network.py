"""The StarDist 2-D network: the layers of stardist's ``StarDist2D._build`` and csbdeep's ``unet_block`` in PyTorch.

Layers carry the names of the Keras layers, so that weights map by name. Only the convolutions before the U-Net and the
batch normalisations are named by Keras itself; they are numbered in build order here.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import checkpoint

Output = tuple[Tensor, Tensor, Tensor | None]
BATCH_NORM_EPSILON = 1e-3  # Keras' default, part of the published models
BATCH_NORM_MOMENTUM = 0.1  # Keras' 0.99 (0.01 here) lags behind the weights in trainings of some hundred steps


class _Same(nn.Module):
    """Convolution, optional batch normalisation, activation, optional dropout; keeps the size of the image."""

    def __init__(self, inputs: int, outputs: int, config: StarDistConfig, activation: str, in_unet: bool = True):
        super().__init__()
        kernel = config.unet_kernel_size
        if any(side % 2 == 0 for side in kernel):
            raise NanosegError(f"The StarDist model has an even kernel {kernel}; only odd kernels can be used.")
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=(kernel[0] // 2, kernel[1] // 2))
        self.norm = (
            nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)
            if in_unet and config.unet_batch_norm
            else None
        )
        self.activation = _activation(activation)
        self.dropout = nn.Dropout(config.unet_dropout) if in_unet and config.unet_dropout > 0 else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        x = self.activation(x)
        return x if self.dropout is None else self.dropout(x)


def _activation(name: str) -> nn.Module:
    # In place: a fresh buffer per activation is the main cost on a CPU (page faults).
    return {
        "relu": nn.ReLU(inplace=True),
        "elu": nn.ELU(inplace=True),
        "tanh": nn.Tanh(),
        "sigmoid": nn.Sigmoid(),
        "linear": nn.Identity(),
    }[name]


class StarDistNet(nn.Module):
    """Maps an image to object probability and distances on the grid.

    Forward takes float32 (B, C, H, W) with H and W divisible by :attr:`divisor` and returns the tuple ``(prob_logit
    (B, 1, h, w), dist (B, n_rays, h, w) in pixels, class_logit (B, n_classes + 1, h, w) or None)`` with ``h = H /
    grid``. Distances are linear outputs and may be negative.

    Parameters
    ----------
    config : StarDistConfig
        The architecture.
    """

    def __init__(self, config: StarDistConfig):
        super().__init__()
        self.config = config
        base, depth, per_level = config.unet_n_filter_base, config.unet_n_depth, config.unet_n_conv_per_depth
        layers: dict[str, nn.Module] = {}
        pools: list[tuple[int, int]] = []
        channels, pooled, before = config.n_channel_in, (1, 1), 0
        while pooled != config.grid:
            pool = (1 + (config.grid[0] > pooled[0]), 1 + (config.grid[1] > pooled[1]))
            for _ in range(per_level):
                layers[f"conv2d_{before}"] = _Same(channels, base, config, config.unet_activation, in_unet=False)
                channels, before = base, before + 1
            pooled = (pooled[0] * pool[0], pooled[1] * pool[1])
            pools.append(pool)
        self.pools = pools
        self.convs_before = per_level
        activation = config.unet_activation
        skips = []
        for level in range(depth):
            for conv in range(per_level):
                filters = base * config.unet_expansion**level
                layers[f"down_level_{level}_no_{conv}"] = _Same(channels, filters, config, activation)
                channels = filters
            skips.append(channels)
        for conv in range(per_level - 1):
            filters = base * config.unet_expansion**depth
            layers[f"middle_{conv}"] = _Same(channels, filters, config, activation)
            channels = filters
        filters = base * config.unet_expansion ** max(0, depth - 1)
        layers[f"middle_{per_level}"] = _Same(channels, filters, config, activation)
        channels = filters
        for level in reversed(range(depth)):
            channels += skips[level]
            for conv in range(per_level - 1):
                filters = base * config.unet_expansion**level
                layers[f"up_level_{level}_no_{conv}"] = _Same(channels, filters, config, activation)
                channels = filters
            filters = base * config.unet_expansion ** max(0, level - 1)
            last = activation if level > 0 else config.unet_last_activation
            layers[f"up_level_{level}_no_{per_level}"] = _Same(channels, filters, config, last)
            channels = filters
        unet_channels = channels
        if config.net_conv_after_unet > 0:
            layers["features"] = _Same(channels, config.net_conv_after_unet, config, activation, in_unet=False)
            channels = config.net_conv_after_unet
        self.layers = nn.ModuleDict(layers)
        self.prob = nn.Conv2d(channels, 1, 1)
        self.dist = nn.Conv2d(channels, config.n_rays, 1)
        self.features_class: nn.Module | None = None
        self.prob_class: nn.Conv2d | None = None
        if config.n_classes is not None:
            class_channels = unet_channels
            if config.net_conv_after_unet > 0:
                self.features_class = _Same(
                    unet_channels, config.net_conv_after_unet, config, activation, in_unet=False
                )
                class_channels = config.net_conv_after_unet
            self.prob_class = nn.Conv2d(class_channels, config.n_classes + 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(cast(Tensor, module.bias))

    @property
    def divisor(self) -> tuple[int, int]:
        """Height and width of the input must be multiples of this."""
        pool, depth, grid = self.config.unet_pool, self.config.unet_n_depth, self.config.grid
        return pool[0] ** depth * grid[0], pool[1] ** depth * grid[1]

    @property
    def reach(self) -> int:
        """How far (px, multiple of :attr:`divisor`) an input pixel can influence the output, at most.

        The sum of all convolution radii on the longest path plus the shift by pooling cells; 94 px were measured for
        the default architecture, of which this is an upper bound rounded up.
        """
        config = self.config
        radius = max(config.unet_kernel_size) // 2
        scale, total = 1, 0
        for pool in self.pools:
            total += self.convs_before * radius * scale
            scale *= max(pool)
        for _ in range(config.unet_n_depth):
            total += 2 * config.unet_n_conv_per_depth * radius * scale  # on the way down and up
            scale *= max(config.unet_pool)
        total += config.unet_n_conv_per_depth * radius * scale  # in the middle
        total += radius * max(config.grid) + max(self.divisor) - 1
        step = max(self.divisor)
        return -(-total // step) * step

    def forward(self, x: Tensor) -> Output:
        """Compute ``(prob_logit, dist, class_logit)``; see the class."""
        config, layers = self.config, self.layers
        depth, per_level = config.unet_n_depth, config.unet_n_conv_per_depth
        before = 0
        for pool in self.pools:
            for _ in range(self.convs_before):
                x = layers[f"conv2d_{before}"](x)
                before += 1
                checkpoint()
            x = nn.functional.max_pool2d(x, pool)
        skips = []
        for level in range(depth):
            for conv in range(per_level):
                x = layers[f"down_level_{level}_no_{conv}"](x)
                checkpoint()
            skips.append(x)
            x = nn.functional.max_pool2d(x, config.unet_pool)
        for conv in (*range(per_level - 1), per_level):
            x = layers[f"middle_{conv}"](x)
            checkpoint()
        for level in reversed(range(depth)):
            x = nn.functional.interpolate(x, scale_factor=[float(side) for side in config.unet_pool], mode="nearest")
            x = torch.cat([x, skips.pop()], dim=1)
            for conv in (*range(per_level - 1), per_level):
                x = layers[f"up_level_{level}_no_{conv}"](x)
                checkpoint()
        unet = x
        if "features" in layers:
            # A copy where the class head needs the U-Net's output too: activations work in place on their own input
            # only, which is always a fresh convolution output, so `unet` stays intact.
            x = layers["features"](x)
            checkpoint()
        prob, dist = self.prob(x), self.dist(x)
        if self.prob_class is None:
            return prob, dist, None
        features = unet if self.features_class is None else self.features_class(unet)
        return prob, dist, self.prob_class(features)
