"""Training patches at working scale: synthetic ones made on the fly, mixed with pieces of the real images.

Patch `k` depends on the seed and on `k` alone, so a training that was interrupted goes on with the same patches,
whatever process makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.train import FilledTrainConfig, TrainConfig
from napari_nanoseg.engines.augment import UNKNOWN, burn_in, change_intensity, mirror_border, turn, warped_patch
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.generators.cutpaste import CutPaste
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image, Sample
from napari_nanoseg.scaling import ScaledView, scaled_labels

Patch = tuple[NDArray[np.float32], NDArray[Any], dict[int, int]]
CANVAS = 1.5  # side of a synthetic image in patches: its percentiles stand for those of a whole micrograph


@dataclass(frozen=True, eq=False)
class WorkingImage:
    """An annotated image at working scale.

    Parameters
    ----------
    pixels : float32 array, shape (H, W) or (H, W, C)
        Normalised by the image's percentiles.
    labels : int32 array, shape (H, W) or (H, W, L)
        ``UNKNOWN`` where the annotation cannot be trusted. In layers, for networks that tell overlapping objects apart:
        in each, no two overlap.
    classes : dict
        Class of each label.
    """

    pixels: NDArray[np.float32]
    labels: NDArray[np.int32]
    classes: dict[int, int]


def normalised(pixels: NDArray[np.float32], percentiles: tuple[float, float]) -> NDArray[np.float32]:
    """Bring two percentiles of each channel to 0 and 1."""
    low, high = np.percentile(pixels, percentiles, axis=(0, 1))
    return np.asarray((pixels - low) / (high - low + 1e-20), np.float32)


def to_working_image(
    sample: Sample, factor: float, channels: int | None, percentiles: tuple[float, float], *, layered: bool = False
) -> WorkingImage:
    """Rescale and normalise an annotated image; without a number of `channels` it keeps its own."""
    pixels = sample.image.data if channels is None else _with_channels(sample.image, channels)
    working = normalised(ScaledView(pixels, factor).whole(), percentiles)
    return WorkingImage(working, scaled_labels(labels_of(sample, layered=layered), factor), classes_of(sample))


def labels_of(sample: Sample, *, layered: bool) -> NDArray[np.int32]:
    """Labels (H, W), or in layers (H, W, L) that each object is whole in; `UNKNOWN` where nothing is known."""
    labels = in_layers(sample.instances) if layered else sample.instances.to_labels()
    if sample.known is None:
        return labels
    any_object = labels.any(axis=-1) if layered else labels != 0
    labels[~(any_object | sample.known)] = UNKNOWN
    return labels


def in_layers(instances: Instances) -> NDArray[np.int32]:
    """Objects that overlap in different layers of labels, shape (H, W, L): each goes into the first that has room."""
    layers = [np.zeros(instances.shape, np.int32)]
    for number, box, mask in zip(instances.ids, instances.boxes, instances.masks, strict=True):
        part = (slice(box[0], box[2]), slice(box[1], box[3]))
        free = next((layer for layer in layers if not layer[part][mask].any()), None)
        if free is None:
            free = np.zeros(instances.shape, np.int32)
            layers.append(free)
        free[part][mask] = number
    return np.stack(layers, axis=-1)


def classes_of(sample: Sample) -> dict[int, int]:
    """Class of each label of a sample."""
    return dict(zip(sample.instances.ids.tolist(), sample.instances.classes.tolist(), strict=True))


def to_source(sample: Sample, factor: float) -> Sample:
    """Rescale an annotated image for the generator: grey, 8 bits over its own range."""
    view = ScaledView(_with_channels(sample.image, 1), factor)
    pixels = view.whole()
    low, high = float(pixels.min()), float(pixels.max())
    grey = np.rint((pixels - low) * (255 / (high - low))).astype(np.uint8)
    labels = scaled_labels(sample.instances.to_labels(), factor)
    known = None if sample.known is None else scaled_labels(sample.known.astype(np.uint8), factor) > 0
    calibration = sample.image.calibration
    image = Image(grey, "YX", calibration.zoomed(factor) if calibration.known else Calibration(), sample.image.source)
    return Sample(image, Instances.from_labels(labels), known, sample.name)


def _with_channels(image: Image, channels: int) -> NDArray[Any]:
    found = image.data.shape[-1] if image.axes.endswith("C") else 1
    if found == channels:
        return image.data
    if channels == 1:
        return np.asarray(image.data.mean(axis=-1, dtype=np.float32))
    raise NanosegError(f"{image.source}: the network is made for {channels} channels but the image has {found}.")


class Patches(Dataset[Any]):
    """Endless supply of training items, by index.

    Parameters
    ----------
    config : TrainConfig
    real : sequence of WorkingImage
        Training images; never those of the validation.
    generator : CutPaste or None
        Source of synthetic images; None for real patches only.
    synthetic_per_real : int
        Synthetic patches per real patch.
    percentiles : tuple of float
        Of the normalisation.
    border : int
        Width of the mirrored rim that images get when they are segmented, px.
    foreground_fraction : float
        Of the real patches that lie near a particle.
    layered : bool
        Whether the labels come in layers, (H, W, L).
    encode : callable
        Turns (image, labels, classes) of a patch into what the network is trained with.
    count : int
        Number of items.
    """

    def __init__(
        self,
        config: FilledTrainConfig,
        real: Sequence[WorkingImage],
        generator: CutPaste | None,
        synthetic_per_real: int,
        percentiles: tuple[float, float],
        border: int,
        foreground_fraction: float,
        layered: bool,
        encode: Callable[[NDArray[np.float32], NDArray[Any], dict[int, int]], Any],
        count: int,
    ):
        self.config, self.real, self.generator = config, real, generator
        self.synthetic_per_real = synthetic_per_real if generator is not None else 0
        self.foreground_fraction, self.layered = foreground_fraction, layered
        self.percentiles, self.border, self.encode, self.count = percentiles, border, encode, count
        self.foreground = [np.argwhere(np.atleast_3d(image.labels > 0).any(axis=-1)) for image in real]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        rng = np.random.default_rng((self.config.seed, index))
        if rng.random() * (self.synthetic_per_real + 1) < self.synthetic_per_real:
            image, labels, classes = self.synthetic(index, rng)
        else:
            image, labels, classes = self._piece(rng)
        image, labels = turn(image, labels, rng)
        image = change_intensity(burn_in(image, rng), self.config, rng)
        image, labels = mirror_border(image, labels, self.border, rng)
        return self.encode(image, labels, classes)

    def synthetic(self, index: int, rng: np.random.Generator) -> Patch:
        """A piece of synthetic image number `index`: image, labels and the class of each label."""
        assert self.generator is not None
        sample = self.generator.sample(index)
        pixels = normalised(sample.image.data.astype(np.float32), self.percentiles)
        size = self.config.patch_size
        row, column = (int(rng.integers(side - size + 1)) for side in pixels.shape)
        part = (slice(row, row + size), slice(column, column + size))
        return pixels[part], labels_of(sample, layered=self.layered)[part], classes_of(sample)

    def _piece(self, rng: np.random.Generator) -> Patch:
        number = int(rng.integers(len(self.real)))
        image = self.real[number]
        points = self.foreground[number]
        size = self.config.patch_size
        if len(points) and rng.random() < self.foreground_fraction:
            # The middle lies up to half a patch from a pixel of a particle, so that particles appear everywhere.
            centre = points[rng.integers(len(points))] + rng.uniform(-size / 2, size / 2, 2)
        else:
            centre = rng.uniform(0, 1, 2) * image.labels.shape[:2]
        centre = np.clip(centre, 0, np.array(image.labels.shape[:2]) - 1)
        pixels, labels = warped_patch(image.pixels, image.labels, (centre[0], centre[1]), size, self.config, rng)
        return pixels, labels, image.classes


def make_generator(config: TrainConfig, sources: Sequence[Sample], seed: int) -> CutPaste:
    """The generator of synthetic images a little larger than a patch."""
    side = int(CANVAS * config.patch_size)
    return CutPaste(
        config.synthetic.model_copy(update={"height": side, "width": side, "dtype": "uint8", "seed": seed}), sources
    )


def relative_pixel_sizes(samples: Sequence[Sample]) -> list[float]:
    """Pixel size of each image relative to the first one's; 1 when any is not known."""
    calibrations = [sample.image.calibration for sample in samples]
    if not all(calibration.known for calibration in calibrations):
        return [1.0] * len(samples)
    return [calibration.nm_per_pixel / calibrations[0].nm_per_pixel for calibration in calibrations]


def particle_diameter(samples: Sequence[Sample], config: TrainConfig) -> float:
    """Diameter that stands for the particles of all images, in pixels of the first image.

    It is given, or the median over complete particles: those cut by the border would drag it down (120 to 99 px in
    one real image).

    Raises
    ------
    NanosegError
        When nothing is annotated.
    """
    if config.diameter is not None:
        return config.diameter
    areas: list[NDArray[np.floating[Any]]] = [np.zeros(0)]
    for sample, relative in zip(samples, relative_pixel_sizes(samples), strict=True):
        complete = sample.instances[~sample.instances.touches_border]
        areas.append((complete if len(complete) else sample.instances).areas * relative**2)
    together = np.concatenate(areas)
    if together.size == 0:
        raise NanosegError("No particle is annotated; outline a few particles first.")
    return float(np.median(2 * np.sqrt(together / np.pi)))
