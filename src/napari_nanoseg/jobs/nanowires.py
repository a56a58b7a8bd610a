"""Write images of the nanowire generator as a data set."""

from __future__ import annotations

from datetime import UTC, datetime

from napari_nanoseg.config.nanowires import NanowiresJob
from napari_nanoseg.events import JobResult, Stage, tell
from napari_nanoseg.generators.nanowires.generator import Nanowires
from napari_nanoseg.jobs.synthesis import SampleWriter, write_dataset


def nanowires_job(job: NanowiresJob) -> JobResult:
    """Write images of nanowires with their masks, and ``truth/NAME.csv`` with true sizes; see :func:`write_dataset`.

    Raises
    ------
    NanosegError
        When the objects cannot be drawn (see :class:`Nanowires`), and as in :func:`write_dataset`.
    """
    tell(Stage("prepare", "Trying whether the objects fit into the space."))
    return write_dataset(job, [], lambda out: SampleWriter(Nanowires(job.config), out), datetime.now(UTC))
