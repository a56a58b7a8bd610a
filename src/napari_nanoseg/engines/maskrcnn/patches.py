"""Training patches for the losses: every object has its own mask, so that crossing particles stay apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.engines.augment import OUTSIDE
from napari_nanoseg.engines.maskrcnn.pixels import to_network

Item = tuple[Tensor, Tensor, Tensor, Tensor]


def encode(config: MaskRCNNConfig, pixels: NDArray[np.float32], labels: NDArray[Any], classes: dict[int, int]) -> Item:
    """A patch as the losses take it.

    Objects that the border of the image cuts are left out where the patch goes on beyond it, since their mirror images
    do not end there; their pixels are not background either.

    Parameters
    ----------
    config : MaskRCNNConfig
    pixels : float32 array, shape (H, W) or (H, W, 3)
        0 dark, 1 bright.
    labels : int array, shape (H, W, L)
        In layers; negative where the truth is not known.
    classes : dict
        Class of each label; 0, where there are none, is the first.

    Returns
    -------
    image : float32 tensor, shape (C, H, W)
    masks : bool tensor, shape (N, H, W)
    classes : int64 tensor, shape (N,)
        From 0 on.
    known : bool tensor, shape (H, W)
    """
    from scipy.ndimage import binary_dilation

    outside = (labels == OUTSIDE).all(axis=-1)
    known = ~(labels < 0).all(axis=-1)
    edge = binary_dilation(outside) if outside.any() else outside
    masks, kinds = [], []
    for layer in np.moveaxis(labels, -1, 0):
        for label in np.unique(layer[layer > 0]).tolist():
            mask = layer == label
            if (mask & edge).any():
                known = known & ~mask
                continue
            masks.append(mask)
            kinds.append(min(max(classes.get(label, 0) - 1, 0), config.n_classes - 1))
    stacked = np.stack(masks) if masks else np.zeros((0, *known.shape), np.bool_)
    image = to_network(pixels * np.float32(255), config)
    return image, torch.from_numpy(stacked), torch.tensor(kinds, dtype=torch.long), torch.from_numpy(known)


def packed(items: Sequence[Item]) -> list[Tensor]:
    """Put patches with different numbers of objects into one batch.

    Returns
    -------
    list of tensor
        Images (B, C, H, W); all masks (T, H, W); the number of the image (T,) and the class (T,) of each; known
        regions (B, H, W).
    """
    images, masks, classes, known = zip(*items, strict=True)
    owner = torch.cat([torch.full((len(own),), number) for number, own in enumerate(masks)])
    return [torch.stack(images), torch.cat(masks), owner, torch.cat(classes), torch.stack(known)]
