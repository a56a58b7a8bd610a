"""Choosing the least score on validation images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_nanoseg.engines.maskrcnn.model import MaskRCNNModel
from napari_nanoseg.engines.maskrcnn.pasting import pasted
from napari_nanoseg.engines.maskrcnn.predict import FULL, find_candidates
from napari_nanoseg.engines.patches import WorkingImage
from napari_nanoseg.evaluation.matching import evaluate
from napari_nanoseg.events import Progress, tell
from napari_nanoseg.instances import Instances

SCORES = np.round(np.arange(0.1, 0.951, 0.05), 2)


def instances_in(
    pixels: NDArray[np.float32], model: MaskRCNNModel, device: torch.device, floor: float | None = None
) -> Instances:
    """What a model finds in a piece of an image at working scale.

    Parameters
    ----------
    pixels : float32 array, shape (H, W) or (H, W, 3)
        0 dark, 1 bright.
    model : MaskRCNNModel
        On `device`.
    device : torch.device
    floor : float, optional
        Least score; by default that of the card.
    """
    thresholds, network = model.card.thresholds, model.network
    found = find_candidates(
        network, pixels * np.float32(255), device, floor=thresholds["prob"] if floor is None else floor,
        overlap=thresholds["nms"], most=network.config.detections_per_image,
    )  # fmt: skip
    shape = (pixels.shape[0], pixels.shape[1])
    boxes, masks = [], []
    for box, small in zip(found.boxes, found.masks, strict=True):
        mask, (row, column) = pasted(small / np.float32(FULL), box, shape)
        boxes.append((row, column, row + mask.shape[0], column + mask.shape[1]))
        masks.append(mask)
    return Instances.from_masks(shape, np.reshape(boxes, (len(masks), 4)), masks, found.scores)


def best_score(truths: Sequence[WorkingImage], model: MaskRCNNModel, device: torch.device) -> tuple[float, float]:
    """Find the least score with the best F1 at an IoU of 0.5.

    Parameters
    ----------
    truths : sequence of WorkingImage
        With labels in layers. What is found mostly where the truth is not known does not count.
    model : MaskRCNNModel
        On `device`.
    device : torch.device

    Returns
    -------
    score : float
    f1 : float
        Pooled over all pieces.
    """
    right, said, true = np.zeros(len(SCORES)), np.zeros(len(SCORES)), 0
    for done, truth in enumerate(truths, 1):
        found = instances_in(truth.pixels, model, device, float(SCORES[0]))
        unknown: NDArray[np.bool_] = np.asarray((truth.labels < 0).all(axis=-1))
        shares = [
            float(unknown[box[0] : box[2], box[1] : box[3]][mask].mean())
            for box, mask in zip(found.boxes, found.masks, strict=True)
        ]
        found = found[np.array(shares) < 0.5] if shares else found
        objects = objects_of(truth)
        true += len(objects)
        for place, score in enumerate(SCORES):
            sure = found[found.scores > score]
            said[place] += len(sure)
            right[place] += evaluate(objects, sure).true_positives
        tell(Progress(done, len(truths), "validation patches"))
    f1 = 2 * right / np.maximum(said + true, 1)
    # of equals, the middle: few pieces leave many
    equal = np.flatnonzero(f1 == f1.max())
    chosen = int(equal[len(equal) // 2])
    return float(SCORES[chosen]), float(f1[chosen])


def objects_of(truth: WorkingImage) -> Instances:
    """The objects of labels in layers."""
    boxes: list[NDArray[np.int64]] = []
    masks: list[NDArray[np.bool_]] = []
    for layer in np.moveaxis(truth.labels, -1, 0):
        own = Instances.from_labels(np.maximum(layer, 0))
        boxes.append(own.boxes)
        masks.extend(own.masks)
    return Instances.from_masks(truth.labels.shape[:2], np.concatenate(boxes), masks)
