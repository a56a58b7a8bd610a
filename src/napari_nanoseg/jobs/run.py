"""Any job, run in this process."""

from __future__ import annotations

from importlib import import_module

from napari_nanoseg.config.jobs import AnyJob
from napari_nanoseg.events import JobResult


def run_job(job: AnyJob) -> JobResult:
    """Run a job: the function ``<job>_job`` of the module ``jobs.<job>``, imported when the job starts.

    Parameters
    ----------
    job : AnyJob
        The complete description of the job.

    Returns
    -------
    JobResult

    Raises
    ------
    NanosegError
        For everything the user can mend.
    """
    result: JobResult = getattr(import_module(f"napari_nanoseg.jobs.{job.job}"), f"{job.job}_job")(job)
    return result
