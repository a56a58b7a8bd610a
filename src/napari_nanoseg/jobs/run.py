"""Any job, run in this process."""

from __future__ import annotations

from contextlib import ExitStack, closing
from importlib import import_module

from napari_nanoseg.config.jobs import AnyJob
from napari_nanoseg.config.train import TrainJob
from napari_nanoseg.events import Job, JobResult, Progress
from napari_nanoseg.io.processes import training_in


def run(job: AnyJob) -> Job:
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
    steps = getattr(import_module(f"napari_nanoseg.jobs.{job.job}"), f"{job.job}_job")
    running = _announced(job, steps(job)) if isinstance(job, TrainJob) else steps(job)
    result: JobResult = yield from running
    return result


def _announced(job: TrainJob, steps: Job) -> Job:
    """Say in the model's folder that a training writes there: from the first step, or at once where one goes on."""
    with ExitStack() as stack, closing(steps):  # closing writes, too
        announced = job.resume and job.out.is_dir()
        if announced:
            stack.enter_context(training_in(job.out))
        while True:
            try:
                event = next(steps)
            except StopIteration as stop:
                result: JobResult = stop.value
                return result
            if not announced and isinstance(event, Progress) and event.unit == "steps":
                announced = True
                stack.enter_context(training_in(job.out))
            yield event
