"""Training a U-Net from images and volumes whose pixels have classes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.engines.anchor import Anchor
from napari_nanoseg.engines.base import read_weights
from napari_nanoseg.engines.patches import WorkingImage
from napari_nanoseg.engines.preview import draw
from napari_nanoseg.engines.recalibration import image_batches, recalibrated
from napari_nanoseg.engines.training import Trainable, channels_last, fit
from napari_nanoseg.engines.unet.losses import unet_losses
from napari_nanoseg.engines.unet.model import UNetModel
from napari_nanoseg.engines.unet.patches import ClassPatches, cut_up, to_stack
from napari_nanoseg.engines.unet.thresholds import Counts
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Progress, Stage, tell
from napari_nanoseg.io.model_cards import PREVIEW, read_card
from napari_nanoseg.samples import ClassSample

OF_WHAT_IS_THERE = frozenset({"dice", "centreline"})
"""Losses that say nothing of a single piece without any class: they are near 1 whatever is found."""


def train_unet(
    config: TrainConfig,
    samples: Sequence[ClassSample],
    validation: Sequence[ClassSample],
    out: Path,
    device: torch.device,
    *,
    start_from: UNetModel | None = None,
    resume: bool = False,
) -> tuple[UNetModel, dict[str, float]]:
    """Train a model; its best state so far is in `out` at any time after the first epoch.

    Parameters
    ----------
    config : TrainConfig
        Its engine is a UNetConfig.
    samples : sequence of ClassSample
        Images or volumes to train on.
    validation : sequence of ClassSample
        Images of which nothing is trained on; may be empty, then the training images stand in, which flatters.
    out : Path
        Folder of the model.
    device : torch.device
    start_from : UNetModel, optional
        Its architecture, weights, grey values and class names are taken over; it must have as many classes.
    resume : bool
        Go on from the checkpoint in `out`.

    Returns
    -------
    model : UNetModel
    figures : dict
        Steps, validation loss, seconds, and on the validation pieces F1 of the pixels (mean of the classes) and the
        thresholds that it is highest for.

    Raises
    ------
    NanosegError
        When the patches do not suit the network, or the model to start from has other classes.
    """
    asked = config.engine
    assert isinstance(asked, UNetConfig)
    config = config.filled(fine_tuning=start_from is not None)
    torch.manual_seed(config.seed)
    network_config = network_to_train(asked, start_from)
    config = config.model_copy(update={"engine": network_config})
    tell(Stage("prepare", "Preparing training patches."))
    model = _model(network_config, start_from, samples[0])
    card = model.card
    layout = torch.channels_last if network_config.axes == 2 else torch.channels_last_3d
    share = 0.0 if start_from is None else config.anchor
    anchor = Anchor(model.network.to(device).to(memory_format=layout), share)
    model.network = network = anchor.result
    divisor = max(network.divisor)
    if config.patch_size % divisor:
        fitting = divisor * -(-config.patch_size // divisor)
        raise NanosegError(
            f"Patches of {config.patch_size} px do not suit this network; choose a patch_size of {fitting}."
        )
    stacks = [to_stack(sample, card) for sample in samples]
    if not validation:
        tell(
            Notice(
                "No image is left for an honest validation (label a second image, or give a validation dataset): the "
                "curves and thresholds come from the training images, which flatters."
            )
        )
    items = ClassPatches(config, network_config, stacks, divisor, config.steps * config.batch_size)
    checks = [to_stack(sample, card) for sample in validation] or stacks
    pieces = cut_up(checks, config, network_config, divisor)
    thresholds = card.class_thresholds or (card.thresholds["prob"],) * len(network_config.classes)

    def judge() -> tuple[dict[str, float], Counts]:
        network.eval()
        parts: dict[str, list[float]] = {}
        counts = Counts(len(network_config.classes))
        for done, piece in enumerate(pieces, 1):
            with torch.inference_mode():
                image, target = (part.to(device) for part in piece.batch())
                logits = network(channels_last(image))
                losses = unet_losses(logits, target, network_config)
                counts.add(network.probabilities(logits)[0].float().cpu().numpy(), piece.classes)
            for name in losses.keys() - {"loss"} - (frozenset() if (piece.classes > 0).any() else OF_WHAT_IS_THERE):
                parts.setdefault(name, []).append(float(losses[name]))
            tell(Progress(done, len(pieces), "validation patches"))
        means = {name: float(np.mean(parts[name])) for name in sorted(parts)}
        loss = sum(getattr(network_config, name) * value for name, value in means.items())
        return {"loss": loss, **means, "f1": counts.mean_f1(thresholds)}, counts

    def validate() -> dict[str, float]:
        anchor.settle()
        return judge()[0]

    def preview() -> str:
        network.eval()
        shown = max(pieces, key=lambda piece: np.count_nonzero(piece.classes > 0))
        with torch.inference_mode():
            logits = network(channels_last(shown.batch()[0].to(device)))
            cover = network.probabilities(logits)[0].amax(dim=0).float().cpu().numpy()
        pixels, classes, layer = shown.slice_with_most()
        draw(
            WorkingImage(pixels, classes.astype(np.int32), {}),
            cover if cover.ndim == 2 else cover[layer],
            out / PREVIEW,
        )
        return str(out / PREVIEW)

    task = Trainable(
        anchor.trained, items, partial(_losses, network_config), validate, lambda: model.save(out), preview,
        fine_tuning=start_from is not None,
    )  # fmt: skip
    state = fit(task, config, out, device, resume=resume)
    tell(Stage("finish", "Choosing the best weights and thresholds."))
    read_weights(network, out, read_card(out).weights_sha256)
    network.to(device)
    best, counts = judge()
    if network_config.normalisation == "batch" and not share:
        recalibrated(network, image_batches(items, len(items), config.batch_size, device))
        again, counts_again = judge()
        if again["loss"] < best["loss"]:
            best, counts = again, counts_again
        else:
            read_weights(network, out, read_card(out).weights_sha256)
    figures = {"steps": state.step, "validation_loss": best["loss"], "training_s": state.elapsed_s}
    if config.optimize_thresholds:
        chosen = tuple(anchor.between(*pair) for pair in zip(counts.best(thresholds), thresholds, strict=True))
        if counts.mean_f1(chosen) > 0:
            prob = {"prob": min(chosen)}
            model.card = card.model_copy(update={"class_thresholds": chosen, "thresholds": card.thresholds | prob})
            thresholds = chosen
        elif counts.any:
            tell(Notice("The network finds no pixel of any class in the validation images yet; train it longer."))
        else:
            tell(
                Notice(
                    "No validation image has a pixel of any class, so they judge badly; choose others with another "
                    "validation_seed, or give a validation dataset."
                )
            )
    figures |= {"validation_f1": counts.mean_f1(thresholds)}
    figures |= {f"threshold_{name}": value for name, value in zip(network_config.classes, thresholds, strict=True)}
    network.eval()
    return model, figures


def network_to_train(asked: UNetConfig, start_from: UNetModel | None) -> UNetConfig:
    """The network of a training: that of the model it starts from, with what a training has of its own.

    Raises
    ------
    NanosegError
        When other classes are asked for than the model has.
    """
    if start_from is None:
        return asked
    given = start_from.network.config
    free = {name: getattr(asked, name) for name in UNetConfig.FREE}
    if asked.classes != UNetConfig().classes:
        if len(asked.classes) != len(given.classes):
            raise NanosegError(
                f"The model to start from has the classes {', '.join(given.classes)}, but {', '.join(asked.classes)} "
                "are asked for; start from scratch, or from another model."
            )
        free["classes"] = asked.classes
    return given.model_copy(update=free)


def _model(network: UNetConfig, start_from: UNetModel | None, first: ClassSample) -> UNetModel:
    """The model that is trained: fresh, or as the one that it starts from sees images."""
    sizes = first.image.plane(0).calibration.pixel_size_nm
    square = sizes is not None and bool(np.isclose(sizes[0], sizes[1], rtol=1e-3))
    card = ModelCard(network=network, training_pixel_size_nm=sizes[0] if sizes is not None and square else None)
    if start_from is None:
        return UNetModel.from_card(card)
    kept = ("percentiles", "keep_8_bit", "thresholds", "class_thresholds", "border")
    seen = {name: getattr(start_from.card, name) for name in kept}
    model = UNetModel.from_card(card.model_copy(update=seen))
    model.network.load_state_dict(start_from.network.state_dict())
    return model


def _losses(config: UNetConfig, network: nn.Module, image: Tensor, targets: list[Tensor]) -> dict[str, Tensor]:
    return unet_losses(network(image), targets[0], config)
