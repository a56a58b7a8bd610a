"""Training patches of images whose pixels have classes: planes, planes with their neighbours, or pieces of volumes.

Patch `k` depends on the seed and on `k` alone, as everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from napari_nanoseg.config.train import FilledTrainConfig
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.engines.augment import change_intensity, turn, warped_patch
from napari_nanoseg.samples import UNLABELLED, ClassSample

NEAR_CLASSES = 0.7
"""Fraction of the patches that lie near a pixel of a class: of volumes, cracks are a hundredth."""
SHIFT = 0.35
"""Farthest that such a pixel lies from the middle, in sides of a patch: however it is turned, it is inside."""
MOST_SAMPLED = 2**24
"""Above so many pixels, percentiles come from evenly spaced ones."""

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
    low, high : float
        Grey values that become 0 and 1.
    """

    pixels: NDArray[Any]
    classes: NDArray[np.int8]
    low: float
    high: float

    def normalised(self, part: tuple[slice | int | NDArray[np.int64], ...]) -> NDArray[np.float32]:
        """Pixels of a part, as the network sees them."""
        return np.asarray((self.pixels[part].astype(np.float32) - self.low) / (self.high - self.low), np.float32)


def to_stack(sample: ClassSample, percentiles: tuple[float, float]) -> Stack:
    """Bring an image to the form that patches are cut from; its percentiles are those of all its slices together."""
    pixels = sample.image.data
    if sample.image.axes.endswith("C"):
        pixels = pixels.mean(axis=-1, dtype=np.float32)
    shape = (1, *sample.classes.shape)[-3:]
    flat = pixels.reshape(-1)
    seen = flat[:: -(-flat.size // MOST_SAMPLED)]
    low, high = (float(value) for value in np.percentile(seen, percentiles))
    if low == high:  # nearly all of the image is of one value
        low, high = float(pixels.min()), float(pixels.max())
    return Stack(pixels.reshape(shape), sample.classes.reshape(shape), low, high)


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
            pixels = stack.normalised((there, rows, columns))
            return np.moveaxis(pixels, 0, -1), np.moveaxis(classes, 0, -1), begin
        classes = stack.classes[layer, rows, columns]
        if self.network.dimensions == "2d":
            return stack.normalised((layer, rows, columns)), classes, begin
        beside = neighbours(layer, depth, self.network)
        return np.moveaxis(stack.normalised((beside, rows, columns)), 0, -1), classes, begin


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


def neighbours(layer: int, depth: int, network: UNetConfig) -> NDArray[np.int64]:
    """The slices that a network of 2.5 dimensions sees for one of them; the last ones stand for those beyond."""
    return np.clip(np.arange(layer - network.neighbours, layer + network.neighbours + 1), 0, depth - 1)


def mirrored(layers: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
    """Slices of a stack for numbers before and after it: those seen in a mirror at its first and last slice."""
    if depth == 1:
        return np.zeros_like(layers)
    period = 2 * (depth - 1)
    inside = np.abs(layers) % period
    return np.minimum(inside, period - inside)


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
