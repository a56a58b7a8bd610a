"""Training StarDist from annotated images and synthetic ones made from them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.engines.anchor import Anchor
from napari_nanoseg.engines.base import read_weights
from napari_nanoseg.engines.material import View, gather
from napari_nanoseg.engines.patches import Patches, particle_diameter
from napari_nanoseg.engines.preview import draw
from napari_nanoseg.engines.recalibration import image_batches, recalibrated
from napari_nanoseg.engines.stardist.losses import stardist_losses
from napari_nanoseg.engines.stardist.model import StarDistModel
from napari_nanoseg.engines.stardist.predict import run_network
from napari_nanoseg.engines.stardist.targets import make_targets
from napari_nanoseg.engines.stardist.thresholds import optimise_thresholds
from napari_nanoseg.engines.training import Trainable, fit
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Progress, Stage, tell
from napari_nanoseg.io.model_cards import PREVIEW, read_card
from napari_nanoseg.samples import Sample

BORDER = 16  # mirrored rim of our own models, px at working scale: gained 0.004 to 0.03 of F1
JUDGING = 16  # pieces of validation images


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
) -> tuple[StarDistModel, dict[str, float]]:
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
    tell(Stage("prepare", f"Preparing training patches (particles of {diameter:.0f} px seen at {factor:.2g}x)."))
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
    view = View(
        None if working is None else factor, network_config.n_channel_in, card.percentiles, False, network.divisor,
        2 * config.patch_size, JUDGING,
    )  # fmt: skip
    material = gather(config, samples, validation, synthetic_per_real, view)
    truths = material.truths
    items = Patches(
        config, material.real, material.generator, synthetic_per_real, card.percentiles, BORDER,
        network_config.train_foreground_only, False, partial(encode, network_config),
        config.steps * config.batch_size,
    )  # fmt: skip
    batches = [
        tuple(torch.from_numpy(p)[None] for p in encode(network_config, t.pixels, t.labels, t.classes)) for t in truths
    ]

    def validate() -> dict[str, float]:
        anchor.settle()
        network.eval()
        sums: dict[str, float] = {}
        for done, batch in enumerate(batches, 1):
            with torch.inference_mode():
                image, *targets = (part.to(device) for part in batch)
                losses = _losses(network_config, network, image.contiguous(memory_format=torch.channels_last), targets)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value) / len(batches)
            tell(Progress(done, len(batches), "validation patches"))
        return sums

    def preview() -> str:
        network.eval()
        prob, _, _ = run_network(network, truths[-1].pixels, device)
        cover = prob.repeat(network_config.grid[0], 0).repeat(network_config.grid[1], 1)
        draw(truths[-1], cover, out / PREVIEW)
        return str(out / PREVIEW)

    task = Trainable(
        anchor.trained,
        items,
        partial(_losses, network_config),
        validate,
        lambda: model.save(out),
        preview,
        fine_tuning=start_from is not None,
        # Patches of one micrograph have other statistics than the images that the model will see.
        steady=[part for part in anchor.trained.modules() if isinstance(part, nn.BatchNorm2d)] if share else [],
    )
    state = fit(task, config, out, device, resume=resume)
    tell(Stage("finish", "Choosing the best weights and thresholds."))
    read_weights(network, out, read_card(out).weights_sha256)
    network.to(device)
    if network_config.unet_batch_norm and not share:
        recalibrated(network, image_batches(items, len(items), config.batch_size, device))
        losses = validate()
        if losses["loss"] < state.best:
            state.best = losses["loss"]
        else:
            read_weights(network, out, read_card(out).weights_sha256)
    figures: dict[str, float] = {"steps": state.step, "validation_loss": state.best, "training_s": state.elapsed_s}
    if config.optimize_thresholds and share and not validation:
        tell(
            Notice(
                "The thresholds stay those of the model that it started from; to have them chosen, annotate a second "
                "image or give a validation dataset."
            )
        )
        figures |= {f"threshold_{name}": value for name, value in card.thresholds.items()}
    elif config.optimize_thresholds:
        network.eval()
        maps = [run_network(network, truth.pixels, device)[:2] for truth in truths]
        thresholds, accuracy = optimise_thresholds(maps, [t.labels for t in truths], network_config.grid)
        if accuracy <= 0:
            tell(Notice("The network finds no particle in the validation images yet; train it longer."))
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
