"""Train once for every combination of values, and pick the best on whole validation images."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nanoseg.config.jobs import read_job
from napari_nanoseg.config.options import text_of
from napari_nanoseg.config.paths import AUTO, COCO, absolute
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.config.sweep import SweepJob, Trial
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.documents import read_yaml
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.matching import evaluate, pool
from napari_nanoseg.evaluation.tolerant import PixelEvaluation, evaluate_pixels, pool_pixels
from napari_nanoseg.events import Event, JobResult, Notice, Progress, Stage, listening, tell
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.atomic import atomic_folder, need_writable, write_text
from napari_nanoseg.io.class_maps import ClassMaps, open_class_maps
from napari_nanoseg.io.datasets import Dataset, open_dataset
from napari_nanoseg.io.model_cards import CARD, CHECKPOINT, JOB, JUDGED, RUN
from napari_nanoseg.io.processes import working_in
from napari_nanoseg.io.run_record import run_record, write_run_record
from napari_nanoseg.io.tables import write_table
from napari_nanoseg.jobs.child_process import run_in_child
from napari_nanoseg.jobs.failures import explain
from napari_nanoseg.jobs.replacing import in_place, moved, not_of_a_model
from napari_nanoseg.jobs.start import automatic_start, reachable, settled
from napari_nanoseg.jobs.train import held_out, need_images
from napari_nanoseg.samples import ClassSample, Sample

if TYPE_CHECKING:
    from napari_nanoseg.engines.base import Model

TABLE, BEST = "sweep.csv", "best"
FIGURES = ("f1", "precision", "recall", "panoptic_quality", "mean_matched_iou")
PIXEL_FIGURES = ("f1", "precision", "recall", "iou")
"""Of every model on the validation images: the first decides, the fourth where that is equal. Those of particles, and
those of pixels of classes, 2 px beside each other at most."""
TRAINING_FIGURES = ("validation_loss", "steps", "training_s")
MAY_DIFFER = ("device", "workers", "mixed_precision")
"""What may be another when a sweep goes on."""


def sweep_job(job: SweepJob) -> JobResult:
    """Train once for every combination of values; leaving it early keeps all that can be resumed.

    Every training has a process and a folder of its own, whose name tells its values. Then its model segments whole
    validation images, the same ones for all, with its own thresholds; the highest F1 at an IoU of 0.5 wins, where that
    is equal the highest panoptic quality, then the first. A training that fails is a row of the table that says why.

    Writes ``sweep.csv`` (a row per training, from the first one on), ``best/`` (a copy of the best model's folder),
    ``job.yaml`` and ``run.yaml``. The figures are those of the best, its name (``best``), the numbers of ``trainings``,
    of those that ``failed`` and of ``validation_images``, and ``table``, the rows.

    Raises
    ------
    NanosegError
        When there is nothing to validate on, the folder holds another sweep, or every training failed.
    """
    need_writable(job.out)
    begun = (job.out / JOB).exists() or any(trial.job.out.exists() for trial in job.trials())
    occupied = "already holds a sweep or a model" if begun else None
    read = [job.dataset, job.validation, job.start_from]
    with in_place(job, occupied=occupied, strangers=_strangers, inputs=read) as placed:
        result = _swept(placed)
    return moved(result, placed.out, job.out)


def _swept(job: SweepJob) -> JobResult:
    """Do the sweep in the folder of the job."""
    started = datetime.now(UTC)
    tell(Stage("read", f"Reading {job.dataset}."))
    data, numbers = _validation(job)
    trials = _settled(job)
    need_writable(job.out)
    _need_same(job, trials)
    with working_in(job.out):
        return _trained(job, trials, data, numbers, started)


def _trained(
    job: SweepJob, trials: Sequence[Trial], data: Dataset | ClassMaps, numbers: Sequence[int], started: datetime
) -> JobResult:
    """Do the trainings and write what came of them."""
    write_text(job.out / JOB, absolute(job).model_copy(update={"resume": False}).to_yaml())
    rows: list[dict[str, Any]] = []
    said: set[str] = set()
    for number, trial in enumerate(trials, 1):
        lead = f"Training {number} of {len(trials)}"
        tell(Stage("training", f"{lead}: {_words(trial)}."))
        rows.append(_row(trial, data, numbers, lead, said))
        _write(job.out / TABLE, rows)
        tell(Progress(number, len(trials), "trainings"))
    judged = [row for row in rows if row["problem"] is None]
    if not judged:
        raise NanosegError(f"All {len(rows)} trainings failed, the first with: {rows[0]['problem']}")
    names = figures_of(job.config)
    best = max(judged, key=lambda row: (row[names[0]], row[names[3]]))
    tell(Stage("finish", f"The best is {best['folder']}."))
    if best["f1"] == 0:
        tell(Notice("No model finds anything right in the validation images yet; train longer, or check the data."))
    _copy_folder(job.out / best["folder"], job.out / BEST)
    figures = {"best": best["folder"], **{name: best[name] for name in names}, "trainings": len(rows)}
    figures |= {"failed": len(rows) - len(judged), "validation_images": len(numbers), "table": rows}
    start = trials[0].job.start_from
    inputs = [path for path in (job.dataset, job.validation, start) if path is not None and path != COCO]
    record = run_record(job, inputs, seed=job.config.seed, device=job.config.device, figures=figures, started=started)
    write_run_record(job.out / RUN, record)
    files = {"model": job.out / BEST, "table": job.out / TABLE, "run": job.out / RUN}
    return JobResult(figures, {name: str(path) for name, path in files.items()})


def figures_of(config: TrainConfig) -> tuple[str, ...]:
    """Names of the figures that models of such a training are judged by."""
    return PIXEL_FIGURES if isinstance(config.engine, UNetConfig) else FIGURES


def _validation(job: SweepJob) -> tuple[Dataset | ClassMaps, Sequence[int]]:
    """The dataset and the numbers of its images that all models are judged on; sees that there are enough others."""
    network = job.config.engine
    opened = partial(open_class_maps, network=network) if isinstance(network, UNetConfig) else open_dataset
    dataset = opened(job.dataset)
    chosen: Sequence[int] = sorted(held_out(len(dataset), job.config))
    there = len(dataset) - len(chosen)
    data = dataset
    if job.validation is not None:
        data, there = opened(job.validation), len(dataset)
        chosen = range(len(data))
    if not chosen:
        reason = f"{job.dataset} has one image" if len(dataset) == 1 else "the validation_fraction is 0"
        raise NanosegError(
            f"A sweep picks the best on images that are not trained on, but {reason}; annotate a second image, or give "
            "a dataset for validation."
        )
    for trial in job.trials():
        if trial.job.config.images is not None:
            need_images(trial.job.config.images, there)
    return data, chosen


def _settled(job: SweepJob) -> list[Trial]:
    """The trainings as they will be done, all from the same start: else the starts would be compared."""
    trials = job.trials()
    if job.start_from == AUTO:
        starts = {automatic_start(trial.job.config) for trial in trials}
        start = starts.pop() if len(starts) == 1 else None
        if starts:
            tell(Notice("Not every one of these networks can start from a model, so all trainings start from scratch."))
        start = reachable(trials[0].job, start)
        trials = tuple(replace(one, job=one.job.model_copy(update={"start_from": start})) for one in trials)
    return [replace(trial, job=settled(trial.job)) for trial in trials]


def _need_same(job: SweepJob, trials: Sequence[Trial]) -> None:
    """Refuse to go on with another sweep."""
    if (job.out / JOB).is_file() and not isinstance(read_job(job.out / JOB), SweepJob):
        raise NanosegError(f"{job.out} does not hold a sweep; choose the folder of one to resume.")
    for trial in trials:
        path = trial.job.out / JOB
        if not path.is_file():
            continue
        before, now = _compared(read_job(path)), _compared(trial.job)
        changed = sorted(name for name in now if now[name] != before.get(name))
        if changed:
            raise NanosegError(
                f"The training in {trial.job.out} was done with another value of {', '.join(changed)}; resume the "
                "sweep with the same settings, or start one in another folder."
            )


def _strangers(folder: Path) -> Iterator[Path]:
    """Find what in a folder is no part of a sweep."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and (path.name == BEST or (path / JOB).is_file()):
            yield from not_of_a_model(path)
        elif path.is_dir() or path.name not in (TABLE, JOB, RUN):
            yield path


def _compared(job: Any) -> dict[str, Any]:
    """What must be the same for a training to count as this one."""
    if not isinstance(job, TrainJob):
        return {}
    job = absolute(job)
    config: dict[str, Any] = job.config.model_dump(mode="json", exclude=set(MAY_DIFFER))
    return config | {"dataset": str(job.dataset), "validation": str(job.validation), "from": str(job.start_from)}


def _words(trial: Trial) -> str:
    return ", ".join(f"{name} {text_of(value)}" for name, value in trial.values.items())


def _row(trial: Trial, data: Dataset | ClassMaps, numbers: Sequence[int], lead: str, said: set[str]) -> dict[str, Any]:
    """Train and judge, as far as that is not done; what is wrong with it becomes a part of the row."""
    row: dict[str, Any] = dict(trial.values) | dict.fromkeys((*figures_of(trial.job.config), *TRAINING_FIGURES))
    row |= {"folder": trial.name, "problem": None}
    folder = trial.job.out
    try:
        if not (folder / RUN).is_file():
            begun = (folder / CARD).is_file() or (folder / CHECKPOINT).is_file()
            with listening(partial(_tell_of_training, lead, said)):
                run_in_child(trial.job.model_copy(update={"resume": begun}))
        trained = _figures(folder / RUN)
        if not (folder / JUDGED).is_file():
            tell(Stage("judge", f"{lead}: judging it on {len(numbers)} validation images."))
            found = _judged(folder, data, numbers, trial.job.config.device)
            write_run_record(folder / JUDGED, {"figures": found})
        judged = _figures(folder / JUDGED)
        row |= {name: judged[name] for name in figures_of(trial.job.config)}
        row |= {name: trained.get(name) for name in TRAINING_FIGURES}
    except Exception as error:
        problem = explain(error)
        if problem is None:
            raise
        row["problem"] = problem
        tell(Notice(f"{lead} failed: {problem}"))
    return row


def _figures(path: Path) -> dict[str, Any]:
    """The figures in a record of a training or of how it was judged."""
    record = read_yaml(path)
    figures: Any = record.get("figures") if isinstance(record, dict) else None
    if not isinstance(figures, dict):
        raise NanosegError(f"{path} is damaged; delete the folder {path.parent} and resume the sweep.")
    return dict(figures)


def _tell_of_training(lead: str, said: set[str], event: Event) -> None:
    """Tell an event of a training: its stages say which it is, and what all trainings say is said once."""
    if isinstance(event, Stage):
        event = Stage(event.name, f"{lead}: {event.message}")
    elif isinstance(event, Notice):
        if event.message in said:
            return
        said.add(event.message)
    tell(event)


def _judged(folder: Path, data: Dataset | ClassMaps, numbers: Sequence[int], device: str) -> dict[str, Any]:
    """Segment the validation images as a user would, and compare all particles, or pixels, with the truth."""
    from napari_nanoseg.engines.library import load_model

    model: Model = load_model(folder)
    evaluations: list[Any] = []
    for done, number in enumerate(numbers, 1):
        sample = data[number]
        found = model.segment(sample.image, SegmentConfig(device=device))
        compared = (
            evaluate(sample.instances, found, known=sample.known)
            if isinstance(sample, Sample)
            else _of_classes(sample, found)
        )
        evaluations.append(compared)
        tell(Progress(done, len(numbers), "images"))
    return pool(evaluations).figures() if isinstance(data, Dataset) else _mean_of_classes(evaluations)


def _of_classes(sample: ClassSample, found: Instances) -> dict[int, PixelEvaluation]:
    """Compare each class that is in truth or prediction with the truth, where that is known."""
    values, known = found.to_labels(), sample.classes >= 0
    there = {*np.unique(sample.classes[known]).tolist(), *found.ids.tolist()} - {0}
    return {kind: evaluate_pixels(sample.classes == kind, values == kind, known=known) for kind in sorted(there)}


def _mean_of_classes(images: Sequence[dict[int, PixelEvaluation]]) -> dict[str, float]:
    """Figures of all images, the mean of the classes."""
    kinds = {kind for image in images for kind in image}
    together = [pool_pixels(image[kind] for image in images if kind in image) for kind in kinds]
    return {name: float(np.mean([getattr(one, name) for one in together] or [0.0])) for name in PIXEL_FIGURES}


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    from pandas import DataFrame

    plain = [
        {name: text_of(value) if isinstance(value, tuple) else value for name, value in row.items()} for row in rows
    ]
    write_table(DataFrame(plain), path)


def _copy_folder(source: Path, target: Path) -> None:
    """Copy a model; one that was there is replaced when the copy is whole."""
    with atomic_folder(target, replace=True) as temporary:
        for file in source.iterdir():
            if file.is_file() and not file.name.startswith("."):
                shutil.copy2(file, temporary / file.name)
