"""Convert a model between formats."""

from __future__ import annotations

from contextlib import nullcontext

from napari_nanoseg.config.convert import ConvertJob
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult, Notice, Stage, tell
from napari_nanoseg.io.atomic import atomic_folder
from napari_nanoseg.io.leftovers import is_empty
from napari_nanoseg.io.model_library import find_model
from napari_nanoseg.io.run_record import run_record, write_run_record


def convert_job(job: ConvertJob) -> JobResult:
    """Load a model of any known format and write it in another."""
    from napari_nanoseg.engines.library import load_model
    from napari_nanoseg.engines.maskrcnn.model import MaskRCNNModel
    from napari_nanoseg.engines.stardist.model import StarDistModel

    job = job.model_copy(update={"model": find_model(job.model)})
    if job.out.exists() and not (job.out.is_dir() and is_empty(job.out)):
        raise NanosegError(f"{job.out} is not an empty folder; choose another.")
    tell(Stage("convert", f"Converting {job.model}."))
    model = load_model(job.model)
    # a folder that is there may be the root of a disk, which cannot be renamed
    with nullcontext(job.out) if job.out.is_dir() else atomic_folder(job.out) as folder:
        if job.to == "nanoseg":
            model.save(folder)
        elif job.to == "stardist" and isinstance(model, StarDistModel):
            _advise(model.card, "The original StarDist")
            model.to_keras(folder)
        elif job.to == "detectron2" and isinstance(model, MaskRCNNModel):
            _advise(model.card, "Detectron2")
            if not model.card.keep_8_bit:
                low, high = model.card.percentiles
                tell(
                    Notice(
                        f"Detectron2 takes grey values as they are: bring the percentiles {low:g} and {high:g} of an "
                        "image to 0 and 255 before you use the converted model there."
                    )
                )
            model.to_detectron2(folder)
        else:
            kind = "StarDist" if job.to == "stardist" else "Mask R-CNN"
            raise NanosegError(f"{job.model} is not a {kind} model; it cannot be converted to that format.")
        write_run_record(folder / "run.yaml", run_record(job, [job.model]))
    return JobResult({"format": job.to}, {"model": str(job.out)})


def _advise(card: ModelCard, original: str) -> None:
    """Say what the user must do that the original does not."""
    if card.working_diameter is not None:
        tell(
            Notice(
                f"{original} does not rescale images: rescale them so that particles have a diameter of "
                f"{card.working_diameter:g} px before you use the converted model there."
            )
        )
