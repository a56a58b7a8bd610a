"""Training a Mask R-CNN from annotated images and synthetic ones made from them; masks may overlap."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.engines.base import read_weights
from napari_nanoseg.engines.maskrcnn.coco_weights import start_from_coco
from napari_nanoseg.engines.maskrcnn.losses import maskrcnn_losses
from napari_nanoseg.engines.maskrcnn.model import MaskRCNNModel
from napari_nanoseg.engines.maskrcnn.network import MaskRCNN
from napari_nanoseg.engines.maskrcnn.pasting import pasted
from napari_nanoseg.engines.maskrcnn.patches import ObjectPatches, Piece, encode, packed, to_piece
from napari_nanoseg.engines.maskrcnn.predict import FULL, candidate_steps
from napari_nanoseg.engines.maskrcnn.targets import truths_of
from napari_nanoseg.engines.patches import make_generator, particle_diameter, relative_pixel_sizes, to_source
from napari_nanoseg.engines.training import Trainable, adam, fit
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Event, Notice, Progress, Stage, drain
from napari_nanoseg.io.atomic import atomic_path
from napari_nanoseg.io.model_cards import PREVIEW, read_card
from napari_nanoseg.samples import Sample

VALIDATION_PATCHES = 16
VALIDATION_SEED = 0x5EED  # added to the seed, so that validation never sees an image of the training
RATE, RATE_IMAGES = 0.02, 16  # of SGD in Detectron2, per so many images
MOMENTUM, WEIGHT_DECAY = 0.9, 1e-4  # as there
SHOWN = 0.5  # least score of what the preview shows


def _sgd(parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)


def _losses(network: nn.Module, images: Tensor, targets: list[Tensor]) -> dict[str, Tensor]:
    assert isinstance(network, MaskRCNN)
    return maskrcnn_losses(network, images, truths_of(*targets))


def train_maskrcnn(
    config: TrainConfig,
    samples: Sequence[Sample],
    validation: Sequence[Sample],
    synthetic_per_real: int,
    out: Path,
    device: torch.device,
    *,
    start_from: MaskRCNNModel | None = None,
    coco: Path | None = None,
    resume: bool = False,
) -> Generator[Event, None, tuple[MaskRCNNModel, dict[str, float]]]:
    """Train a model; its best state so far is in `out` at any time after the first epoch.

    Networks whose normalisation is frozen, as published, are trained with SGD at Detectron2's rate; others with Adam.

    Parameters
    ----------
    config : TrainConfig
        Its engine is a MaskRCNNConfig.
    samples : sequence of Sample
        Annotated images to train on.
    validation : sequence of Sample
        Images of which nothing is trained on; may be empty, then patches of the training images stand in.
    synthetic_per_real : int
        Synthetic patches per real one; 0 for none.
    out : Path
        Folder of the model.
    device : torch.device
    start_from : MaskRCNNModel, optional
        Its architecture, weights and working diameter are taken over.
    coco : Path, optional
        File of the weights that torchvision trained on COCO, to start from.
    resume : bool
        Go on from the checkpoint in `out`.

    Yields
    ------
    Event

    Returns
    -------
    model : MaskRCNNModel
    figures : dict
        Steps, final validation loss, seconds.

    Raises
    ------
    NanosegError
        When nothing is annotated, the patches do not suit the network, or the weights of COCO do not.
    """
    network_config = config.engine if start_from is None else start_from.network.config
    assert isinstance(network_config, MaskRCNNConfig)
    sgd = network_config.architecture.norm == "FrozenBN"
    if config.learning_rate is None and sgd:
        rate = RATE * config.batch_size / RATE_IMAGES
        config = config.model_copy(update={"learning_rate": rate})
    config = config.filled(fine_tuning=start_from is not None)
    torch.manual_seed(config.seed)
    working = config.working_diameter
    if start_from is not None:
        working = start_from.card.working_diameter or working
    config = config.model_copy(update={"engine": network_config, "working_diameter": working})
    if config.patch_size % MaskRCNN.divisor:
        fitting = MaskRCNN.divisor * -(-config.patch_size // MaskRCNN.divisor)
        raise NanosegError(
            f"Patches of {config.patch_size} px do not suit this network; choose a patch_size of {fitting}."
        )
    diameter = particle_diameter(samples, config)
    factor = 1.0 if working is None else working / diameter
    calibration = samples[0].image.calibration
    yield Stage("prepare", f"Preparing training patches (particles of {diameter:.0f} px seen at {factor:.2g}x).")
    card = ModelCard(
        network=network_config,
        thresholds={"prob": 0.5, "nms": network_config.nms_threshold},
        working_diameter=working,
        training_diameter=diameter,
        training_pixel_size_nm=calibration.nm_per_pixel if calibration.known else None,
        invert="auto",
    )
    model = MaskRCNNModel.from_card(card) if start_from is None else MaskRCNNModel(start_from.network, card)
    if coco is not None:
        fresh = start_from_coco(model.network, coco)
        yield Notice(f"The training starts from weights trained on COCO; {len(fresh)} parts for other classes are new.")
    elif start_from is None:
        yield Notice("The training starts from scratch.")
    network = model.network = model.network.to(device).to(memory_format=torch.channels_last)
    stages = ["stem", "res2", "res3", "res4", "res5"]
    for stage in stages[: network_config.freeze_at]:
        network.backbone.bottom_up.get_submodule(stage).requires_grad_(False)

    def at_working_scale(images: Sequence[Sample]) -> list[tuple[Sample, float]]:
        relative = relative_pixel_sizes([samples[0], *images])[1:]
        return [(image, factor * size if working else 1.0) for image, size in zip(images, relative, strict=True)]

    real = [to_piece(*scaled, card.percentiles) for scaled in at_working_scale(samples)]
    sources = [to_source(*scaled) for scaled in at_working_scale(samples)] if synthetic_per_real else []
    generator = make_generator(config, sources, config.seed) if sources else None
    count = config.steps * config.batch_size
    items = ObjectPatches(config, network_config, real, generator, synthetic_per_real, card.percentiles, count)
    checks = [to_piece(*scaled, card.percentiles) for scaled in at_working_scale(validation)]
    if not checks:
        checks = real
        yield Notice(
            "No image is left for an honest validation (annotate a second image, or give a validation dataset): "
            "the curves come from the training images, which flatters."
        )
    truths = _squares(checks, config.patch_size)
    batches = [packed([encode(truth, network_config)]) for truth in truths]

    def validate() -> Generator[Event, None, dict[str, float]]:
        network.eval()
        sums: dict[str, float] = {}
        for done, batch in enumerate(batches, 1):
            with torch.inference_mode(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed + VALIDATION_SEED)
                image, *targets = (part.to(device) for part in batch)
                losses = _losses(network, image.contiguous(memory_format=torch.channels_last), targets)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value) / len(batches)
            yield Progress(done, len(batches), "validation patches")
        return sums

    def preview() -> str:
        network.eval()
        pixels = truths[-1].pixels
        found = drain(
            candidate_steps(
                network, pixels * np.float32(255), device, floor=SHOWN, overlap=card.thresholds["nms"],
                most=network_config.detections_per_image,
            )
        )  # fmt: skip
        size = config.patch_size
        cover = np.zeros((size, size), np.float32)
        for box, mask in zip(found.boxes, found.masks, strict=True):
            inside, (row, column) = pasted(mask / np.float32(FULL), box, (size, size))
            cover[row : row + inside.shape[0], column : column + inside.shape[1]] += inside * np.float32(0.5)
        _draw(truths[-1], np.minimum(cover, 1), out / PREVIEW)
        return str(out / PREVIEW)

    task = Trainable(
        network, items, _losses, validate, lambda: model.save(out), preview,
        fine_tuning=start_from is not None, collate=packed, optimizer=_sgd if sgd else adam,
    )  # fmt: skip
    state = yield from fit(task, config, out, device, resume=resume)
    if start_from is not None and state.epochs_since_best == state.epoch:
        yield Notice(
            "No epoch was better than the model that the training started from, so its weights are kept; train on more "
            "particles, or with a smaller learning_rate."
        )
    yield Stage("finish", "Choosing the best weights.")
    read_weights(network, out, read_card(out).weights_sha256)
    network.to(device).eval()
    return model, {"steps": state.step, "validation_loss": state.best, "training_s": state.elapsed_s}


def _squares(pieces: Sequence[Piece], size: int) -> list[Piece]:
    """Squares of the validation images with objects in them, spread evenly; mirrored beyond the images."""
    squares = [
        square
        for piece in pieces
        for row in range(0, piece.known.shape[0], size)
        for column in range(0, piece.known.shape[1], size)
        if len((square := piece.cut(row, column, size)).instances)
    ]
    return [squares[k] for k in np.linspace(0, len(squares) - 1, min(len(squares), VALIDATION_PATCHES)).astype(int)]


def _draw(truth: Piece, cover: NDArray[np.float32], path: Path) -> None:
    """Beside each other, twice enlarged: the patch, the patch with true outlines, what is found (twice: white)."""
    from PIL import Image as Picture
    from skimage.segmentation import find_boundaries

    pixels = truth.pixels if truth.pixels.ndim == 2 else truth.pixels.mean(axis=-1)
    grey = (np.clip(pixels, 0, 1) * 255).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    found = (cover * 255).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    panels = np.repeat(np.concatenate([grey, grey, found], axis=1)[..., None], 3, axis=2)
    edges = find_boundaries(truth.instances.to_labels().repeat(2, 0).repeat(2, 1), mode="inner")
    panels[:, grey.shape[1] : 2 * grey.shape[1]][edges] = (255, 200, 0)
    with atomic_path(path) as temporary:
        Picture.fromarray(panels).save(temporary)
