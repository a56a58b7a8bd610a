"""How well a prediction agrees with the truth, particle by particle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.arguments import as_calibration, as_instances, as_list, as_number, refuse_unknown
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.display import Shown, bar
from napari_nanoseg.errors import NanosegError, unsuitable
from napari_nanoseg.evaluation.coco import (
    BOX_FIGURES,
    COCO_SIZES,
    LEAST_IOU,
    MASK_FIGURES,
    Candidates,
    average_precision,
)
from napari_nanoseg.events import checkpoint
from napari_nanoseg.instances import Instances
from napari_nanoseg.layer_data import add, place_for

if TYPE_CHECKING:
    from scipy.sparse import coo_array, csr_array


KINDS = ((86, 180, 233), (230, 159, 0), (204, 121, 167))
"""Colours of TP, FP and FN, as in :mod:`~napari_nanoseg.evaluation.error_map`."""


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Shown):
    """Counts of one comparison, or of several pooled; every figure follows from them.

    Figures whose denominator is 0 are 0, as in StarDist: without a match, precision, recall, F1, accuracy, panoptic
    quality and mean matched IoU are 0, also when truth and prediction are both empty. `recall_complete` and
    `recall_border` are None when the truth has no such particle. Average precisions are None when it has none either,
    and when the prediction has no scores: :func:`~napari_nanoseg.evaluation.coco.average_precision` defines them.

    Parameters
    ----------
    iou_threshold : float
        A matched pair has at least this intersection over union.
    truth_ids, prediction_ids : int32 array, shape (TP,)
        Ids of the matched particles, pair by pair.
    ious : float64 array, shape (TP,)
        Intersection over union of each pair.
    false_negatives, false_positives : int
        True particles nobody found, and predicted ones that are not there.
    border_truth, border_found : int
        True particles that touch the image border, and those of them that were found.
    foreground_both, foreground_any : int
        Pixels in a true and a predicted particle, and in at least one of them.
    scored : bool
        Whether the prediction has scores: any that is not 1, which stands where nothing is known. One without
        particles needs none.
    size_limits : tuple of float
        A particle counts for the average precision of small ones up to the first, of large ones from the second.
    max_detections : int or None
        As in :func:`~napari_nanoseg.evaluation.coco.average_precision`.
    candidates : tuple of Candidates
        Of each image, for the average precision.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> found = np.roll(truth, 3, axis=1)
    >>> evaluation = ns.evaluate(truth, found, iou_threshold=0.8)
    >>> evaluation
    Evaluation(F1 0.96: 77 TP, 3 FP, 3 FN at IoU 0.8)
    >>> round(evaluation.f1, 3), evaluation.false_negatives
    (0.963, 3)
    """

    iou_threshold: float
    truth_ids: NDArray[np.int32]
    prediction_ids: NDArray[np.int32]
    ious: NDArray[np.float64]
    false_negatives: int
    false_positives: int
    border_truth: int
    border_found: int
    foreground_both: int
    foreground_any: int
    scored: bool
    size_limits: tuple[float, float]
    max_detections: int | None
    candidates: tuple[Candidates, ...]

    def add_to(
        self,
        viewer: Any,
        truth: Instances | NDArray[Any],
        prediction: Instances | NDArray[Any],
        *,
        image: Any = None,
    ) -> list[Any]:
        """Add what was found, is not there and was missed to a viewer of napari, as three layers.

        Parameters
        ----------
        viewer : napari.Viewer
        truth, prediction : Instances or integer array, shape (Y, X)
            What was compared.
        image : Image, napari.layers.Image or Calibration, optional
            As in :meth:`napari_nanoseg.Instances.add_to`.

        Returns
        -------
        list of napari.layers.Labels
            True positives, false positives and false negatives.

        Raises
        ------
        NanosegError
            When `viewer` is no viewer, or `image` is of another shape.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> from napari.components import ViewerModel
        >>> viewer = ViewerModel()  # in a window: napari.Viewer()
        >>> labels = np.zeros((32, 32), int)
        >>> labels[4:12, 4:12] = 1
        >>> layers = ns.evaluate(labels, labels).add_to(viewer, labels, labels)
        >>> len(layers)
        3
        """
        from napari_nanoseg.evaluation.error_map import error_layers

        true, predicted = as_instances(truth, "add_to: 'truth'"), as_instances(prediction, "add_to: 'prediction'")
        place = place_for(image, true.shape, viewer)
        return [add(viewer, described, {}) for described in error_layers(true, predicted, self, place)]

    @property
    def true_positives(self) -> int:
        """Matched pairs."""
        return len(self.ious)

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """TP / (TP + FN)."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return _ratio(2 * self.true_positives, self._twice_mean_count)

    @property
    def accuracy(self) -> float:
        """TP / (TP + FP + FN)."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives + self.false_negatives)

    @property
    def mean_matched_iou(self) -> float:
        """Mean IoU of the matched pairs."""
        return _ratio(float(self.ious.sum()), self.true_positives)

    @property
    def panoptic_quality(self) -> float:
        """Sum of the matched IoUs / (TP + FP/2 + FN/2) (A. Kirillov et al., CVPR 2019, eq. 1)."""
        return _ratio(2 * float(self.ious.sum()), self._twice_mean_count)

    @property
    def foreground_accuracy(self) -> float:
        """Pixels: TP / (TP + FP + FN) of particle against background."""
        return _ratio(self.foreground_both, self.foreground_any)

    @property
    def recall_complete(self) -> float | None:
        """Recall of the true particles that do not touch the image border; None without any."""
        complete = self.true_positives + self.false_negatives - self.border_truth
        return (self.true_positives - self.border_found) / complete if complete else None

    @property
    def recall_border(self) -> float | None:
        """Recall of the true particles that touch the image border; None without any."""
        return self.border_found / self.border_truth if self.border_truth else None

    @property
    def ap(self) -> float | None:
        """Average precision of masks, the mean of IoU 0.5 to 0.95."""
        return self._average_precision["ap"]

    @property
    def ap50(self) -> float | None:
        """Average precision of masks, at IoU 0.5."""
        return self._average_precision["ap50"]

    @property
    def ap75(self) -> float | None:
        """Average precision of masks, at IoU 0.75."""
        return self._average_precision["ap75"]

    @property
    def ap_small(self) -> float | None:
        """Average precision of masks, of small particles."""
        return self._average_precision["ap_small"]

    @property
    def ap_medium(self) -> float | None:
        """Average precision of masks, of medium-sized particles."""
        return self._average_precision["ap_medium"]

    @property
    def ap_large(self) -> float | None:
        """Average precision of masks, of large particles."""
        return self._average_precision["ap_large"]

    @property
    def box_ap(self) -> float | None:
        """Average precision of boxes, the mean of IoU 0.5 to 0.95."""
        return self._average_precision["box_ap"]

    @property
    def box_ap50(self) -> float | None:
        """Average precision of boxes, at IoU 0.5."""
        return self._average_precision["box_ap50"]

    @property
    def box_ap75(self) -> float | None:
        """Average precision of boxes, at IoU 0.75."""
        return self._average_precision["box_ap75"]

    @property
    def box_ap_small(self) -> float | None:
        """Average precision of boxes, of small particles."""
        return self._average_precision["box_ap_small"]

    @property
    def box_ap_medium(self) -> float | None:
        """Average precision of boxes, of medium-sized particles."""
        return self._average_precision["box_ap_medium"]

    @property
    def box_ap_large(self) -> float | None:
        """Average precision of boxes, of large particles."""
        return self._average_precision["box_ap_large"]

    @cached_property
    def _average_precision(self) -> dict[str, float | None]:
        if not self.scored:
            return dict.fromkeys((*MASK_FIGURES, *BOX_FIGURES))
        masks, boxes = (
            average_precision(self.candidates, kind, self.size_limits, self.max_detections)
            for kind in ("masks", "boxes")
        )
        return masks | boxes

    @property
    def _twice_mean_count(self) -> int:
        return 2 * self.true_positives + self.false_positives + self.false_negatives

    def _line(self) -> str:
        return (
            f"F1 {self.f1:.2f}: {self.true_positives} TP, {self.false_positives} FP, {self.false_negatives} FN at IoU "
            f"{self.iou_threshold:g}"
        )

    def _rows(self) -> dict[str, Any]:
        return self._counted_figures()

    def _picture(self) -> NDArray[np.uint8] | None:
        return bar(zip((self.true_positives, self.false_positives, self.false_negatives), KINDS, strict=True))

    def figures(self) -> dict[str, int | float | None]:
        """All figures by name, as plain numbers.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
        >>> figures = ns.evaluate(truth, truth[:60]).figures()
        >>> figures["recall"], figures["precision"]
        (0.75, 1.0)
        """
        return self._counted_figures() | self._average_precision

    def _counted_figures(self) -> dict[str, int | float | None]:
        """All but the average precision, which takes seconds for many particles."""
        return {
            "iou_threshold": self.iou_threshold,
            "true_positives": self.true_positives,
            "false_positives": self.false_positives,
            "false_negatives": self.false_negatives,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "accuracy": self.accuracy,
            "panoptic_quality": self.panoptic_quality,
            "mean_matched_iou": self.mean_matched_iou,
            "foreground_accuracy": self.foreground_accuracy,
            "recall_complete": self.recall_complete,
            "recall_border": self.recall_border,
        }


def evaluate(
    truth: Instances | NDArray[Any],
    prediction: Instances | NDArray[Any],
    iou_threshold: float = 0.5,
    *,
    size_limits: tuple[float, float] = COCO_SIZES,
    max_detections: int | None = None,
    calibration: Calibration | None = None,
    known: NDArray[np.bool_] | None = None,
    **unknown: Any,
) -> Evaluation:
    """Match predicted particles with true ones, one to one, so that as many as possible are found.

    Among the assignments with the most matched pairs, the one with the largest sum of IoUs counts. For label images
    and thresholds of at least 0.5 the figures are those of ``stardist.matching.matching``; below, that function may
    let pairs under the threshold decide between equals.

    Parameters
    ----------
    truth, prediction : Instances or integer array, shape (Y, X) or (Z, Y, X)
        Particles (masks may overlap, each counts in full), or label images (0 is background).
    iou_threshold : float
        Smallest intersection over union of a match, above 0 and at most 1.
    size_limits : tuple of float
        Up to the first, particles are small for the average precision, from the second on large: the side of the
        square of the same area (of a volume, of the cube), in nm with a calibration, else in pixels.
    max_detections : int, optional
        The surest ones of each image and class that count for the average precision; None: all (COCO: 100).
    calibration : Calibration, optional
        Pixel size, for limits in nm.
    known : bool array, shape (Y, X) or (Z, Y, X), optional
        Where the truth is complete, such as :attr:`Sample.known`; None: everywhere. Predicted particles that lie mostly
        elsewhere and match no true particle are left out; see :func:`judged`.

    Returns
    -------
    Evaluation

    Raises
    ------
    NanosegError
        When the shapes differ, the threshold or the limits are out of range, `calibration` has no pixel size or one
        that is not square, or arguments are of a wrong type or name.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> found = np.roll(truth, 3, axis=1)
    >>> ns.evaluate(truth, found)
    Evaluation(F1 1.00: 80 TP, 0 FP, 0 FN at IoU 0.5)
    """
    refuse_unknown("evaluate", unknown, ("iou_threshold", "size_limits", "max_detections", "calibration", "known"))
    iou_threshold = as_number(iou_threshold, "evaluate: 'iou_threshold'")
    if not 0 < iou_threshold <= 1:
        raise NanosegError(f"The IoU threshold {iou_threshold} is not above 0 and at most 1; 0.5 is usual.")
    if not isinstance(size_limits, Sequence) or len(size_limits) != 2:
        raise unsuitable("evaluate: 'size_limits'", size_limits, "two numbers, such as (32, 96)")
    small, large = (as_number(limit, "evaluate: a limit of 'size_limits'") for limit in size_limits)
    if max_detections is not None and as_number(max_detections, "evaluate: 'max_detections'") < 1:
        raise unsuitable("evaluate: 'max_detections'", max_detections, "a number of at least 1")
    calibration = as_calibration(calibration, "evaluate: 'calibration'")
    if not 0 < small <= large:
        raise NanosegError(f"The size limits {small:g} and {large:g} are not above 0 and in order; COCO has 32 and 96.")
    truth = as_instances(truth, "evaluate: 'truth'")
    prediction = as_instances(prediction, "evaluate: 'prediction'")
    if truth.shape != prediction.shape:
        raise NanosegError(
            f"The truth has the shape {truth.shape} but the prediction {prediction.shape}; "
            "compare label images of the same micrograph."
        )
    if known is not None:
        prediction = judged(truth, prediction, known, iou_threshold)
    true_pixels = _pixels(truth)
    checkpoint()
    predicted_pixels = _pixels(prediction)
    checkpoint()
    every = _ious(true_pixels, predicted_pixels, min(iou_threshold, LEAST_IOU))
    rows, columns, ious = _best_pairs(_at_least(every, iou_threshold))
    true_ground, predicted_ground = np.zeros((2, true_pixels.shape[1]), dtype=bool)
    true_ground[true_pixels.indices] = True
    predicted_ground[predicted_pixels.indices] = True
    border = truth.touches_border
    return Evaluation(
        iou_threshold=float(iou_threshold),
        truth_ids=truth.ids[rows],
        prediction_ids=prediction.ids[columns],
        ious=ious,
        false_negatives=len(truth) - len(rows),
        false_positives=len(prediction) - len(columns),
        border_truth=int(np.count_nonzero(border)),
        border_found=int(np.count_nonzero(border[rows])),
        foreground_both=int(np.count_nonzero(true_ground & predicted_ground)),
        foreground_any=int(np.count_nonzero(true_ground | predicted_ground)),
        scored=not len(prediction) or bool((prediction.scores != 1).any()),
        size_limits=(float(small), float(large)),
        max_detections=max_detections,
        candidates=(
            Candidates(
                truth.boxes,
                prediction.boxes,
                _sides(truth, calibration),
                _sides(prediction, calibration),
                truth.classes,
                prediction.classes,
                prediction.scores,
                _at_least(every, LEAST_IOU),
            ),
        ),
    )


def judged(truth: Instances, prediction: Instances, known: NDArray[np.bool_], iou_threshold: float = 0.5) -> Instances:
    """Leave out predicted particles that a partly annotated truth says nothing about.

    Parameters
    ----------
    truth, prediction : Instances, shape (Y, X) or (Z, Y, X)
        The particles.
    known : bool array, shape (Y, X) or that of the particles
        Where the truth is complete. The outlined particles themselves are always known.
    iou_threshold : float
        Smallest intersection over union of a match.

    Returns
    -------
    Instances
        The predicted particles that match a true one, or at least half of whose pixels are known.

    Raises
    ------
    NanosegError
        When the shapes differ.
    """
    mask = np.asarray(known, dtype=bool)
    if mask.shape not in (truth.shape, truth.shape[1:]):
        raise NanosegError(
            f"The known region has the shape {mask.shape} but the truth {truth.shape}; give the one of this image."
        )
    mask = mask | (truth.to_labels() > 0)
    inside = [
        2 * np.count_nonzero(mask[tuple(map(slice, box[: mask.ndim], box[mask.ndim :]))] & own) >= np.count_nonzero(own)
        for box, own in zip(prediction.boxes.tolist(), prediction.masks, strict=True)
    ]
    matched = evaluate(truth, prediction, iou_threshold).prediction_ids
    return prediction[np.array(inside, bool) | np.isin(prediction.ids, matched)]


def pool(evaluations: Iterable[Evaluation]) -> Evaluation:
    """Add up the counts of several images, so that every particle weighs the same.

    Parameters
    ----------
    evaluations : iterable of Evaluation
        At the same threshold and with the same limits; at least one.

    Returns
    -------
    Evaluation
        Its pairs are those of all images one after the other; their ids are each image's own.

    Raises
    ------
    NanosegError
        When there is none or the thresholds or limits differ.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> ns.pool([ns.evaluate(truth, truth[:60]), ns.evaluate(truth, truth)])
    Evaluation(F1 0.93: 140 TP, 0 FP, 20 FN at IoU 0.5)
    """
    every = as_list(evaluations, Evaluation, "pool: 'evaluations'", "a list of what evaluate() gives")
    ways = {(one.iou_threshold, one.size_limits, one.max_detections) for one in every}
    if len(ways) != 1:
        raise NanosegError(
            f"Evaluations with {len(ways)} different IoU thresholds or limits cannot be added up; give at least one "
            "image and use the same for all."
        )
    iou_threshold, size_limits, max_detections = ways.pop()
    found = [one for one in every if one.true_positives + one.false_positives]
    return Evaluation(
        iou_threshold=iou_threshold,
        truth_ids=np.concatenate([one.truth_ids for one in every]),
        prediction_ids=np.concatenate([one.prediction_ids for one in every]),
        ious=np.concatenate([one.ious for one in every]),
        false_negatives=sum(one.false_negatives for one in every),
        false_positives=sum(one.false_positives for one in every),
        border_truth=sum(one.border_truth for one in every),
        border_found=sum(one.border_found for one in every),
        foreground_both=sum(one.foreground_both for one in every),
        foreground_any=sum(one.foreground_any for one in every),
        scored=not found or any(one.scored for one in found),
        size_limits=size_limits,
        max_detections=max_detections,
        candidates=tuple(image for one in every for image in one.candidates),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _pixels(instances: Instances) -> csr_array:
    """Sparse matrix (objects, pixels of the image): 1 where the pixel belongs to the object."""
    from scipy.sparse import csr_array

    shape, starts = instances.shape, instances.boxes[:, : len(instances.shape)]
    parts = [
        np.ravel_multi_index(tuple(axis + start for axis, start in zip(mask.nonzero(), corner, strict=True)), shape)
        for mask, corner in zip(instances.masks, starts.tolist(), strict=True)
    ]
    indices = np.concatenate([np.zeros(0, np.int64), *parts])
    bounds = np.cumsum([0, *(len(part) for part in parts)])
    size = (len(instances), int(np.prod(shape)))
    return csr_array((np.ones(len(indices), np.int32), indices, bounds), shape=size)


def _ious(truth: csr_array, prediction: csr_array, threshold: float) -> coo_array:
    """Sparse matrix (true, predicted) of the intersections over union that reach the threshold, row by row."""
    from scipy.sparse import coo_array

    shared = (truth @ prediction.T).tocoo()
    true_area, predicted_area = np.diff(truth.indptr), np.diff(prediction.indptr)
    ious = shared.data / (true_area[shared.row] + predicted_area[shared.col] - shared.data)
    return _at_least(coo_array((ious, (shared.row, shared.col)), shape=shared.shape), threshold)


def _at_least(ious: coo_array, threshold: float) -> coo_array:
    from scipy.sparse import coo_array

    kept = ious.data >= threshold
    return coo_array((ious.data[kept], (ious.row[kept], ious.col[kept])), shape=ious.shape)


def _sides(instances: Instances, calibration: Calibration | None) -> NDArray[np.float64]:
    """Side of the square (cube) of the same area (volume) as each particle, in nm with a calibration."""
    sides = instances.areas.astype(np.float64) ** (1 / len(instances.shape))
    return sides if calibration is None else sides * calibration.nm_per_pixel


def _best_pairs(ious: coo_array) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Most pairs, then largest sum of IoUs, one to one: rows, columns and IoUs, by row.

    Particles that overlap nothing else are matched at once; the assignment problem is solved for the rest, group by
    group of particles that compete with each other.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_rows, n_columns = ious.shape
    nodes = n_rows + n_columns
    graph = coo_array((np.ones(ious.nnz, np.int8), (ious.row, ious.col + n_rows)), shape=(nodes, nodes))
    group = connected_components(graph, directed=False)[1][ious.row]
    order = np.argsort(group, kind="stable")
    chosen: list[int] = []
    for edges in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        if len(edges) <= 1:
            chosen.extend(edges)
            continue
        rows, row_of = np.unique(ious.row[edges], return_inverse=True)
        columns, column_of = np.unique(ious.col[edges], return_inverse=True)
        edge_at = np.full((len(rows), len(columns)), -1)
        edge_at[row_of, column_of] = edges
        # A pair counts more than all IoUs together can make up for.
        gain = np.where(edge_at >= 0, min(edge_at.shape) + ious.data[edge_at], 0.0)
        matched = edge_at[linear_sum_assignment(gain, maximize=True)]
        chosen.extend(matched[matched >= 0])
    picked = np.sort(np.array(chosen, dtype=np.int64))
    return ious.row[picked], ious.col[picked], ious.data[picked]
