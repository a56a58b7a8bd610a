"""Which process works on a folder, also when it is another one; one that has ended does not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from napari_nanoseg.documents import CONFIGS, read_json
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.atomic import writing
from napari_nanoseg.io.leftovers import hidden_beside, remove

CLOCK_S = 2.0
"""How exactly the start of a process is known."""
TRAINING = ".nanoseg-training.json"
"""In the folder of a model while a training writes there: the process, and when it began."""
WORKING = ".nanoseg-working.json"
"""The same, in the folder of another job that is written step by step."""


def is_running(pid: int, started: float) -> bool:
    """Whether the process that began at a time still runs: the system gives numbers of ended processes to new ones."""
    try:
        return abs(psutil.Process(pid).create_time() - started) < CLOCK_S
    except (psutil.Error, ValueError, OverflowError):
        return False


def trainer_of(folder: Path) -> int | None:
    """Number of the process whose training writes into a folder; None when none does."""
    return _owner(folder / TRAINING)


def need_no_training(folder: Path) -> None:
    """Refuse to touch a model while a training writes into its folder.

    Raises
    ------
    NanosegError
        When one does.
    """
    _need_no_owner(folder / TRAINING, "A training")


def need_nobody(folder: Path) -> None:
    """Refuse to replace a folder while a training or another job writes into it.

    Raises
    ------
    NanosegError
        When one does.
    """
    _need_no_owner(folder / TRAINING, "A training")
    _need_no_owner(folder / WORKING, "Another job")


@contextmanager
def training_in(folder: Path) -> Iterator[None]:
    """Say that a training of this process writes into a folder, as long as the block runs.

    Raises
    ------
    NanosegError
        When another training does, or the folder cannot be written to.
    """
    with _owning(folder / TRAINING, "A training"):
        yield


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Say that a job of this process writes into a folder (made when missing), as long as the block runs.

    Raises
    ------
    NanosegError
        When another job does, or the folder cannot be written to.
    """
    with _owning(folder / WORKING, "Another job"):
        yield


def _owner(path: Path) -> int | None:
    try:
        about = read_json(path, dict, CONFIGS)
        pid, started = int(about["pid"]), float(about["started"])
    except (NanosegError, ValueError, TypeError, KeyError):
        return None
    return pid if is_running(pid, started) else None


def _need_no_owner(path: Path, what: str) -> None:
    pid = _owner(path)
    if pid is not None:
        raise NanosegError(
            f"{what} writes into {path.parent} (process {pid}); wait until it has ended, or cancel it first."
        )


@contextmanager
def _owning(path: Path, what: str) -> Iterator[None]:
    _need_no_owner(path, what)
    me = psutil.Process()
    draft = hidden_beside(path)
    made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_text(json.dumps({"pid": me.pid, "started": me.create_time()}), encoding="utf-8")
            _claim(draft, path, what)
        finally:
            remove(draft)
    try:
        yield
    finally:
        remove(path)
        with suppress(OSError):  # of a job that was refused, nothing stays
            for folder in made:
                folder.rmdir()


def _claim(draft: Path, path: Path, what: str) -> None:
    """Give a file its name, of two processes to one only; what one that has ended left there is replaced."""
    while True:
        try:
            os.link(draft, path)  # unlike renaming, fails where there is a file
        except FileExistsError:
            _need_no_owner(path, what)
            path.unlink(missing_ok=True)
        except OSError:  # disks that know no links, such as FAT
            _need_no_owner(path, what)
            draft.replace(path)
            return
        else:
            return
