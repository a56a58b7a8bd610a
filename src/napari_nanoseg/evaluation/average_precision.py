"""COCO's average precision: how well the scores of a prediction tell right particles from wrong ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.matching import overlaps
from napari_nanoseg.instances import Instances

COCO_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
RECALLS = np.linspace(0, 1, 101)
"""At which COCO reads the precision."""


def average_precision(
    pairs: Iterable[tuple[Instances, Instances]], iou_thresholds: Sequence[float] = COCO_THRESHOLDS
) -> NDArray[np.float64]:
    """Average precision of scored particles over all images, as COCO defines it for masks.

    In each image, the particles take from the highest score down the free true particle that they overlap most. Over
    all images, sorted by score, the precision at a recall is the best at this recall or a higher one; the mean at 101
    recalls is the average precision. Unlike in COCO, an image may have more than 100 particles.

    Parameters
    ----------
    pairs : iterable of (truth, prediction)
        Of each image. The prediction should hold improbable particles too: recall that it does not reach counts as
        precision 0.
    iou_thresholds : sequence of float
        Smallest intersections over union of a match. The mean over :data:`COCO_THRESHOLDS` is COCO's AP.

    Returns
    -------
    array, one value per threshold
        NaN without any true particle.

    Raises
    ------
    NanosegError
        When truth and prediction differ in shape.
    """
    true_particles = 0
    scores: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
    right: list[NDArray[np.bool_]] = [np.zeros((len(iou_thresholds), 0), bool)]
    for truth, prediction in pairs:
        if truth.shape != prediction.shape:
            raise NanosegError(
                f"The truth has the shape {truth.shape} but the prediction {prediction.shape}; "
                "compare label images of the same micrograph."
            )
        true_particles += len(truth)
        scores.append(prediction.scores)
        right.append(_right(truth, prediction, iou_thresholds))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return np.array([_area(hits[order], true_particles) for hits in np.concatenate(right, axis=1)])


def _right(truth: Instances, prediction: Instances, iou_thresholds: Sequence[float]) -> NDArray[np.bool_]:
    """Which predicted particles find a free true one, for each threshold."""
    ious = overlaps(truth, prediction, min(iou_thresholds)).tocsc()
    hits = np.zeros((len(iou_thresholds), len(prediction)), bool)
    for number, threshold in enumerate(iou_thresholds):
        free = np.ones(len(truth), bool)
        for particle in np.argsort(-prediction.scores, kind="stable").tolist():
            column = slice(*ious.indptr[particle : particle + 2])
            rows, values = ious.indices[column], ious.data[column]
            open_to = (values >= threshold) & free[rows]
            if open_to.any():
                free[rows[np.where(open_to, values, -1).argmax()]] = False
                hits[number, particle] = True
    return hits


def _area(hits: NDArray[np.bool_], true_particles: int) -> float:
    """Mean precision at the recalls, from hits sorted by score."""
    if true_particles == 0:
        return float("nan")
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(envelope[np.searchsorted(found / true_particles, RECALLS - 1e-12, side="left")].mean())
