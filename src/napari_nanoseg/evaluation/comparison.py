"""One prediction beside its truth, slice by slice: the figures, and what became of every particle."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.evaluate import EvaluateConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.error_map import ErrorMap, error_map, pixel_map
from napari_nanoseg.evaluation.matching import Evaluation, evaluate, judged, pool
from napari_nanoseg.events import Progress, tell
from napari_nanoseg.instances import Instances

if TYPE_CHECKING:
    from pandas import DataFrame

Outcome = Literal["TP", "FP", "FN"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Slices of truth and prediction with the evaluation of each; an image is one slice.

    Parameters
    ----------
    shape : tuple of int
        (Y, X) or (Z, Y, X) of what was compared.
    truth, prediction : tuple of Instances
        Slice by slice.
    evaluations : tuple of Evaluation
        Slice by slice, at the same threshold.
    not_judged : int
        Number of predicted particles left out because the truth is not known where they lie, of all slices together.
    """

    shape: tuple[int, ...]
    truth: tuple[Instances, ...]
    prediction: tuple[Instances, ...]
    evaluations: tuple[Evaluation, ...]
    not_judged: int = 0

    @cached_property
    def evaluation(self) -> Evaluation:
        """All slices together."""
        return self.evaluations[0] if len(self.evaluations) == 1 else pool(self.evaluations)

    def errors(self) -> ErrorMap:
        """Where particles were found, are not there, and were missed, in label images of `shape`."""
        slices = [error_map(*each) for each in zip(self.truth, self.prediction, self.evaluations, strict=True)]
        return ErrorMap(*(np.stack(each).reshape(self.shape) for each in zip(*slices, strict=True)))

    def pixels(self) -> NDArray[np.uint8]:
        """The map of :func:`~napari_nanoseg.evaluation.error_map.pixel_map`, of `shape`."""
        slices = [pixel_map(*each) for each in zip(self.truth, self.prediction, strict=True)]
        return np.stack(slices).reshape(self.shape)

    def particles(self) -> DataFrame:
        """What became of every particle.

        Returns
        -------
        pandas.DataFrame
            ``slice`` (0 for an image), ``label``, ``outcome`` (``TP`` and ``FP``: predicted particles, ``FN``: true
            ones), ``iou`` (with its partner; 0 without one) and ``partner`` (label of the true particle, 0 for none).
        """
        from pandas import DataFrame

        rows: list[tuple[int, int, Outcome, float, int]] = []
        for number, (truth, prediction, found) in enumerate(
            zip(self.truth, self.prediction, self.evaluations, strict=True)
        ):
            right = dict(zip(found.prediction_ids.tolist(), zip(found.ious, found.truth_ids, strict=True), strict=True))
            for label in prediction.ids.tolist():
                iou, partner = right.get(label, (0.0, 0))
                rows.append((number, label, "TP" if label in right else "FP", float(iou), int(partner)))
            missed = truth.ids[~np.isin(truth.ids, found.truth_ids)]
            rows.extend((number, label, "FN", 0.0, 0) for label in missed.tolist())
        return DataFrame(rows, columns=["slice", "label", "outcome", "iou", "partner"])


def compare(
    truth: Instances,
    prediction: Instances,
    config: EvaluateConfig | None = None,
    calibration: Calibration | None = None,
    known: NDArray[np.bool_] | None = None,
) -> Comparison:
    """Compare an image, or a stack slice by slice: a particle that reaches through several slices counts in each.

    Parameters
    ----------
    truth, prediction : Instances, shape (Y, X) or (Z, Y, X)
        The particles.
    config : EvaluateConfig, optional
        Threshold and limits, those of :func:`~napari_nanoseg.evaluation.matching.evaluate`.
    calibration : Calibration, optional
        Pixel size, for limits in nm, where the config gives none.
    known : bool array, shape (Y, X), optional
        Where the truth is complete, in every slice; None: everywhere.

    Returns
    -------
    Comparison

    Raises
    ------
    NanosegError
        When the shapes differ, or limits are in nm and the pixel size is not known.
    """
    config = EvaluateConfig() if config is None else config
    if truth.shape != prediction.shape:
        raise NanosegError(
            f"The truth has the shape {truth.shape} but the prediction {prediction.shape}; "
            "compare label images of the same micrograph."
        )
    trues, predicted, evaluations, not_judged = [], [], [], 0
    for true_plane, predicted_plane in zip(truth.planes(), prediction.planes(), strict=True):
        if known is not None:
            every = len(predicted_plane)
            predicted_plane = judged(true_plane, predicted_plane, known, config.iou_threshold)
            not_judged += every - len(predicted_plane)
        trues.append(true_plane)
        predicted.append(predicted_plane)
        evaluations.append(
            evaluate(
                true_plane,
                predicted_plane,
                config.iou_threshold,
                size_limits=config.size_limits,
                max_detections=config.max_detections,
                calibration=_calibration(config, calibration),
            )
        )
        if len(truth.shape) == 3:
            tell(Progress(len(trues), truth.shape[0], "slices"))
    return Comparison(truth.shape, tuple(trues), tuple(predicted), tuple(evaluations), not_judged)


def _calibration(config: EvaluateConfig, known: Calibration | None) -> Calibration | None:
    """Pixel size for limits in nm; None for limits in px."""
    if config.size_unit == "px":
        return None
    if config.pixel_size_nm is not None:
        return Calibration.of(config.pixel_size_nm)
    if known is None or not known.known:
        raise NanosegError("The size limits are in nm but the pixel size is not known; give it, or limits in px.")
    return known
