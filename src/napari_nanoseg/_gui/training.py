"""What the Train dock does apart from showing it: names of models, a training from the layers, going on with one."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from napari_nanoseg._gui.scribbling import Scribbles, save_scribbles, taken_for
from napari_nanoseg.config.check import CheckJob
from napari_nanoseg.config.jobs import read_job
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Event, JobResult, Notice, Progress, Stage, listening, tell
from napari_nanoseg.io.atomic import need_writable, writing
from napari_nanoseg.io.datasets import COCO_NAME, write_sample
from napari_nanoseg.io.model_cards import CARD, CHECKPOINT, HISTORY, JOB
from napari_nanoseg.io.model_library import check_name
from napari_nanoseg.jobs.child_process import run_in_child
from napari_nanoseg.samples import Sample

MOST_FINDINGS = 3

_TRAINED: set[Path] = set()
"""Folders of the trainings that run, in all viewers."""


@dataclass(frozen=True)
class Plan:
    """A training that the user asked for.

    Parameters
    ----------
    job : TrainJob
    sample : Sample or Scribbles, optional
        An annotation from the layers, to be written as the job's dataset first.
    threads : int
        Cores it may use; 0: all.
    """

    job: TrainJob
    sample: Sample | Scribbles | None = None
    threads: int = 0


def overlap_advice(config: TrainConfig, dataset: Path | None) -> str | None:
    """Say which network to choose where the masks of a dataset may overlap and the chosen one cannot tell it."""
    if dataset is None or not isinstance(config.engine, StarDistConfig) or not (dataset / COCO_NAME).is_file():
        return None
    return (
        f"The masks of this dataset may overlap ({COCO_NAME}); if particles cross, choose Mask R-CNN under 'Network': "
        "StarDist learns only their upper parts."
    )


def write_annotation(plan: Plan) -> Plan:
    """Write the annotation of a plan, if it comes from layers, where the plan's job reads it; returns the plan."""
    if plan.sample is not None:
        folder = plan.job.dataset
        tell(Stage("write", f"Writing the annotation to {folder}."))
        need_writable(plan.job.out)
        with writing(folder):
            if folder.is_dir():  # of an earlier attempt: there is no model yet
                rmtree(folder)
        if isinstance(plan.sample, Scribbles):
            if isinstance(plan.job.config.engine, UNetConfig):
                tell(Notice(taken_for(plan.job.config.engine)))
            save_scribbles(plan.sample, folder)
        else:
            write_sample(folder, plan.sample)
    return plan


def run_training(plan: Plan) -> JobResult:
    """Write and check the data, then train in a process of its own."""
    with alone(plan.job.out):
        write_annotation(plan)
        if not plan.job.resume:
            check_dataset(plan.job.dataset, plan.job.config)
        tell(Stage("start", "Starting the training process."))
        return run_in_child(plan.job, env=env_of(plan.threads), gently=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """See that nothing else trains into a folder meanwhile.

    Raises
    ------
    NanosegError
        When something does.
    """
    if folder in _TRAINED:
        raise NanosegError(f"A training in {folder} is running already; choose another name for the model.")
    _TRAINED.add(folder)
    try:
        yield
    finally:
        _TRAINED.discard(folder)


def env_of(threads: int) -> dict[str, str]:
    """What tells a child process how many cores it may use; 0: all."""
    return {"OMP_NUM_THREADS": str(threads)} if threads else {}


def check_dataset(dataset: Path, config: TrainConfig) -> None:
    """Say what may spoil the training of a network, the worst first."""
    from napari_nanoseg.jobs.check import check_job
    from napari_nanoseg.jobs.start import is_generated

    if is_generated(dataset):
        return
    engine = config.engine
    masks = {"labels": engine.labels, "classes": engine.classes} if isinstance(engine, UNetConfig) else {}
    with listening(_tell_progress):
        result = check_job(CheckJob.model_validate({"dataset": dataset} | masks))
    findings = [one for one in result.figures["findings"] if one["severity"] in ("problem", "warning")]
    findings.sort(key=lambda one: one["severity"] != "problem")
    for one in findings[:MOST_FINDINGS]:
        where = f"{one['image']}: " if one["image"] and result.figures["images"] > 1 else ""
        tell(Notice(f"{where}{one['sentence']}"))
    if len(findings) > MOST_FINDINGS:
        tell(Notice(f"{len(findings) - MOST_FINDINGS} more findings about the annotation; see the Annotate step."))


def _tell_progress(event: Event) -> None:
    if isinstance(event, Stage | Progress):
        tell(event)


def is_taken(folder: Path) -> bool:
    """Whether there is a model or the beginning of one."""
    return (folder / CARD).exists() or (folder / CHECKPOINT).exists()


def has_model(folder: Path) -> bool:
    """Whether a training left a model there that can be used."""
    return (folder / CARD).is_file()


def free_name(models: Path, wish: str) -> str:
    """A name for a new model: the wish, or the wish with the first free number."""
    name, number = wish, 1
    while is_taken(models / name):
        number += 1
        name = f"{wish} {number}"
    return name


def model_folder(models: Path, name: str) -> Path:
    """Folder of a new model.

    Raises
    ------
    NanosegError
        When the name is none, or taken.
    """
    name = name.strip()
    check_name(name)
    if is_taken(models / name):
        raise NanosegError(f"There is already a model '{name}'; choose another name, or resume its training.")
    return models / name


def resumable(folder: Path | None) -> TrainJob | None:
    """The job that goes on with the training in a folder; None when there is nothing to go on with.

    The folder may have been moved since, with the annotation in it.
    """
    if folder is None or not (folder / CHECKPOINT).is_file():
        return None
    try:
        job = read_job(folder / JOB)
    except NanosegError:
        return None
    if not isinstance(job, TrainJob):
        return None
    inside = job.dataset.is_relative_to(job.out)
    dataset = folder / job.dataset.relative_to(job.out) if inside else job.dataset
    return job.model_copy(update={"resume": True, "out": folder, "dataset": dataset})


def steps_done(folder: Path) -> int:
    """Steps at the last epoch of a training; 0 before its end."""
    try:
        with open(folder / HISTORY, encoding="utf-8", newline="") as file:
            return max((int(row["step"]) for row in csv.DictReader(file)), default=0)
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def steps_wanted(job: TrainJob) -> int:
    """Steps that a training is to have."""
    return job.config.filled(fine_tuning=job.start_from is not None).steps


def summary(result: JobResult) -> str:
    """Say in a sentence how a training went."""
    figures = result.figures
    text = f"Trained {figures['steps']:.0f} steps in {figures['training_s']:.0f} s"
    text += f"; validation loss {figures['validation_loss']:.3g}"
    if "validation_accuracy" in figures:
        text += f", accuracy {figures['validation_accuracy']:.2f}"
    if "validation_f1" in figures:
        text += f", F1 {figures['validation_f1']:.2f}"
    return f"{text}. The model is in {result.files['model']}."
