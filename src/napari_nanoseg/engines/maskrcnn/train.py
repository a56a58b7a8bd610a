"""Training a Mask R-CNN from annotated images and synthetic ones made from them; masks may overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.engines.anchor import Anchor
from napari_nanoseg.engines.base import read_weights
from napari_nanoseg.engines.maskrcnn.coco_weights import take_over
from napari_nanoseg.engines.maskrcnn.losses import maskrcnn_losses
from napari_nanoseg.engines.maskrcnn.model import MaskRCNNModel
from napari_nanoseg.engines.maskrcnn.network import MaskRCNN
from napari_nanoseg.engines.maskrcnn.patches import encode, packed
from napari_nanoseg.engines.maskrcnn.targets import truths_of
from napari_nanoseg.engines.maskrcnn.thresholds import best_score, instances_in
from napari_nanoseg.engines.material import VALIDATION_SEED, View, gather
from napari_nanoseg.engines.patches import Patches, particle_diameter
from napari_nanoseg.engines.preview import draw
from napari_nanoseg.engines.training import Trainable, fit
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Progress, Stage, tell
from napari_nanoseg.io.model_cards import PREVIEW, read_card
from napari_nanoseg.samples import Sample

NEAR_PARTICLES = 0.9
"""Fraction of the real patches that lie near a particle."""
FROZEN_WITH_COCO = 2
"""Stages, as in Detectron2."""
JUDGING = 8
"""Pieces of validation images; half as many as for a StarDist, which is faster."""
STAGES = ("stem", "res2", "res3", "res4", "res5")


def train_maskrcnn(
    config: TrainConfig,
    samples: Sequence[Sample],
    validation: Sequence[Sample],
    synthetic_per_real: int,
    out: Path,
    device: torch.device,
    *,
    start_from: MaskRCNNModel | None = None,
    weights: Mapping[str, Tensor] | None = None,
    resume: bool = False,
) -> tuple[MaskRCNNModel, dict[str, float]]:
    """Train a model; its best state so far is in `out` at any time after the first epoch.

    Parameters
    ----------
    config : TrainConfig
        Its engine is a MaskRCNNConfig.
    samples : sequence of Sample
        Annotated images to train on; some may have no objects.
    validation : sequence of Sample
        Images of which nothing is trained on; may be empty, then fresh synthetic images and the training images
        themselves stand in, which flatters.
    synthetic_per_real : int
        Synthetic patches per real one; 0 for none.
    out : Path
        Folder of the model.
    device : torch.device
    start_from : MaskRCNNModel, optional
        Its architecture, weights and working diameter are taken over. One for another number of classes gives its
        weights apart from the last layers of the heads.
    weights : mapping of str to tensor, optional
        Of a network trained on COCO, to begin with as far as they fit.
    resume : bool
        Go on from the checkpoint in `out`.

    Returns
    -------
    model : MaskRCNNModel
    figures : dict
        Steps, final validation loss, seconds, F1 on the validation pieces at the chosen threshold.

    Raises
    ------
    NanosegError
        When nothing is annotated or the patches do not suit the network.
    """
    asked = config.engine
    assert isinstance(asked, MaskRCNNConfig)
    fine_tuning = start_from is not None and start_from.network.config.n_classes == asked.n_classes
    config = config.filled(fine_tuning=fine_tuning)
    torch.manual_seed(config.seed)
    known = start_from is not None or weights is not None
    network_config, said = _network(asked, start_from, known=known)
    if said is not None:
        tell(Notice(said))
    working = config.working_diameter
    if fine_tuning and start_from is not None:
        working = start_from.card.working_diameter or working
    config = config.model_copy(update={"engine": network_config, "working_diameter": working})
    _check_patch(config)
    diameter = particle_diameter(samples, config)
    factor = None if working is None else working / diameter
    calibration = samples[0].image.calibration
    tell(Stage("prepare", f"Preparing training patches (particles of {diameter:.0f} px seen at {factor or 1:.2g}x)."))
    card = ModelCard(
        network=network_config,
        thresholds={"prob": network_config.score_threshold, "nms": network_config.nms_threshold},
        working_diameter=working,
        training_diameter=diameter,
        training_pixel_size_nm=calibration.nm_per_pixel if calibration.known else None,
        invert="auto",
    )
    model = MaskRCNNModel.from_card(card)
    if start_from is not None:
        take_over(model.network, start_from.network.state_dict())
    elif weights is not None:
        take_over(model.network, weights)
    anchor = Anchor(
        model.network.to(device).to(memory_format=torch.channels_last), config.anchor if fine_tuning else 0.0
    )
    model.network = network = anchor.result
    for stage in STAGES[: network_config.freeze_at]:
        anchor.trained.backbone.bottom_up.get_submodule(stage).requires_grad_(False)
    view = View(
        factor, None, card.percentiles, True, (MaskRCNN.divisor, MaskRCNN.divisor), 2 * config.patch_size, JUDGING
    )
    material = gather(config, samples, validation, synthetic_per_real, view)
    items = Patches(
        config, material.real, material.generator, synthetic_per_real, card.percentiles, 0, NEAR_PARTICLES, True,
        partial(encode, network_config), config.steps * config.batch_size,
    )  # fmt: skip
    truths = material.truths
    batches = [packed([encode(network_config, piece.pixels, piece.labels, piece.classes)]) for piece in truths]

    def validate() -> dict[str, float]:
        anchor.settle()
        network.eval()
        sums: dict[str, float] = {}
        for done, batch in enumerate(batches, 1):
            # anchors and proposals are drawn: the same ones each time, and the training draws as it would have
            with torch.inference_mode(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed + VALIDATION_SEED)
                image, *targets = (part.to(device) for part in batch)
                losses = _losses(network, image.contiguous(memory_format=torch.channels_last), targets)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value) / len(batches)
            tell(Progress(done, len(batches), "validation patches"))
        return sums

    def preview() -> str:
        network.eval()
        found = instances_in(truths[-1].pixels, model, device)
        cover = np.zeros(truths[-1].pixels.shape[:2], np.float32)
        for score, box, mask in zip(found.scores, found.boxes, found.masks, strict=True):
            part = cover[box[0] : box[2], box[1] : box[3]]
            part[mask] = 1 - (1 - part[mask]) * (1 - score / 2)
        draw(truths[-1], cover, out / PREVIEW)
        return str(out / PREVIEW)

    task = Trainable(
        anchor.trained, items, _losses, validate, lambda: model.save(out), preview, fine_tuning=fine_tuning,
        collate=packed,
    )  # fmt: skip
    state = fit(task, config, out, device, resume=resume)
    tell(Stage("finish", "Choosing the best weights and thresholds."))
    read_weights(network, out, read_card(out).weights_sha256)
    network.to(device).eval()
    figures = {"steps": state.step, "validation_loss": state.best, "training_s": state.elapsed_s}
    if config.optimize_thresholds:
        score, f1 = best_score(truths, model, device)
        if f1 <= 0:
            tell(Notice("The network finds no particle in the validation images yet; train it longer."))
        else:
            score = score if start_from is None else anchor.between(score, start_from.card.thresholds["prob"])
            model.card = card.model_copy(update={"thresholds": card.thresholds | {"prob": score}})
        figures |= {"validation_f1": f1, "threshold_prob": model.card.thresholds["prob"]}
    return model, figures


def _losses(network: nn.Module, images: Tensor, targets: list[Tensor]) -> dict[str, Tensor]:
    assert isinstance(network, MaskRCNN)
    return maskrcnn_losses(network, images, truths_of(*targets))


def _network(
    asked: MaskRCNNConfig, start_from: MaskRCNNModel | None, *, known: bool
) -> tuple[MaskRCNNConfig, str | None]:
    """The network to train, and what is to be said of it."""
    update: dict[str, object] = {} if asked.freeze_at is not None else {"freeze_at": 0}
    if start_from is not None:
        own = {name: getattr(asked, name) for name in MaskRCNNConfig.FREE}
        return start_from.network.config.model_copy(update=own | {"n_classes": asked.n_classes} | update), None
    if known:
        return asked.model_copy(update={"freeze_at": FROZEN_WITH_COCO} if update else {}), None
    if asked.norm is None and asked.architecture.norm == "FrozenBN":
        # fresh statistics that never change normalise nothing; He et al. (ICCV 2019) train from scratch with GN
        said = "Without weights to start from, the backbone has group normalisation in place of the frozen one."
        return asked.model_copy(update=update | {"norm": "GN"}), said
    return asked.model_copy(update=update), None


def _check_patch(config: TrainConfig) -> None:
    size = config.patch_size
    if size % MaskRCNN.divisor or size < (config.working_diameter or 0):
        smallest = max(size, config.working_diameter or 0)
        fitting = MaskRCNN.divisor * -(-smallest // MaskRCNN.divisor)
        raise NanosegError(
            f"Patches of {size} px do not suit this network and its particles; choose a patch_size of {fitting:.0f}."
        )
