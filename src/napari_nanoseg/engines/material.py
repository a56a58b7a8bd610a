"""What any network is trained and validated on: images at working scale, a generator, and pieces that judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from napari_nanoseg.config.train import FilledTrainConfig
from napari_nanoseg.engines.augment import UNKNOWN
from napari_nanoseg.engines.patches import (
    WorkingImage,
    classes_of,
    labels_of,
    make_generator,
    normalised,
    relative_pixel_sizes,
    to_source,
    to_working_image,
)
from napari_nanoseg.events import Notice, tell
from napari_nanoseg.generators.cutpaste import CutPaste
from napari_nanoseg.samples import Sample

VALIDATION_SEED = 0x5EED
"""Added to the seed, so that validation never sees an image of the training."""


@dataclass(frozen=True)
class View:
    """How a network sees images.

    Parameters
    ----------
    factor : float or None
        From pixels of the first training image to its working scale; None: images are not rescaled.
    channels : int or None
        None: each image keeps its own.
    percentiles : tuple of float
        Of the normalisation.
    layered : bool
        Whether it tells overlapping objects apart.
    divisor : tuple of int
        Of the sides that it takes.
    piece : int
        Largest side of a piece that judges, px.
    pieces : int
        So many at most of validation images; without any, so many synthetic images beside them.
    """

    factor: float | None
    channels: int | None
    percentiles: tuple[float, float]
    layered: bool
    divisor: tuple[int, int]
    piece: int
    pieces: int


@dataclass(frozen=True)
class Material:
    """Training images, the generator of synthetic ones if there is one, and the pieces that judge."""

    real: list[WorkingImage]
    generator: CutPaste | None
    truths: list[WorkingImage]


def gather(
    config: FilledTrainConfig,
    samples: Sequence[Sample],
    validation: Sequence[Sample],
    synthetic_per_real: int,
    view: View,
) -> Material:
    """Bring images to working scale and choose the pieces that judge.

    Parameters
    ----------
    config : FilledTrainConfig
    samples, validation : sequence of Sample
        Without images for validation, those of the training and fresh synthetic ones stand in, which is said.
    synthetic_per_real : int
        0 for no generator.
    view : View

    Returns
    -------
    Material
    """

    def seen(images: Sequence[Sample]) -> list[tuple[Sample, float]]:
        relative = relative_pixel_sizes([samples[0], *images])[1:]
        return [
            (image, 1.0 if view.factor is None else view.factor * size)
            for image, size in zip(images, relative, strict=True)
        ]

    def working(images: Sequence[Sample]) -> list[WorkingImage]:
        return [
            to_working_image(image, factor, view.channels, view.percentiles, layered=view.layered)
            for image, factor in seen(images)
        ]

    real = working(samples)
    if synthetic_per_real and any(image.pixels.ndim == 3 and image.pixels.shape[2] > 1 for image in real):
        tell(Notice("The network sees colours: synthetic images are grey, so only the real images are used."))
        synthetic_per_real = 0
    sources = [to_source(*one) for one in seen(samples)] if synthetic_per_real else []
    generator = make_generator(config, sources, config.seed) if sources else None
    checks = working(validation)
    if not checks:
        checks = list(real)
        tell(
            Notice(
                "No image is left for an honest validation (annotate a second image, or give a validation dataset): "
                "curves, and thresholds that are chosen, come from "
                f"{'fresh synthetic images and ' if sources else ''}the training images, which flatters."
            )
        )
    truths = [piece for check in checks for piece in cut_up(check, view.piece, view.divisor)]
    truths = [truths[k] for k in np.linspace(0, len(truths) - 1, min(len(truths), view.pieces)).astype(int)]
    if not validation and sources:
        unseen = make_generator(config, sources, config.seed + VALIDATION_SEED)
        for index in range(view.pieces):
            sample = unseen.sample(index)
            pixels = normalised(sample.image.data.astype(np.float32), view.percentiles)
            image = WorkingImage(pixels, labels_of(sample, layered=view.layered), classes_of(sample))
            truths.extend(cut_up(image, view.piece, view.divisor))
    return Material(real, generator, truths)


def cut_up(image: WorkingImage, side: int, divisor: tuple[int, int]) -> Iterator[WorkingImage]:
    """Cut an image into pieces with objects, whose sides suit a network; filled up with mirrored pixels."""
    rows, columns = image.labels.shape[:2]
    for row in range(0, rows, side):
        for column in range(0, columns, side):
            part = (slice(row, row + side), slice(column, column + side))
            pixels, labels = image.pixels[part], image.labels[part]
            if not (labels > 0).any():
                continue
            missing = [-size % div for size, div in zip(labels.shape[:2], divisor, strict=True)]
            widths = [(0, missing[0]), (0, missing[1]), (0, 0)]
            labels = np.pad(labels, widths[: labels.ndim], constant_values=UNKNOWN)
            pixels = np.pad(pixels, widths[: pixels.ndim], mode="symmetric")
            yield WorkingImage(pixels, labels, image.classes)
