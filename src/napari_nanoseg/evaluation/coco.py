"""COCO's average precision: how well the scores of a prediction tell right particles from wrong ones.

faster-coco-eval matches and counts. It gets intersections over union that are computed here from pairs of neighbours,
not from run lengths of everything with everything, so that images of thousands of particles are no trouble.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.events import checkpoint

if TYPE_CHECKING:
    from scipy.sparse import coo_array

COCO_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
LEAST_IOU = COCO_THRESHOLDS[0]
COCO_SIZES = (32.0, 96.0)
"""COCO's limits of small and large, as the side of a square, px (cocodataset.org: areas of 32² and 96² px)."""
LARGEST_SIZE = 1e12
SIZES = ("", "_small", "_medium", "_large")
BLOCK = 2**21
"""Pairs of boxes looked at together: 16 MB a number."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """What average precision needs of one image with N true and M predicted particles.

    Parameters
    ----------
    truth_boxes, boxes : int64 array, shape (N, 2 * ndim) and (M, 2 * ndim)
        As in :class:`~napari_nanoseg.instances.Instances`.
    truth_sizes, sizes : float64 array, shape (N,) and (M,)
        Side of the square of the same area (of a volume: the cube of the same volume), in the unit of the limits.
    truth_classes, classes : int32 array, shape (N,) and (M,)
        0 where there are no classes.
    scores : float32 array, shape (M,)
        Only their order counts.
    ious : sparse matrix, shape (N, M)
        Intersections over union of the masks, those of at least :data:`LEAST_IOU`, row by row.
    """

    truth_boxes: NDArray[np.int64]
    boxes: NDArray[np.int64]
    truth_sizes: NDArray[np.float64]
    sizes: NDArray[np.float64]
    truth_classes: NDArray[np.int32]
    classes: NDArray[np.int32]
    scores: NDArray[np.float32]
    ious: coo_array


def precision_names(prefix: str) -> tuple[str, ...]:
    """Names of the figures of :func:`average_precision`: AP, AP50, AP75, small, medium and large."""
    return (f"{prefix}ap", f"{prefix}ap50", f"{prefix}ap75", *(f"{prefix}ap{size}" for size in SIZES[1:]))


MASK_FIGURES, BOX_FIGURES = precision_names(""), precision_names("box_")


def average_precision(
    images: Sequence[Candidates],
    kind: Literal["masks", "boxes"] = "masks",
    size_limits: tuple[float, float] = COCO_SIZES,
    max_detections: int | None = None,
) -> dict[str, float | None]:
    """Average precision of scored particles over all images, as COCO defines it (by faster-coco-eval).

    Detections are taken from the surest on. Each is right when it overlaps a true particle that is still free; the
    precision at 101 recalls is averaged, then over classes and over :data:`COCO_THRESHOLDS`. ``docs/measuring.md`` says
    where this differs from COCO's own program.

    Parameters
    ----------
    images : sequence of Candidates
        One for each image. They should hold improbable particles too: recall that they do not reach counts as
        precision 0.
    kind : {"masks", "boxes"}
        What has to overlap.
    size_limits : tuple of float
        A particle is small up to the first, large from the second, and medium between; on a limit it is both.
    max_detections : int, optional
        Of each image and class, the surest count; None for all of them (COCO: 100).

    Returns
    -------
    dict of str to float or None
        By :data:`MASK_FIGURES` or :data:`BOX_FIGURES`; None where there is no such true particle.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    true, found, ious = _joined(images, kind)
    if max_detections is not None:
        kept = _surest(found, max_detections)
        ious, found = ious[np.isin(ious["found"], kept)], found[kept]
        ious["found"] = np.searchsorted(kept, ious["found"])
    if true["class"].any() and found["class"].any():
        ious = ious[true["class"][ious["true"]] == found["class"][ious["found"]]]
    else:  # only one of them knows classes, or none
        true["class"] = found["class"] = 0
    groups, matrices = _grouped(true, found, ious)
    pictures = [{"id": number, "height": 1, "width": 1} for number in range(1, groups + 1)]
    classes = [{"id": number, "name": str(number)} for number in np.unique(true["class"]).tolist() or [0]]
    data = [
        COCO({"images": pictures, "annotations": _annotations(side), "categories": classes}) for side in (true, found)
    ]
    judge = COCOeval_faster(*data, "bbox", print_function=lambda *_: None)
    judge.computeIoU = lambda picture, _: matrices.get(picture, [])
    small, large = size_limits
    judge.params.iouThrs = np.array(COCO_THRESHOLDS)
    judge.params.maxDets = [max(len(found), 1)]
    judge.params.areaRng = [[0, LARGEST_SIZE], [0, small], [small, large], [large, LARGEST_SIZE]]
    judge.params.areaRngLbl = list(SIZES)
    checkpoint()
    judge.evaluate()
    checkpoint()
    judge.accumulate()
    precision = np.asarray(judge.eval["precision"])[..., 0]  # threshold, recall, class, size
    steps = [slice(None), slice(0, 1), slice(5, 6)]
    values = [_mean(precision[step, :, :, 0]) for step in steps] + [_mean(precision[..., size]) for size in (1, 2, 3)]
    return dict(zip(MASK_FIGURES if kind == "masks" else BOX_FIGURES, values, strict=True))


