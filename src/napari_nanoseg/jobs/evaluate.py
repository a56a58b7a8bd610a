"""Predicted label images against true ones, paired by stem."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from napari_nanoseg.config.evaluate import EvaluateJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.error_map import overlay_figure
from napari_nanoseg.evaluation.matching import evaluate, pool
from napari_nanoseg.events import Job, JobResult, Notice, Progress, Stage
from napari_nanoseg.io.atomic import write_text
from napari_nanoseg.io.figures import write_figure
from napari_nanoseg.io.images import read_image
from napari_nanoseg.io.label_files import LabelFile, find_images, find_labels, partners
from napari_nanoseg.io.run_record import run_record, write_run_record
from napari_nanoseg.io.tables import write_table


def evaluate_job(job: EvaluateJob) -> Job:
    """Compare every true label image with the prediction of the same stem; two single files need no common stem.

    With `out`, writes ``evaluation.csv`` (a row per image), ``metrics.json`` (the figures of all images together),
    ``overlays/STEM.png`` (over the micrograph where there is one, else over black) and ``run.yaml``. The figures are
    the pooled ones of :class:`~napari_nanoseg.evaluation.matching.Evaluation` and `images`, their number.

    Raises
    ------
    NanosegError
        When a file cannot be read or written, a truth has no prediction, or shapes differ.
    """
    started = datetime.now(UTC)
    truths = find_labels(job.truth)
    predictions = partners(truths, find_labels(job.prediction))
    _need_partners(truths, predictions, job.prediction)
    for name in predictions.keys() - truths.keys():
        yield Notice(f"{predictions[name].path} is not compared: there is no truth called {name}.")
    images = partners(truths, _images(job)) if job.out is not None else {}

    yield Stage("evaluate", f"Comparing {len(truths)} image{'s' if len(truths) > 1 else ''}")
    evaluations = {}
    for done, (name, true_file) in enumerate(truths.items(), start=1):
        truth, prediction = true_file.read(), predictions[name].read()
        try:
            evaluations[name] = evaluate(truth, prediction, job.config.iou_threshold)
            if job.out is not None:
                image = read_image(images[name]) if name in images else np.zeros(truth.shape)
                figure = overlay_figure(image, truth, prediction, evaluations[name])
                write_figure(figure, job.out / "overlays" / f"{name}.png")
        except NanosegError as error:
            raise NanosegError(f"{name}: {error}") from error
        yield Progress(done, len(truths), "images")

    figures = pool(evaluations.values()).figures() | {"images": len(evaluations)}
    if job.out is None:
        return JobResult(figures)

    from pandas import DataFrame

    files = {
        "table": job.out / "evaluation.csv",
        "metrics": job.out / "metrics.json",
        "overlays": job.out / "overlays",
        "run_record": job.out / "run.yaml",
    }
    write_table(DataFrame([{"image": name} | one.figures() for name, one in evaluations.items()]), files["table"])
    write_text(files["metrics"], json.dumps(figures, indent=2) + "\n")
    inputs = {file.path for name in truths for file in (truths[name], predictions[name])}
    inputs |= {images[name] for name in images.keys() & truths.keys()}
    write_run_record(files["run_record"], run_record(job, sorted(inputs), figures=figures, started=started))
    return JobResult(figures, {name: str(path) for name, path in files.items()})


def _need_partners(truths: dict[str, LabelFile], predictions: dict[str, LabelFile], where: Path) -> None:
    missing = [name for name in truths if name not in predictions]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise NanosegError(
            f"{where} has no prediction called {missing[0]}{more}; segment that image too or take its truth away."
        )


def _images(job: EvaluateJob) -> dict[str, Path]:
    """Micrographs by stem: those given, else those of the data set."""
    if job.images:
        return find_images(job.images)
    return find_images([job.truth]) if (job.truth / "images").is_dir() else {}
