"""Training StarDist from annotated images and synthetic ones made from them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.train import StarDistConfig, TrainConfig
from napari_nanoseg.engines.anchor import Anchor
from napari_nanoseg.engines.base import read_weights
from napari_nanoseg.engines.patches import (
    Patches,
    WorkingImage,
    classes_of,
    make_generator,
    normalised,
    particle_diameter,
    relative_pixel_sizes,
    to_source,
    to_working_image,
)
from napari_nanoseg.engines.recalibration import recalibrated
from napari_nanoseg.engines.stardist.losses import stardist_losses
from napari_nanoseg.engines.stardist.model import StarDistModel
from napari_nanoseg.engines.stardist.predict import run_network
from napari_nanoseg.engines.stardist.targets import make_targets
from napari_nanoseg.engines.stardist.thresholds import optimise_thresholds
from napari_nanoseg.engines.training import Trainable, fit
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Event, Notice, Progress, Stage
from napari_nanoseg.io.atomic import atomic_path
from napari_nanoseg.io.model_cards import PREVIEW, read_card
from napari_nanoseg.samples import Sample

VALIDATION_PATCHES = 16
VALIDATION_SEED = 0x5EED  # added to the seed, so that validation never sees an image of the training
BORDER = 16  # mirrored rim of our own models, px at working scale: gained 0.004 to 0.03 of F1
BATCHES_TO_RECALIBRATE = 40


def encode(
    config: StarDistConfig, image: NDArray[np.float32], labels: NDArray[Any], classes: dict[int, int]
) -> tuple[NDArray[np.float32], ...]:
    """Image and targets of one patch, channels first; class 0 means that the class is not known."""
    targets = make_targets(labels, config, {label: cls or None for label, cls in classes.items()})
    crop = config.train_completion_crop if config.train_shape_completion else 0
    inner = np.atleast_3d(image)[crop : image.shape[0] - crop, crop : image.shape[1] - crop]
    return (np.ascontiguousarray(inner.transpose(2, 0, 1)), *targets)


def _losses(config: StarDistConfig, network: nn.Module, image: Tensor, targets: list[Tensor]) -> dict[str, Tensor]:
    prob, dist, mask, classes = targets
    return stardist_losses(network(image), (prob, dist, mask, classes), config)


def train_stardist(
    config: TrainConfig,
    samples: Sequence[Sample],
    validation: Sequence[Sample],
    synthetic_per_real: int,
    out: Path,
    device: torch.device,
    *,
    start_from: StarDistModel | None = None,
    resume: bool = False,
) -> Generator[Event, None, tuple[StarDistModel, dict[str, float]]]:
    """Train a model; its best state so far is in `out` at any time after the first epoch.

    Parameters
    ----------
    config : TrainConfig
    samples : sequence of Sample
        Annotated images to train on.
    validation : sequence of Sample
        Images of which nothing is trained on; may be empty, then fresh synthetic images and the training images
        themselves stand in, which flatters.
    synthetic_per_real : int
        Synthetic patches per real one; 0 for none.
    out : Path
        Folder of the model.
    device : torch.device
    start_from : StarDistModel, optional
        Its architecture, weights and working diameter are taken over.
    resume : bool
        Go on from the checkpoint in `out`.

    Yields
    ------
    Event

    Returns
    -------
    model : StarDistModel
    figures : dict
        Steps, final losses on the validation images, their accuracy at the chosen thresholds.
    """
    config = config.filled(fine_tuning=start_from is not None)
    torch.manual_seed(config.seed)
    network_config = config.engine
    assert isinstance(network_config, StarDistConfig)
    working = config.working_diameter
    if start_from is not None:
        network_config = start_from.network.config
        working = start_from.card.working_diameter or working
        config = config.model_copy(update={"engine": network_config, "working_diameter": working})
    _check_patch(config, network_config)
    diameter = particle_diameter(samples, config)
    factor = 1.0 if working is None else working / diameter
    calibration = samples[0].image.calibration
    yield Stage("prepare", f"Preparing training patches (particles of {diameter:.0f} px seen at {factor:.2g}x).")
    card = ModelCard(
        network=network_config,
        thresholds={"prob": 0.5, "nms": 0.4} if start_from is None else start_from.card.thresholds,
        working_diameter=working,
        training_diameter=diameter,
        training_pixel_size_nm=calibration.nm_per_pixel if calibration.known else None,
        border=BORDER,
        invert="auto",
    )
    model = StarDistModel.from_card(card) if start_from is None else StarDistModel(start_from.network, card)
    share = 0.0 if start_from is None else config.anchor
    anchor = Anchor(model.network.to(device).to(memory_format=torch.channels_last), share)
    model.network = network = anchor.result
    channels = network_config.n_channel_in

    def at_working_scale(images: Sequence[Sample]) -> list[tuple[Sample, float]]:
        relative = relative_pixel_sizes([samples[0], *images])[1:]
        return [(image, factor * size if working else 1.0) for image, size in zip(images, relative, strict=True)]

    real = [to_working_image(*scaled, channels, card.percentiles) for scaled in at_working_scale(samples)]
    if synthetic_per_real and channels > 1:
        yield Notice("The network sees colours: synthetic images are grey, so only the real images are used.")
        synthetic_per_real = 0
    sources = [to_source(*scaled) for scaled in at_working_scale(samples)] if synthetic_per_real else []
    generator = make_generator(config, sources, config.seed) if sources else None
    count = config.steps * config.batch_size
    foreground = network_config.train_foreground_only
    items = Patches(
        config, real, generator, synthetic_per_real, card.percentiles, BORDER, foreground,
        partial(encode, network_config), count,
    )  # fmt: skip
    checks = [to_working_image(*scaled, channels, card.percentiles) for scaled in at_working_scale(validation)]
    if not checks:
        checks = list(real)
        yield Notice(
            "No image is left for an honest validation (annotate a second image, or give a validation dataset): "
            "the curves and thresholds come from fresh synthetic images and the training images, which flatters."
        )
    truths = [piece for check in checks for piece in _pieces(check, 2 * config.patch_size, network.divisor)]
    truths = [truths[k] for k in np.linspace(0, len(truths) - 1, min(len(truths), VALIDATION_PATCHES)).astype(int)]
    if not validation and sources:
        unseen = make_generator(config, sources, config.seed + VALIDATION_SEED)
        for index in range(VALIDATION_PATCHES):
            sample = unseen.sample(index)
            pixels = normalised(sample.image.data.astype(np.float32), card.percentiles)
            image = WorkingImage(pixels, sample.instances.to_labels(), classes_of(sample))
            truths.extend(_pieces(image, 2 * config.patch_size, network.divisor))
    batches = [
        tuple(torch.from_numpy(p)[None] for p in encode(network_config, t.pixels, t.labels, t.classes)) for t in truths
    ]

    def validate() -> Generator[Event, None, dict[str, float]]:
        anchor.settle()
        network.eval()
        sums: dict[str, float] = {}
        for done, batch in enumerate(batches, 1):
            with torch.inference_mode():
                image, *targets = (part.to(device) for part in batch)
                losses = _losses(network_config, network, image.contiguous(memory_format=torch.channels_last), targets)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value) / len(batches)
            yield Progress(done, len(batches), "validation patches")
        return sums

    def preview() -> str:
        network.eval()
        prob, _, _ = run_network(network, truths[-1].pixels, device)
        _draw(truths[-1], prob, network_config.grid, out / PREVIEW)
        return str(out / PREVIEW)

    task = Trainable(
        anchor.trained,
        items,
        partial(_losses, network_config),
        validate,
        lambda: model.save(out),
        preview,
        fine_tuning=start_from is not None,
    )
    state = yield from fit(task, config, out, device, resume=resume)
    if start_from is not None and state.epochs_since_best == state.epoch:
        yield Notice(
            "No epoch was better than the model that the training started from, so its weights are kept; train on more "
            "particles, or with a smaller learning_rate."
        )
    yield Stage("finish", "Choosing the best weights and thresholds.")
    read_weights(network, out, read_card(out).weights_sha256)
    network.to(device)
    if network_config.unet_batch_norm and not share:
        images = _images(items, config.batch_size, device)
        yield from recalibrated(network, images, BATCHES_TO_RECALIBRATE)
        losses = yield from validate()
        if losses["loss"] < state.best:
            state.best = losses["loss"]
        else:
            read_weights(network, out, read_card(out).weights_sha256)
    figures: dict[str, float] = {"steps": state.step, "validation_loss": state.best, "training_s": state.elapsed_s}
    if config.optimize_thresholds:
        network.eval()
        maps = [run_network(network, truth.pixels, device)[:2] for truth in truths]
        thresholds, accuracy = yield from optimise_thresholds(maps, [t.labels for t in truths], network_config.grid)
        if accuracy <= 0:
            yield Notice("The network finds no particle in the validation images yet; train it longer.")
        else:
            settled = {name: anchor.between(thresholds[name], kept) for name, kept in card.thresholds.items()}
            model.card = card.model_copy(update={"thresholds": settled})
        chosen = model.card.thresholds
        figures |= {"validation_accuracy": max(accuracy, 0.0)} | {f"threshold_{k}": v for k, v in chosen.items()}
    network.eval()
    return model, figures


def _check_patch(config: TrainConfig, network: StarDistConfig) -> None:
    """Refuse patches that the network cannot take, or that are smaller than a particle."""
    size = config.patch_size
    divisor = max(pool**network.unet_n_depth * grid for pool, grid in zip(network.unet_pool, network.grid, strict=True))
    rim = 2 * network.train_completion_crop if network.train_shape_completion else 0
    smallest = max(divisor, config.working_diameter or 0)
    if (size - rim) % divisor or size - rim < smallest:
        fitting = rim + divisor * -(-max(size - rim, smallest) // divisor)
        raise NanosegError(
            f"Patches of {size} px do not suit this network and its particles; choose a patch_size of {fitting:.0f}."
        )


def _pieces(image: WorkingImage, side: int, divisor: tuple[int, int]) -> Iterator[WorkingImage]:
    """Cut an image into pieces whose sides suit the network; filled up with mirrored pixels of unknown truth."""
    for row in range(0, image.labels.shape[0], side):
        for column in range(0, image.labels.shape[1], side):
            part = (slice(row, row + side), slice(column, column + side))
            pixels, labels = image.pixels[part], image.labels[part]
            missing = [-size % div for size, div in zip(labels.shape, divisor, strict=True)]
            if not (labels > 0).any():
                continue
            widths = [(0, missing[0]), (0, missing[1])]
            labels = np.pad(labels, widths, constant_values=-1)
            pixels = np.pad(pixels, [*widths, (0, 0)][: pixels.ndim], mode="symmetric")
            yield WorkingImage(pixels, labels, image.classes)


def _images(items: Patches, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """Batches of training images, beginning with the first patches."""
    index = 0
    while True:
        images = [items[(index + k) % len(items)][0] for k in range(batch_size)]
        index += batch_size
        yield torch.from_numpy(np.stack(images)).to(device, memory_format=torch.channels_last)


def _draw(truth: WorkingImage, prob: NDArray[np.float32], grid: tuple[int, int], path: Path) -> None:
    """Beside each other, twice enlarged: the patch, the patch with true outlines, the predicted probability."""
    from PIL import Image as Picture
    from skimage.segmentation import find_boundaries

    pixels = truth.pixels if truth.pixels.ndim == 2 else truth.pixels.mean(axis=-1)
    grey = (np.clip(pixels, 0, 1) * 255).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    found = (prob * 255).astype(np.uint8).repeat(2 * grid[0], 0).repeat(2 * grid[1], 1)
    panels = np.repeat(np.concatenate([grey, grey, found], axis=1)[..., None], 3, axis=2)
    edges = find_boundaries(np.maximum(truth.labels, 0).repeat(2, 0).repeat(2, 1), mode="inner")
    panels[:, grey.shape[1] : 2 * grey.shape[1]][edges] = (255, 200, 0)
    with atomic_path(path) as temporary:
        Picture.fromarray(panels).save(temporary)
