"""Results that are whole folders: with `overwrite`, the new one is made beside the old one, which it then replaces."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from napari_nanoseg.config.jobs import read_job
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult
from napari_nanoseg.io.atomic import need_writable, replace_folder, write_text
from napari_nanoseg.io.leftovers import LEFT_BY_SYSTEMS, PREFIX, being_made, remove
from napari_nanoseg.io.model_cards import JOB, MODEL_FILES
from napari_nanoseg.io.outputs import is_inside
from napari_nanoseg.io.processes import need_nobody

PART = ".part"
"""Suffix of the folder in which a job works that will replace another."""
_Job = TypeVar("_Job", bound=Any)
Strangers = Callable[[Path], Iterable[Path]]
"""Finds what in a folder was not written by a kind of job."""


@contextmanager
def in_place(job: _Job, *, occupied: str | None, strangers: Strangers, inputs: Iterable[Path | None]) -> Iterator[_Job]:
    """Give the job with the folder to work in, and let that take the place of the old results at the end.

    It is the job's own folder, unless that has results that the job overwrites: then it is ``NAME.part`` beside it,
    where also a job that was cancelled or killed leaves what it has. With `resume`, the job goes on there.

    Parameters
    ----------
    job : TrainJob, SweepJob or a job that generates images
    occupied : str, optional
        What its folder has already, if anything, such as "already holds a model".
    strangers : callable
    inputs : iterable of Path or None
        What the job reads.

    Raises
    ------
    NanosegError
        When the folder cannot be written, has results that are not to be overwritten or something else, or holds an
        input.
    """
    need_writable(job.out)
    part, resume = Path(f"{os.path.abspath(job.out)}{PART}"), getattr(job, "resume", False)
    begun = job.overwrite and part.exists()  # what was there may be gone: killed between the last two renamings
    if not begun and (occupied is None or resume):
        yield job
        return
    if not job.overwrite:
        going_on = "resume it (--resume), " if hasattr(job, "resume") else ""
        raise NanosegError(
            f"{job.out} {occupied}; {going_on}choose another folder, or replace what it holds (--overwrite)."
        )
    for path in inputs:
        if path is not None and is_inside(path, job.out):
            raise NanosegError(f"{path} is read by this job, which would replace {job.out}; choose another folder.")
    for folder in (job.out, part):
        if folder.exists():
            need_nobody(folder)
            need_no_strangers(folder, strangers)
    if not resume:
        remove(part)
    being_made[part] = job.out
    try:
        yield job.model_copy(update={"out": part, "overwrite": False})
    finally:
        del being_made[part]
    for path in part.rglob(JOB):
        made: Any = read_job(path)
        place = job.out.absolute() / made.out.relative_to(part)
        write_text(path, made.model_copy(update={"out": place}).to_yaml())
    replace_folder(part, job.out)


def moved(result: JobResult, made: Path, place: Path) -> JobResult:
    """The result of a job that worked in one folder, which has the name of another now."""
    files = {name: str(place / Path(path).relative_to(made)) for name, path in result.files.items()}
    return replace(result, files=files)


def need_no_strangers(folder: Path, strangers: Strangers) -> None:
    """Refuse to replace a folder with anything in it that NanoSeg has not written.

    Raises
    ------
    NanosegError
        For the first such file or folder.
    """
    if not folder.is_dir():
        raise NanosegError(f"{folder} is not a folder; choose another.")
    for path in strangers(folder):
        if not path.name.startswith(PREFIX) and path.name.lower() not in LEFT_BY_SYSTEMS:
            raise NanosegError(
                f"{path} was not written by this kind of job, or changed since; move it, or choose another folder."
            )


def not_of_a_model(folder: Path) -> Iterator[Path]:
    """Find what in a folder is no part of a trained model."""
    return (path for path in sorted(folder.iterdir()) if path.is_dir() or path.name not in MODEL_FILES)