def box_ious(true: NDArray[np.int64], found: NDArray[np.int64]) -> coo_array:
    """Intersections over union of boxes, those of at least :data:`LEAST_IOU`, as a sparse matrix (true, found)."""
    from scipy.sparse import coo_array

    ndim = true.shape[1] // 2
    rows, columns, values = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    true_volume, volume = (np.prod(one[:, ndim:] - one[:, :ndim], axis=1) for one in (true, found))
    step = max(1, BLOCK // max(len(found), 1))
    for first in range(0, len(true), step):
        checkpoint()
        block = true[first : first + step, None]
        shared = np.ones((len(block), len(found)))
        for axis in range(ndim):
            stop = np.minimum(block[..., ndim + axis], found[:, ndim + axis])
            shared *= np.maximum(stop - np.maximum(block[..., axis], found[:, axis]), 0)
        ious = shared / (true_volume[first : first + step, None] + volume - shared)
        row, column = np.nonzero(ious >= LEAST_IOU)
        rows.append(row + first)
        columns.append(column)
        values.append(ious[row, column])
    joined = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    return coo_array(joined, shape=(len(true), len(found)))


def _mean(precision: NDArray[np.float64]) -> float | None:
    """Mean of what is defined: -1 stands where no class has a true particle of the size."""
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None


_PARTICLE = np.dtype([("image", np.int64), ("class", np.int64), ("size", np.float64), ("score", np.float64)])
_PAIR = np.dtype([("true", np.int64), ("found", np.int64), ("iou", np.float64)])


def _joined(images: Sequence[Candidates], kind: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Particles of all images, true and found, and the pairs of them that overlap."""
    true, found, pairs = ([np.zeros(0, dtype)] for dtype in (_PARTICLE, _PARTICLE, _PAIR))
    before = before_found = 0
    for number, image in enumerate(images):
        for side, sizes, classes, scores in (
            (true, image.truth_sizes, image.truth_classes, np.ones(len(image.truth_sizes))),
            (found, image.sizes, image.classes, image.scores),
        ):
            rows = np.zeros(len(sizes), _PARTICLE)
            rows["image"], rows["class"], rows["size"], rows["score"] = number, classes, sizes, scores
            side.append(rows)
        ious = image.ious if kind == "masks" else box_ious(image.truth_boxes, image.boxes)
        pair = np.zeros(ious.nnz, _PAIR)
        pair["true"], pair["found"], pair["iou"] = ious.row + before, ious.col + before_found, ious.data
        pairs.append(pair)
        before, before_found = before + len(image.truth_sizes), before_found + len(image.sizes)
    return np.concatenate(true), np.concatenate(found), np.concatenate(pairs)


def _surest(found: NDArray[Any], most: int) -> NDArray[np.int64]:
    """Indices, sorted, of the detections with the highest scores of each image and class; of equals the first."""
    order = np.lexsort((-found["score"], found["class"], found["image"]))
    starts = np.ones(len(order), bool)
    starts[1:] = np.any([np.diff(found[name][order]) != 0 for name in ("image", "class")], axis=0)
    firsts = np.flatnonzero(starts)
    place = np.arange(len(order)) - np.repeat(firsts, np.diff(np.append(firsts, len(order))))
    return np.sort(order[place < most])


def _grouped(true: NDArray[Any], found: NDArray[Any], ious: NDArray[Any]) -> tuple[int, dict[int, NDArray[np.float64]]]:
    """Put every group of particles that compete for each other into a picture of its own.

    A match never leaves its group, and scores are replaced by ranks over all images, so the result is the same; the
    tables of intersections over union, with a row for each detection, stay small.

    Returns
    -------
    int
        Number of pictures. The first has the true particles without a neighbour, the second such detections.
    dict of int to float64 array
        Table (detections from the surest on, true particles) by picture.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rank = np.empty(len(found))
    rank[np.argsort(-found["score"], kind="stable")] = np.arange(len(found))
    found["score"] = -rank
    nodes = len(true) + len(found)
    edges = coo_array((np.ones(len(ious), np.int8), (ious["true"], ious["found"] + len(true))), shape=(nodes, nodes))
    group = connected_components(edges, directed=False)[1]
    paired, numbers = np.unique(group[ious["true"]], return_inverse=True)
    picture = np.zeros(nodes, np.int64)
    picture[: len(true)], picture[len(true) :] = 1, 2
    places = np.searchsorted(paired, group)
    inside = np.isin(group, paired)
    picture[inside] = places[inside] + 3
    true["image"], found["image"] = picture[: len(true)], picture[len(true) :]
    order = np.argsort(numbers, kind="stable")
    bounds = np.flatnonzero(np.diff(numbers[order])) + 1
    matrices = {}
    for number, some in enumerate(np.split(order, bounds) if len(order) else (), start=3):
        rows, row = np.unique(rank[ious["found"][some]], return_inverse=True)
        columns, column = np.unique(ious["true"][some], return_inverse=True)
        matrices[number] = np.zeros((len(rows), len(columns)))
        matrices[number][row, column] = ious["iou"][some]
    return len(paired) + 2, matrices


def _annotations(side: NDArray[Any]) -> list[dict[str, Any]]:
    """Particles as faster-coco-eval takes them; it compares their size with the limits and calls it area."""
    shared = {"iscrowd": 0, "bbox": [0, 0, 1, 1]}
    return [
        {"id": number, "image_id": image, "category_id": label, "area": size, "score": score} | shared
        for number, (image, label, size, score) in enumerate(side.tolist(), start=1)
    ]
