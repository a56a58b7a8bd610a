"""Predicted classes of pixels against true ones, paired by stem."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_nanoseg.config.evaluate import EvaluateJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.tolerant import PixelEvaluation, evaluate_pixels, pool_pixels
from napari_nanoseg.events import JobResult, Progress, Stage, tell
from napari_nanoseg.io.atomic import write_text
from napari_nanoseg.io.images import read_label_array
from napari_nanoseg.io.label_files import LabelFile
from napari_nanoseg.io.run_record import run_record, write_run_record
from napari_nanoseg.io.tables import write_table

MEANS = ("f1", "precision", "recall", "iou")


def pixels_job(
    job: EvaluateJob,
    folder: Path | None,
    tolerance: float,
    truths: Mapping[str, LabelFile],
    predictions: Mapping[str, LabelFile],
    started: datetime,
) -> JobResult:
    """Compare masks of classes, image by image, and pool their pixels.

    Where truth and prediction have one value besides 0 each, that is the class, whatever the values are (255 and 1);
    else each value is a class. With `folder`, writes ``evaluation.csv`` (a row per image and class), ``metrics.json``
    and ``run.yaml``.

    Parameters
    ----------
    job : EvaluateJob
    folder : Path, optional
        Where the results are written, if anywhere.
    tolerance : float
        Of the job.
    truths, predictions : mapping of str to LabelFile
        By stem; every truth has its prediction.
    started : datetime
        Of the job.

    Returns
    -------
    JobResult
        Figures: ``f1``, ``precision``, ``recall`` and ``iou``, each the mean of the classes, ``tolerance``, ``images``,
        and ``classes``, by value all figures of :class:`~napari_nanoseg.evaluation.tolerant.PixelEvaluation`.

    Raises
    ------
    NanosegError
        When a file cannot be read or holds outlines, shapes differ, or there is no class anywhere.
    """
    tell(Stage("evaluate", f"Comparing the pixels of {len(truths)} image{'s' if len(truths) > 1 else ''}"))
    kinds: tuple[set[int], set[int]] = (set(), set())
    for done, name in enumerate(truths, start=1):
        for values, file in zip(kinds, (truths[name], predictions[name]), strict=True):
            values.update(np.unique(_read(file)).tolist())
        tell(Progress(done, len(truths), "images read"))
    for values in kinds:
        values.discard(0)
    if not (kinds[0] or kinds[1]):
        raise NanosegError(
            f"Neither {job.truth} nor {job.prediction} has any pixel of a class; there is nothing to see."
        )
    single = len(kinds[0]) <= 1 and len(kinds[1]) <= 1
    found: dict[int, list[PixelEvaluation]] = {kind: [] for kind in ([1] if single else sorted(kinds[0] | kinds[1]))}
    rows: list[dict[str, Any]] = []
    for done, name in enumerate(truths, start=1):
        truth, prediction = _read(truths[name]), _read(predictions[name])
        known = truths[name].known()
        for kind, evaluations in found.items():
            true, predicted = (array != 0 if single else array == kind for array in (truth, prediction))
            try:
                evaluations.append(evaluate_pixels(true, predicted, tolerance, known=known))
            except NanosegError as error:
                raise NanosegError(f"{name}: {error}") from error
            rows.append({"image": name, "class": kind, **evaluations[-1].figures()})
        tell(Progress(done, len(truths), "images"))
    classes = {kind: pool_pixels(evaluations) for kind, evaluations in found.items()}
    figures = _figures(tuple(classes.values())) | {"tolerance": tolerance, "images": len(truths)}
    figures["classes"] = {str(kind): one.figures() for kind, one in classes.items()}
    if folder is None:
        return JobResult(figures)
    from pandas import DataFrame

    files = {
        "table": folder / "evaluation.csv",
        "metrics": folder / "metrics.json",
        "run_record": folder / "run.yaml",
    }
    write_table(DataFrame(rows), files["table"])
    write_text(files["metrics"], json.dumps(figures, indent=2) + "\n")
    inputs = sorted({file.path for name in truths for file in (truths[name], predictions[name])})
    write_run_record(files["run_record"], run_record(job, inputs, figures=figures, started=started))
    return JobResult(figures, {name: str(path) for name, path in files.items()})


def _figures(classes: Sequence[PixelEvaluation]) -> dict[str, Any]:
    return {name: float(np.mean([getattr(one, name) for one in classes])) for name in MEANS}


def _read(file: LabelFile) -> np.ndarray[Any, Any]:
    if file.coco is not None:
        raise NanosegError(f"{file.path} holds outlines; to compare pixels of classes, give label images.")
    return read_label_array(file.path)
