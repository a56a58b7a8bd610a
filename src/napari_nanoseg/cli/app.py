"""The app: the commands made from jobs, and those that are not jobs."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from napari_nanoseg.cli.commands import Json, Quiet, Verbose, add_commands, finish
from napari_nanoseg.cli.models import models
from napari_nanoseg.cli.outcome import ending, print_json
from napari_nanoseg.config.jobs import read_job
from napari_nanoseg.events import JobResult

app = typer.Typer(
    help="From a few outlined particles in a micrograph to a trained network and a calibrated table.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from napari_nanoseg import __version__

        typer.echo(f"nanoseg {__version__}")
        raise typer.Exit


@app.callback()
def _app(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


add_commands(app)
app.add_typer(models, name="models", help="List, show, import, export, rename and remove models.")


@app.command("run")
def run_job(
    job_file: Annotated[Path, typer.Argument(metavar="JOB.yaml", help="Job file, as --save-job writes it.")],
    events: Annotated[
        bool,
        typer.Option(
            "--events",
            help="Speak events as JSON lines on stdout and stop at a line 'cancel' or the end of stdin, for a parent "
            "process.",
        ),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run the job that a YAML file describes."""
    if events:
        from napari_nanoseg.jobs.child_events import speak

        status = speak(partial(_from_file, job_file))
        sys.stderr.flush()
        os._exit(status)  # all is written; the tear-down of torch would take 0.7 s, for which the parent waits
    with ending(verbose=verbose):
        finish(read_job(job_file), as_json, quiet=quiet)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Look at Python, torch, GPU, Qt, napari, memory and disk, and say what to do about each."""
    from napari_nanoseg.jobs.doctor import examine

    with ending():
        findings = examine()
        if as_json:
            print_json({"findings": [asdict(finding) for finding in findings]})
            return
        for finding in findings:
            advice = f" -> {finding.advice}" if finding.advice else ""
            typer.echo(f"{finding.state:8}{finding.name}: {finding.found}{advice}")


def _from_file(job_file: Path) -> JobResult:
    """Read a job and run it: a bad file is one of the job's errors."""
    from napari_nanoseg.jobs.run import run_job

    return run_job(read_job(job_file))
