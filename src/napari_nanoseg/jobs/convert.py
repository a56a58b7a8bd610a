"""Convert a model between formats."""

from __future__ import annotations

from napari_nanoseg.config.convert import ConvertJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Job, JobResult, Notice, Stage
from napari_nanoseg.io.model_library import find_model
from napari_nanoseg.io.run_record import run_record, write_run_record


def convert_job(job: ConvertJob) -> Job:
    """Load a model of any known format and write it in another."""
    from napari_nanoseg.engines.library import load_model
    from napari_nanoseg.engines.stardist.model import StarDistModel

    job = job.model_copy(update={"model": find_model(job.model)})
    if job.out.exists() and (not job.out.is_dir() or any(job.out.iterdir())):
        raise NanosegError(f"{job.out} is not an empty folder; choose another.")
    yield Stage("convert", f"Converting {job.model}.")
    model = load_model(job.model)
    if job.to == "nanoseg":
        model.save(job.out)
    elif isinstance(model, StarDistModel):
        if model.card.working_diameter is not None:
            yield Notice(
                "The original StarDist does not rescale images: rescale them so that particles have a diameter of "
                f"{model.card.working_diameter:g} px before you use the converted model there."
            )
        model.to_keras(job.out)
    else:
        raise NanosegError(f"{job.model} is not a StarDist model; it cannot be converted to that format.")
    write_run_record(job.out / "run.yaml", run_record(job, [job.model]))
    return JobResult({"format": job.to}, {"model": str(job.out)})
