"""Write images of the cut-and-paste generator as a data set."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from napari_nanoseg.config.generate import GenerateJob
from napari_nanoseg.events import JobResult, Stage, tell
from napari_nanoseg.generators.cutpaste import CutPaste
from napari_nanoseg.io.datasets import find_dataset, open_dataset
from napari_nanoseg.jobs.synthesis import SampleWriter, write_dataset


def generate_job(job: GenerateJob) -> JobResult:
    """Cut particles from the source and write synthetic images of them; see :func:`write_dataset`.

    Raises
    ------
    NanosegError
        When the sources cannot be used (see :class:`CutPaste`), and as in :func:`write_dataset`.
    """
    started = datetime.now(UTC)
    tell(Stage("prepare", f"Cutting particles from {job.source}."))
    find_dataset(job.source)

    def prepare(out: Path) -> SampleWriter:
        return SampleWriter(CutPaste(job.config, list(open_dataset(job.source))), out)

    return write_dataset(job, [job.source], prepare, started)
