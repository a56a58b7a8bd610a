"""How a command ends: its figures on stdout, one clear sentence on stderr, its exit status."""

from __future__ import annotations

import json
import math
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import typer

from napari_nanoseg.events import JobResult
from napari_nanoseg.jobs.failures import JobCrashError, bug, explain

CANCELLED, BAD_INPUT, CRASH = 130, 2, 1
BROKEN_PIPE = 141
"""What a shell says of a program that the signal of a broken pipe ended."""


@contextmanager
def ending(*, verbose: bool = False) -> Iterator[None]:
    """Turn every error of the block into a sentence on stderr and an exit status.

    With `verbose`, the traceback comes before the sentence.

    Raises
    ------
    typer.Exit
        With 2 for what the user can mend, 1 for a bug (the traceback goes to a log file), 130 after Ctrl-C, 141 when
        nobody reads the output any more.
    """
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        typer.echo("Cancelled; what was finished is kept.", err=True)
        raise typer.Exit(CANCELLED) from None
    except BrokenPipeError:
        # who reads the output has had enough, as "head" has: nothing more can be said, also not when Python ends
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        raise typer.Exit(BROKEN_PIPE) from None
    except Exception as error:
        if verbose:
            typer.echo(traceback.format_exc(), err=True)
        sentence = explain(error) or str(bug(f"{type(error).__name__}: {error}", traceback.format_exc()))
        typer.echo(f"Error: {sentence}", err=True)
        crashed = isinstance(error, JobCrashError) or explain(error) is None
        raise typer.Exit(CRASH if crashed else BAD_INPUT) from None


@contextmanager
def only_figures(wanted: bool) -> Iterator[None]:
    """With `wanted`, what is printed in the block goes to stderr, so that stdout has nothing but the figures."""
    if not wanted:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def print_result(result: JobResult, as_json: bool) -> None:
    """Print what a job leaves: one JSON object (figures, and the paths under ``files``), or lines for people.

    Lists of mappings are for programs only: people have read their sentences as notices. A mapping is a line; mappings
    of mappings are tables, a line for each row.
    """
    if as_json:
        print_json({**result.figures, "files": dict(result.files)})
        return
    for name, value in result.figures.items():
        if isinstance(value, dict):
            tables = {f"{name} of {row}": cells for row, cells in value.items() if isinstance(cells, dict)}
            for what, cells in (tables or {name: value}).items():
                told = (f"{key} {_shown(cell)}" for key, cell in cells.items() if cell != "")
                typer.echo(f"{what}: {', '.join(told)}")
        elif not isinstance(value, list):
            typer.echo(f"{name}: {_shown(value)}")
    for name, path in result.files.items():
        typer.echo(f"{name}: {path}")


def print_json(values: Any) -> None:
    """Print one line of strict JSON; numbers that JSON lacks (NaN, infinity) become null."""
    typer.echo(json.dumps(_plain(values), allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def _shown(value: Any) -> str:
    if value is None:
        return "not known"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
