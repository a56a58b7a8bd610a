"""Any job, run in this process."""

from __future__ import annotations

from importlib import import_module

from napari_nanoseg.config.jobs import AnyJob
from napari_nanoseg.events import Job, JobResult


def run_steps(job: AnyJob) -> Job:
    """Run a job: the function ``<job>_job`` of the module ``jobs.<job>``, imported when the job starts.

    Parameters
    ----------
    job : AnyJob
        The complete description of the job.

    Returns
    -------
    Job
        Generator of events that returns a :class:`~napari_nanoseg.events.JobResult`; closing it cancels the job.

    Raises
    ------
    NanosegError
        While it runs, for everything the user can mend.
    """
    steps: Job = getattr(import_module(f"napari_nanoseg.jobs.{job.job}"), f"{job.job}_job")(job)
    result: JobResult = yield from steps
    return result
