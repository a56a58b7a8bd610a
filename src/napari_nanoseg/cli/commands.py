"""One command for each kind of job, made from the job's fields."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from napari_nanoseg.cli.help import HelpAll, epilog, job_command
from napari_nanoseg.cli.options import parameters_of
from napari_nanoseg.cli.outcome import ending, only_figures, print_result
from napari_nanoseg.config.command import COMMANDS, Command
from napari_nanoseg.config.jobs import AnyJob
from napari_nanoseg.events import JobResult

_GROUPS = {
    "generate": "Make synthetic training images.",
    "fit": "Fit a generator of synthetic images to real ones.",
    "train": "Train a network.",
    "sweep": "Train networks with each of several values and pick the best.",
}


def execute(job: AnyJob) -> JobResult:
    """Run a job where it runs best: trainings, also those of a sweep, in child processes; the rest here."""
    if job.job == "train":
        from napari_nanoseg.jobs.child_process import run_in_child

        return run_in_child(job)
    from napari_nanoseg.jobs.run import run_job

    return run_job(job)


def finish(job: AnyJob, as_json: bool, *, quiet: bool = False) -> None:
    """Run a job, show its progress on stderr, unless it is to be `quiet`, and its result on stdout."""
    from rich.console import Console

    from napari_nanoseg.cli.progress import follow

    with only_figures(as_json):
        result = follow(partial(execute, job), Console(stderr=True, quiet=quiet))
    print_result(result, as_json)


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no notices.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show the complete job first, and where an error arose.")
]
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
    "quiet": Quiet,
    "verbose": Verbose,
    "help_all": HelpAll,
}


def add_commands(app: typer.Typer) -> None:
    """Add a command to the app for each kind of job."""
    groups: dict[str, typer.Typer] = {}
    for command in COMMANDS:
        first, _, second = command.words.partition(" ")
        if not second:
            _add(app, first, command)
            continue
        if first not in groups:
            groups[first] = typer.Typer(no_args_is_help=True)
            app.add_typer(groups[first], name=first, help=_GROUPS[first])
        _add(groups[first], second, command)


def _add(app: typer.Typer, word: str, command: Command) -> None:
    options = command.options
    text = epilog(command.examples, options)
    app.command(word, help=command.help, epilog=text, cls=job_command(options))(_function(command))


def _function(command: Command) -> Callable[..., None]:
    """Make the function of a command, with the signature from which typer makes its options."""

    def run(**given: Any) -> None:
        common = {name: given.pop(name) for name in _COMMON}
        with ending(verbose=common["verbose"]):
            job = command.parse(given, common["config_file"])
            if common["verbose"]:
                typer.echo(job.to_yaml(), err=True)
            if common["save_job"] is not None:
                from napari_nanoseg.io.atomic import write_text
                from napari_nanoseg.io.outputs import need_new

                need_new(common["save_job"], overwrite=getattr(job, "overwrite", False))
                write_text(common["save_job"], job.to_yaml())
            if common["dry_run"]:
                typer.echo(job.to_yaml(), nl=False)
            if common["save_job"] is None and not common["dry_run"]:
                finish(job, common["as_json"], quiet=common["quiet"])

    parameters = [parameter for option in command.options for parameter in parameters_of(option)]
    for name, annotation in _COMMON.items():
        default = None if name in ("config_file", "save_job") else False
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters.append(inspect.Parameter(name, kind, default=default, annotation=annotation))
    cast(Any, run).__signature__ = inspect.Signature(parameters)
    return run
