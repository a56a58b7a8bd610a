"""From pixels of 0 to 255 to what the network takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.samples import Image

LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue in grey, as Pillow has it for Detectron2."""


def in_order(pixels: NDArray[Any], config: MaskRCNNConfig) -> NDArray[Any]:
    """Give an image the channels of the network in its order.

    Parameters
    ----------
    pixels : array, shape (H, W), (H, W, 1) or (H, W, 3)
        Grey, or red, green and blue.
    config : MaskRCNNConfig

    Returns
    -------
    array, shape (H, W, C)
        Grey is repeated for a network of three channels.
    """
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if config.channel_format == "L":
        return pixels if pixels.shape[2] == 1 else np.asarray(pixels @ np.array(LUMA, np.float32))[..., None]
    if pixels.shape[2] == 1:
        return np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return pixels[..., ::-1] if config.channel_format == "BGR" else pixels


def to_network(pixels: NDArray[Any], config: MaskRCNNConfig) -> Tensor:
    """Normalise an image.

    Parameters
    ----------
    pixels : array, shape (H, W), (H, W, 1) or (H, W, 3)
        0 to 255; grey, or red, green and blue.
    config : MaskRCNNConfig

    Returns
    -------
    float32 tensor, shape (C, H, W)
    """
    image = torch.from_numpy(np.ascontiguousarray(in_order(pixels, config).transpose(2, 0, 1), dtype=np.float32))
    mean, std = (torch.tensor(values)[:, None, None] for values in (config.pixel_mean, config.pixel_std))
    return (image - mean) / std


def batch_of(images: Sequence[Tensor], divisor: int) -> Tensor:
    """Put images (C, H, W) into one batch, with zeros below and on the right up to sides divisible by `divisor`."""
    high, wide = (-(-max(image.shape[axis] for image in images) // divisor) * divisor for axis in (1, 2))
    padded = [F.pad(image, (0, wide - image.shape[2], 0, high - image.shape[1])) for image in images]
    return torch.stack(padded)


def check_channels(image: Image) -> None:
    """See that an image is grey or has three colours.

    Raises
    ------
    NanosegError
        When it has another number of channels.
    """
    channels = image.data.shape[-1] if image.axes.endswith("C") else 1
    if channels not in (1, 3):
        raise NanosegError(
            f"{image.source}: the model was made for grey or colour images, this one has {channels} channels; choose "
            "another model or image."
        )
