"""Training patches that keep every object's own mask, so that crossing particles stay apart.

Patch `k` depends on the seed and on `k` alone, as :mod:`napari_nanoseg.engines.patches` has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.train import FilledTrainConfig
from napari_nanoseg.engines.augment import burn_in, change_intensity
from napari_nanoseg.engines.maskrcnn.pixels import to_network
from napari_nanoseg.engines.patches import normalised
from napari_nanoseg.generators.cutpaste import CutPaste
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Sample
from napari_nanoseg.scaling import ScaledView, scaled_instances, scaled_labels


@dataclass(frozen=True, eq=False)
class Piece:
    """An annotated image at working scale, or a part of it.

    Parameters
    ----------
    pixels : float32 array, shape (H, W) or (H, W, 3)
        Normalised by the image's percentiles.
    instances : Instances
    known : bool array, shape (H, W)
    """

    pixels: NDArray[np.float32]
    instances: Instances
    known: NDArray[np.bool_]

    def cut(self, row: int, column: int, size: int) -> Piece:
        """A square; beyond the image it is mirrored and the truth is not known."""
        shape = self.known.shape
        missing = [(0, max(0, start + size - side)) for start, side in zip((row, column), shape, strict=True)]
        part = (slice(row, row + size), slice(column, column + size))
        widths = [*missing, (0, 0)][: self.pixels.ndim]
        pixels = np.pad(self.pixels[part], widths, mode="symmetric")
        own = self.instances
        shift = np.array([row, column] * 2)
        low, high = (
            np.maximum(own.boxes[:, :2], (row, column)),
            np.minimum(own.boxes[:, 2:], (row + size, column + size)),
        )
        near = np.flatnonzero((low < high).all(axis=1))
        inside = Instances.from_masks(
            (size, size), own.boxes[near] - shift, [own.masks[k] for k in near], None, own.classes[near], own.ids[near]
        )
        known = np.pad(self.known[part], missing, constant_values=False)
        return Piece(pixels, inside, known)

    def turned(self, turns: int, *, flip: bool) -> Piece:
        """After quarter turns and a flip; the piece must be square."""
        masks = np.zeros((len(self.instances), *self.known.shape), np.bool_)
        for mask, box, crop in zip(masks, self.instances.boxes, self.instances.masks, strict=True):
            mask[box[0] : box[2], box[1] : box[3]] = crop
        masks, known, pixels = np.rot90(masks, turns, (1, 2)), np.rot90(self.known, turns), np.rot90(self.pixels, turns)
        if flip:
            masks, known, pixels = masks[:, :, ::-1], known[:, ::-1], pixels[:, ::-1]
        boxes = np.tile([0, 0, *known.shape], (len(masks), 1))
        own = self.instances
        turned = Instances.from_masks(known.shape, boxes, list(masks), None, own.classes, own.ids)
        return Piece(np.ascontiguousarray(pixels), turned, np.ascontiguousarray(known))


def to_piece(sample: Sample, factor: float, percentiles: tuple[float, float]) -> Piece:
    """Rescale and normalise an annotated image; each object keeps its own mask."""
    pixels = normalised(ScaledView(np.asarray(sample.image.data), factor).whole(), percentiles)
    shape = pixels.shape[:2]
    known = np.ones(shape, np.bool_)
    if sample.known is not None:
        known = scaled_labels(sample.known.astype(np.uint8), factor) > 0
    return Piece(pixels, scaled_instances(sample.instances, factor), known)


def encode(piece: Piece, config: MaskRCNNConfig) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Image, masks, classes and known region of a piece as the losses take them.

    Classes count from 0 here; in annotations 0 means that there are none.
    """
    own = piece.instances
    masks = torch.zeros((len(own), *piece.known.shape), dtype=torch.bool)
    for mask, box, crop in zip(masks, own.boxes, own.masks, strict=True):
        mask[box[0] : box[2], box[1] : box[3]] = torch.from_numpy(crop)
    classes = torch.from_numpy(np.clip(own.classes - 1, 0, config.n_classes - 1).astype(np.int64))
    return to_network(piece.pixels * np.float32(255), config), masks, classes, torch.from_numpy(piece.known)


def packed(items: Sequence[tuple[Tensor, Tensor, Tensor, Tensor]]) -> list[Tensor]:
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


class ObjectPatches(Dataset[Any]):
    """Endless supply of patches with the masks of their objects, by index.

    Parameters
    ----------
    config : FilledTrainConfig
    network : MaskRCNNConfig
    real : sequence of Piece
    generator : CutPaste or None
        Source of synthetic images.
    synthetic_per_real : int
    percentiles : tuple of float
        Of the normalisation.
    count : int
        Number of items.
    """

    def __init__(
        self,
        config: FilledTrainConfig,
        network: MaskRCNNConfig,
        real: Sequence[Piece],
        generator: CutPaste | None,
        synthetic_per_real: int,
        percentiles: tuple[float, float],
        count: int,
    ):
        self.config, self.network, self.real, self.generator = config, network, real, generator
        self.synthetic_per_real = synthetic_per_real if generator is not None else 0
        self.percentiles, self.count = percentiles, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        rng = np.random.default_rng((self.config.seed, index))
        if self.generator is not None and rng.random() * (self.synthetic_per_real + 1) < self.synthetic_per_real:
            source = to_piece(self.generator.sample(index), 1.0, self.percentiles)
        else:
            source = self.real[int(rng.integers(len(self.real)))]
        size = self.config.patch_size
        row, column = (int(rng.integers(max(1, side - size + 1))) for side in source.known.shape)
        piece = source.cut(row, column, size).turned(int(rng.integers(4)), flip=bool(rng.integers(2)))
        pixels = change_intensity(burn_in(piece.pixels, rng), self.config, rng)
        return encode(Piece(pixels, piece.instances, piece.known), self.network)
