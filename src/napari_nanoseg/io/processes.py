"""Which process works on a folder, also when it is another one; one that has ended does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.atomic import write_text

CLOCK_S = 2.0
"""How exactly the start of a process is known."""
TRAINING = ".nanoseg-training.json"
"""In the folder of a model while a training writes there: the process, and when it began."""


def is_running(pid: int, started: float) -> bool:
    """Whether the process that began at a time still runs: the system gives numbers of ended processes to new ones."""
    try:
        return abs(psutil.Process(pid).create_time() - started) < CLOCK_S
    except (psutil.Error, ValueError, OverflowError):
        return False


def trainer_of(folder: Path) -> int | None:
    """Number of the process whose training writes into a folder; None when none does."""
    try:
        about = json.loads((folder / TRAINING).read_text(encoding="utf-8"))
        pid, started = int(about["pid"]), float(about["started"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return pid if is_running(pid, started) else None


def need_no_training(folder: Path) -> None:
    """Refuse to touch a model while a training writes into its folder.

    Raises
    ------
    NanosegError
        When one does.
    """
    pid = trainer_of(folder)
    if pid is not None:
        raise NanosegError(
            f"A training writes into {folder} (process {pid}); wait until it has ended, or cancel it first."
        )


@contextmanager
def training_in(folder: Path) -> Iterator[None]:
    """Say that a training of this process writes into a folder, as long as the block runs.

    Raises
    ------
    NanosegError
        When another training does, or the folder cannot be written to.
    """
    need_no_training(folder)
    me = psutil.Process()
    write_text(folder / TRAINING, json.dumps({"pid": me.pid, "started": me.create_time()}))
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / TRAINING).unlink()
