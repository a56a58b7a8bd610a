"""All jobs, told apart by their field `job`, and the YAML files that hold them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, get_args

from napari_nanoseg.config.cathode import CathodeJob
from napari_nanoseg.config.check import CheckJob
from napari_nanoseg.config.convert import ConvertJob
from napari_nanoseg.config.cracks import CracksJob
from napari_nanoseg.config.demo import DemoJob
from napari_nanoseg.config.density import DensityJob
from napari_nanoseg.config.evaluate import EvaluateJob
from napari_nanoseg.config.generate import GenerateJob
from napari_nanoseg.config.measure import MeasureJob
from napari_nanoseg.config.nanowires import FitNanowiresJob, NanowiresJob
from napari_nanoseg.config.segment import SegmentJob
from napari_nanoseg.config.sweep import SweepJob
from napari_nanoseg.config.train import TrainJob
from napari_nanoseg.documents import read_yaml
from napari_nanoseg.errors import NanosegError, need

AnyJob = (
    GenerateJob
    | NanowiresJob
    | CathodeJob
    | FitNanowiresJob
    | TrainJob
    | SweepJob
    | SegmentJob
    | MeasureJob
    | EvaluateJob
    | DensityJob
    | CracksJob
    | ConvertJob
    | CheckJob
    | DemoJob
)
JOBS: dict[str, type[AnyJob]] = {kind.model_fields["job"].default: kind for kind in get_args(AnyJob)}
"""Job classes by the value of their field `job`."""
GENERATING = {kind.model_fields["job"].default for kind in (GenerateJob, NanowiresJob, CathodeJob)}
"""Jobs that write datasets of synthetic images."""


def parse_job(values: Any, where: str = "job") -> AnyJob:
    """Validate the plain values of a job of any kind.

    Raises
    ------
    NanosegError
        In one sentence that names `where` and the first wrong field.
    """
    if not isinstance(values, dict):
        raise NanosegError(f"{where}: this is not a job; write one field per line, beginning with 'job: segment'.")
    kind = JOBS.get(str(values.get("job")))
    if kind is None:
        raise NanosegError(
            f"{where}: the field 'job' is {values.get('job')!r}; it must be one of {', '.join(sorted(JOBS))}."
        )
    return kind.parse(values, where)


def read_job(path: str | Path) -> AnyJob:
    """Read a job file; relative paths in it count from the working directory, as in a typed command.

    Raises
    ------
    NanosegError
        When the file cannot be read or does not hold a valid job.

    Examples
    --------
    >>> from pathlib import Path
    >>> import napari_nanoseg as ns
    >>> job = ns.SegmentJob(model="starter", images=["a.tif"], out="labels")
    >>> written = Path("job.yaml").write_text(job.to_yaml(), encoding="utf-8")
    >>> ns.read_job("job.yaml") == job
    True
    """
    need(path, (str, PathLike), "read_job: 'path'", "a path")
    return parse_job(read_yaml(path), str(path))
