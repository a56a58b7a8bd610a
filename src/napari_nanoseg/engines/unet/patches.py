"""Training patches of images whose pixels have classes: planes, planes with their neighbours, or pieces of volumes.

Patch `k` depends on the seed and on `k` alone, as everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.train import FilledTrainConfig
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.engines.augment import change_intensity, turn, warped_patch
from napari_nanoseg.engines.unet.grey import Grey, measure_grey
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.samples import UNLABELLED, ClassSample, Volume
from napari_nanoseg.scaling import mirrored

NEAR_CLASSES = 0.5
"""Fraction of the patches that lie near a pixel of a class: of volumes, cracks are a hundredth."""
SHIFT = 0.35
"""Farthest that such a pixel lies from the middle, in sides of a patch: however it is turned, it is inside."""
JUDGING, JUDGING_VOLUMES = 16, 8
"""Pieces of validation images, in two dimensions and in three."""

Encoded = tuple[NDArray[np.float32], NDArray[np.int8]]
"""What a network is trained with: image, channels first, and class of each of its pixels."""


@dataclass(frozen=True, eq=False)
class Stack:
    """An image or a volume to learn from, grey, in its own numbers; a single image is a stack of one slice.

    Parameters
    ----------
    pixels : array, shape (Z, Y, X)
    classes : int8 array, shape (Z, Y, X)
        See :class:`~napari_nanoseg.samples.ClassSample`.
    grey : Grey
        Which grey values become 0 and 1.
    """

    pixels: NDArray[Any]
    classes: NDArray[np.int8]
    grey: Grey


def to_stack(sample: ClassSample, card: ModelCard) -> Stack:
    """Bring an image to the form that patches are cut from.

    Raises
    ------
    NanosegError
        When all of it is of one value.
    """
    pixels = sample.image.data
    if sample.image.axes.endswith("C"):
        pixels = pixels.mean(axis=-1, dtype=np.float32)
    shape = (1, *sample.classes.shape)[-3:]
    volume = Volume(pixels.reshape(shape), source=sample.image.source)
    grey = measure_grey(volume, card)
    if grey is None:
        raise NanosegError(f"{sample.image.source}: nearly all pixels have the same value; choose another image.")
    return Stack(np.asarray(volume.data), sample.classes.reshape(shape), grey)


class ClassPatches(Dataset[Any]):
    """Endless supply of training items, by index.

    Parameters
    ----------
    config : TrainConfig
    network : UNetConfig
    stacks : sequence of Stack
        Training images; never those of the validation.
    divisor : int
        Of the sides that the network takes.
    count : int
        Number of items.
    """

    def __init__(
        self, config: FilledTrainConfig, network: UNetConfig, stacks: Sequence[Stack], divisor: int, count: int
    ):
        self.config, self.network, self.stacks, self.count = config, network, stacks, count
        self.depth = patch_depth(config, network, stacks, divisor)
        self.places = [_places(stack) for stack in stacks]
        slices = np.array([np.count_nonzero((stack.classes >= 0).any(axis=(1, 2))) for stack in stacks])
        self.shares = slices / slices.sum()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Encoded:
        rng = np.random.default_rng((self.config.seed, index))
        number = int(rng.choice(len(self.stacks), p=self.shares))
        stack, config, network = self.stacks[number], self.config, self.network
        middle = self._middle(stack, self.places[number], rng)
        layer, *centre = middle
        image, classes, start = self._around(stack, layer, (centre[0], centre[1]))
        shifted = (centre[0] - start[0], centre[1] - start[1])
        pixels, labels = warped_patch(image, classes, shifted, config.patch_size, config, rng)
        pixels, labels = turn(pixels, labels, rng)
        if network.dimensions != "2d" and rng.random() < 0.5:
            pixels = pixels[..., ::-1]
            labels = labels[..., ::-1] if labels.ndim == 3 else labels
        return encode(change_intensity(pixels, config, rng), labels, network)

    def _middle(
        self, stack: Stack, places: tuple[list[NDArray[np.int64]], NDArray[np.int64] | None], rng: np.random.Generator
    ) -> tuple[int, float, float]:
        """Slice, row and column of the middle of a patch."""
        (depth, rows, columns), size = stack.classes.shape, self.config.patch_size
        of_classes, labelled = places
        if of_classes and rng.random() < NEAR_CLASSES:
            points = of_classes[rng.integers(len(of_classes))]
        elif labelled is not None:
            points = labelled
        else:
            return int(rng.integers(depth)), rng.uniform(0, rows - 1), rng.uniform(0, columns - 1)
        at = np.array(np.unravel_index(points[rng.integers(len(points))], stack.classes.shape), float)
        at[1:] += rng.uniform(-SHIFT * size, SHIFT * size, 2)
        if self.network.dimensions == "3d":
            at[0] += rng.uniform(-SHIFT * self.depth, SHIFT * self.depth)
        layer, row, column = np.clip(at, 0, np.array(stack.classes.shape) - 1)
        return round(float(layer)), float(row), float(column)

    def _around(
        self, stack: Stack, layer: int, centre: tuple[float, float]
    ) -> tuple[NDArray[np.float32], NDArray[np.int8], tuple[int, int]]:
        """What a patch of any rotation and scale may show of the slices; where it begins. Slices come last."""
        config, (depth, *sides) = self.config, stack.classes.shape
        reach = config.patch_size * math.sqrt(0.5 * config.stretch) / config.scale[0] + 2
        starts = [max(0, math.floor(at - reach)) for at in centre]
        rows, columns = (
            slice(start, min(side, math.ceil(at + reach) + 1))
            for start, at, side in zip(starts, centre, sides, strict=True)
        )
        begin = (starts[0], starts[1])
        if self.network.dimensions == "3d":
            wanted = np.arange(layer - self.depth // 2, layer - self.depth // 2 + self.depth)
            there = mirrored(wanted, depth)
            classes = stack.classes[there, rows, columns]
            classes[there != wanted] = UNLABELLED
            pixels = stack.grey.seen(stack.pixels[there, rows, columns])
            return np.moveaxis(pixels, 0, -1), np.moveaxis(classes, 0, -1), begin
        classes = stack.classes[layer, rows, columns]
        if self.network.dimensions == "2d":
            return stack.grey.seen(stack.pixels[layer, rows, columns]), classes, begin
        pixels = stack.grey.seen(stack.pixels[_beside(layer, depth, self.network), rows, columns])
        return np.moveaxis(pixels, 0, -1), classes, begin


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece that judges, encoded as :func:`encode` does it."""

    image: NDArray[np.float32]
    classes: NDArray[np.int8]

    def batch(self) -> tuple[Tensor, Tensor]:
        """Image and classes as a batch of one."""
        return torch.from_numpy(self.image)[None], torch.from_numpy(self.classes)[None]

    def slice_with_most(self) -> tuple[NDArray[np.float32], NDArray[np.int8], int]:
        """The slice that has most of all classes: grey values, classes (both (Y, X)), and its number."""
        if self.classes.ndim == 2:
            return self.image[len(self.image) // 2], self.classes, 0
        layer = int(np.argmax((self.classes > 0).sum(axis=(1, 2))))
        return self.image[0, layer], self.classes[layer], layer


def cut_up(stacks: Sequence[Stack], config: FilledTrainConfig, network: UNetConfig, divisor: int) -> list[Piece]:
    """Pieces that judge: evenly spaced ones with labels, up to three quarters of them with pixels of a class.

    In two dimensions they are up to two patches wide, in three as large as a patch. Their sides suit the network; where
    they go on beyond the stack, pixels are mirrored and nothing is known.

    Parameters
    ----------
    stacks : sequence of Stack
    config : TrainConfig
    network : UNetConfig
    divisor : int
        Of the sides that the network takes.
    """
    volume = network.dimensions == "3d"
    side = config.patch_size if volume else 2 * config.patch_size
    deep = patch_depth(config, network, stacks, divisor)
    with_class: list[tuple[int, tuple[int, ...]]] = []
    without: list[tuple[int, tuple[int, ...]]] = []
    for number, stack in enumerate(stacks):
        depth, rows, columns = stack.classes.shape
        for start in product(range(0, depth, deep), range(0, rows, side), range(0, columns, side)):
            part = tuple(slice(at, at + size) for at, size in zip(start, (deep, side, side), strict=True))
            most = int(stack.classes[part].max())
            if most >= 0:
                (with_class if most else without).append((number, start))
    most_pieces = JUDGING_VOLUMES if volume else JUDGING
    chosen = _evenly(with_class, max(most_pieces * 3 // 4, most_pieces - len(without)))
    chosen += _evenly(without, most_pieces - len(chosen))
    return [_piece(stacks[number], start, (deep, side, side), network, divisor) for number, start in chosen]


def _evenly(items: list[Any], count: int) -> list[Any]:
    return [items[k] for k in np.linspace(0, len(items) - 1, min(len(items), count)).astype(int)]


def _piece(
    stack: Stack, start: tuple[int, ...], size: tuple[int, int, int], network: UNetConfig, divisor: int
) -> Piece:
    shape = stack.classes.shape
    stops = [min(at + length, end) for at, length, end in zip(start, size, shape, strict=True)]
    divisors = (divisor if network.dimensions == "3d" else 1, divisor, divisor)
    beyond = [(0, -(stop - at) % div) for at, stop, div in zip(start, stops, divisors, strict=True)]
    layers, rows, columns = (slice(at, stop) for at, stop in zip(start, stops, strict=True))
    classes = np.pad(stack.classes[layers, rows, columns], beyond, constant_values=UNLABELLED)
    seen = _beside(start[0], shape[0], network) if network.dimensions == "2.5d" else layers
    pixels = np.pad(stack.grey.seen(stack.pixels[seen, rows, columns]), beyond, mode="symmetric")
    flat = network.dimensions != "3d"
    return Piece(*encode(np.moveaxis(pixels, 0, -1), classes[0] if flat else np.moveaxis(classes, 0, -1), network))


def encode(pixels: NDArray[np.float32], classes: NDArray[Any], network: UNetConfig) -> Encoded:
    """Image and classes as the network takes them, from (Y, X) or slices last.

    Parameters
    ----------
    pixels : float32 array, shape (Y, X) or (Y, X, slices)
    classes : int array, shape (Y, X) or (Y, X, slices)
    network : UNetConfig

    Returns
    -------
    image : float32 array, shape (channels, Y, X) or (1, Z, Y, X)
    classes : int8 array, shape (Y, X) or (Z, Y, X)
    """
    first = np.moveaxis(np.atleast_3d(pixels), -1, 0)
    image = first[None] if network.dimensions == "3d" else first
    target = np.moveaxis(classes, -1, 0) if classes.ndim == 3 else classes
    return np.ascontiguousarray(image, np.float32), np.ascontiguousarray(target, np.int8)


def _beside(layer: int, depth: int, network: UNetConfig) -> NDArray[np.int64]:
    """The slices that a network of 2.5 dimensions sees for one of them, mirrored at the ends as in predictions."""
    return mirrored(np.arange(layer - network.neighbours, layer + network.neighbours + 1), depth)


def patch_depth(config: FilledTrainConfig, network: UNetConfig, stacks: Sequence[Stack], divisor: int) -> int:
    """Slices of a patch: as many as it has rows, but no more than the deepest stack fills; 1 in two dimensions."""
    if network.dimensions != "3d":
        return 1
    deepest = max(len(stack.classes) for stack in stacks)
    return min(config.patch_size, divisor * -(-deepest // divisor))


def _places(stack: Stack) -> tuple[list[NDArray[np.int64]], NDArray[np.int64] | None]:
    """Flat places of each class that is there; and of all that is labelled, None where everything is."""
    classes = stack.classes.reshape(-1)
    found = [np.flatnonzero(classes == number) for number in range(1, int(classes.max()) + 1)]
    known = classes >= 0
    return [places for places in found if len(places)], None if known.all() else np.flatnonzero(known)
