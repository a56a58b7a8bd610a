"""One command for each kind of job, made from the job's fields."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from pydantic import ValidationError

from napari_nanoseg.cli.options import Option, option_at, options_of, values_of
from napari_nanoseg.cli.outcome import ending, only_figures, print_result
from napari_nanoseg.config.base import describe
from napari_nanoseg.config.convert import ConvertJob
from napari_nanoseg.config.demo import DemoJob
from napari_nanoseg.config.evaluate import EvaluateJob
from napari_nanoseg.config.generate import GenerateJob
from napari_nanoseg.config.jobs import AnyJob, read_yaml
from napari_nanoseg.config.measure import MeasureJob
from napari_nanoseg.config.segment import SegmentJob
from napari_nanoseg.config.train import TrainJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Job


@dataclass(frozen=True)
class Command:
    """A command: its words, the job it does and which of its fields are positional arguments."""

    words: str
    help: str
    job: type[AnyJob]
    arguments: tuple[str, ...] = ()

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """Its options, made from the fields of the job."""
        return options_of(self.job, self.arguments)

    def parse(self, given: dict[str, Any], config: Path | None = None) -> AnyJob:
        """Make the job from what the user gave, on top of a config or job file.

        Raises
        ------
        NanosegError
            When the file or a value is bad; names the option where there is one.
        """
        base = None if config is None else read_yaml(config)
        if base is not None and not isinstance(base, dict):
            raise NanosegError(f"{config}: this is not a config; write one field per line.")
        if base is not None and "job" not in base:
            base = {"config": base}
        try:
            return self.job.model_validate(values_of(self.options, given, base))
        except ValidationError as error:
            option = option_at(self.options, error.errors()[0]["loc"])
            named = f" (option {option})" if option else ""
            raise NanosegError(f"nanoseg {self.words}: {describe(error).removesuffix('.')}{named}.") from error


COMMANDS = (
    Command(
        "generate cutpaste", "Write synthetic images made by cutting and pasting annotated particles.", GenerateJob
    ),
    Command("train stardist", "Train a StarDist network on a dataset.", TrainJob, ("dataset",)),
    Command("segment", "Find the particles in images with a model.", SegmentJob, ("model", "images")),
    Command("measure", "Measure the particles of label images into a table.", MeasureJob, ("labels",)),
    Command("evaluate", "Compare predictions with the truth.", EvaluateJob, ("truth", "prediction")),
    Command("convert", "Convert a model between formats.", ConvertJob, ("model",)),
    Command("demo", "Do the whole work on the sample micrograph.", DemoJob),
)
_GROUPS = {"generate": "Make synthetic training images.", "train": "Train a network."}


def execute(job: AnyJob) -> Job:
    """Run a job where it runs best: a training in a child process, as from the docks; the rest here."""
    if job.job == "train":
        from napari_nanoseg.jobs.child_process import run_in_child

        return run_in_child(job)
    from napari_nanoseg.jobs.run import run

    return run(job)


def finish(job: AnyJob, as_json: bool) -> None:
    """Run a job, show its progress on stderr and its result on stdout."""
    from rich.console import Console

    from napari_nanoseg.cli.progress import follow

    with only_figures(as_json):
        result = follow(execute(job), Console(stderr=True))
    print_result(result, as_json)


Json = Annotated[bool, typer.Option("--json", help="The last line of stdout is one JSON object with the figures.")]
_COMMON = {
    "config_file": Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Config or job file (YAML); options given here override it."),
    ],
    "save_job": Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the complete job to this YAML file instead of running.")
    ],
    "dry_run": Annotated[bool, typer.Option("--dry-run", help="Print the complete job as YAML instead of running.")],
    "as_json": Json,
}


def add_commands(app: typer.Typer) -> None:
    """Add a command to the app for each kind of job."""
    groups: dict[str, typer.Typer] = {}
    for command in COMMANDS:
        first, _, second = command.words.partition(" ")
        if not second:
            app.command(first, help=command.help)(_function(command))
            continue
        if first not in groups:
            groups[first] = typer.Typer(no_args_is_help=True)
            app.add_typer(groups[first], name=first, help=_GROUPS[first])
        groups[first].command(second, help=command.help)(_function(command))


def _function(command: Command) -> Callable[..., None]:
    """Make the function of a command, with the signature from which typer makes its options."""

    def run(**given: Any) -> None:
        common = {name: given.pop(name) for name in _COMMON}
        with ending():
            job = command.parse(given, common["config_file"])
            if common["save_job"] is not None:
                from napari_nanoseg.io.atomic import write_text

                write_text(common["save_job"], job.to_yaml())
            if common["dry_run"]:
                typer.echo(job.to_yaml(), nl=False)
            if common["save_job"] is None and not common["dry_run"]:
                finish(job, common["as_json"])

    parameters = [parameter for option in command.options for parameter in option.parameters()]
    for name, annotation in _COMMON.items():
        default = False if name in ("dry_run", "as_json") else None
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters.append(inspect.Parameter(name, kind, default=default, annotation=annotation))
    cast(Any, run).__signature__ = inspect.Signature(parameters)
    return run
