"""What a sweep in the Train dock does apart from showing it: its job, its work in a thread, its table for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from napari_nanoseg._gui.training import alone, check_dataset, env_of, model_folder
from napari_nanoseg.config.sweep import SweepJob
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.figures import FIGURES, PIXELS
from napari_nanoseg.events import JobResult, Stage, tell
from napari_nanoseg.io.model_cards import JOB
from napari_nanoseg.io.model_library import import_model
from napari_nanoseg.io.tables import read_table
from napari_nanoseg.jobs import sweep
from napari_nanoseg.jobs.child_process import run_in_child

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Swept:
    """What a sweep from the dock gave: its result, and the best model as one of the library."""

    result: JobResult
    model: Path

    def __str__(self) -> str:
        figures = self.result.figures
        images = f"{figures['validation_images']} validation image{'s' if figures['validation_images'] > 1 else ''}"
        failed = f"; {figures['failed']} failed" if figures["failed"] else ""
        return (
            f"The best of {figures['trainings']} trainings is {figures['best']}, with an F1 of {figures['f1']:.3f} on "
            f"{images}{failed}. The model is in {self.model}."
        )


def parse_vary(config: TrainConfig, start_from: Path | None, vary: Any, labels: Mapping[str, str]) -> SweepJob:
    """See what a sweep would do; it has no folders yet.

    Raises
    ------
    NanosegError
        For the first wrong field or value, in the words of the labels.
    """
    try:
        values = {"config": config, "start_from": start_from, "vary": vary, "dataset": Path(), "out": Path()}
        return SweepJob.model_validate(values)
    except ValidationError as error:
        text = error.errors()[0]["msg"].removeprefix("Value error, ")
        for name, label in labels.items():
            text = text.replace(f"'{name}'", f"'{label}'")
        raise NanosegError(f"{text[:1].upper()}{text[1:]}.") from error


def sweep_folder(model: Path) -> Path:
    """Where the trainings of a sweep lie whose best becomes the model."""
    return model.with_name(f"{model.name} sweep")


def placed(job: SweepJob, dataset: Path, models: Path, name: str) -> SweepJob:
    """The sweep with its folders; one of this name that was begun goes on.

    Raises
    ------
    NanosegError
        When the name of the model is none, or taken.
    """
    out = sweep_folder(model_folder(models, name))
    return job.model_copy(update={"dataset": dataset, "out": out, "resume": (out / JOB).is_file()})


def run_sweep(job: SweepJob, model: Path, threads: int) -> Swept:
    """Check the data, train and judge in processes of their own, and take the best into the library."""
    with alone(job.out):
        if not job.resume:
            check_dataset(job.dataset, job.config)
        tell(Stage("start", "Starting the sweep."))
        result = run_in_child(job, env=env_of(threads), gently=True)
        tell(Stage("import", f"Copying the best model to {model}."))
        return Swept(result, import_model(Path(result.files["model"]), model.parent, model.name))


def table_of(job: SweepJob, labels: Mapping[str, str]) -> DataFrame | None:
    """The trainings that are done so far, with headings for people; None before the first."""
    path = job.out / sweep.TABLE
    if not path.is_file():
        return None
    table = read_table(path)
    titles = {name: labels.get(name, name).rpartition(": ")[2] for name in job.vary}
    titles |= {name: (FIGURES | PIXELS)[name].title for name in sweep.figures_of(job.config)}
    titles |= {"validation_loss": "Validation loss", "training_s": "Seconds", "problem": "Problem"}
    shown = [name for name in titles if name in table and not (name == "problem" and table[name].isna().all())]
    return table[shown].rename(columns=titles)
