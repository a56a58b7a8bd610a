"""Convert a model between formats."""

from __future__ import annotations

from napari_nanoseg.config.convert import ConvertJob
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult, Notice, Stage, tell
from napari_nanoseg.io.atomic import atomic_folder, filled_folder, need_writable
from napari_nanoseg.io.detectron2_files import D2_CONFIG, D2_WEIGHTS
from napari_nanoseg.io.keras_files import KERAS_CONFIG
from napari_nanoseg.io.leftovers import is_empty
from napari_nanoseg.io.model_cards import CARD, KERAS_THRESHOLDS_FILE, RUN, WEIGHTS
from napari_nanoseg.io.model_library import find_model
from napari_nanoseg.io.outputs import is_inside, need_kind
from napari_nanoseg.io.run_record import run_record, write_run_record
from napari_nanoseg.jobs.replacing import need_no_strangers

FILES = {
    *(CARD, WEIGHTS, RUN),
    *(KERAS_CONFIG, KERAS_THRESHOLDS_FILE, "weights_best.h5"),
    *(D2_CONFIG, D2_WEIGHTS),
}
"""All that converted models have."""


def convert_job(job: ConvertJob) -> JobResult:
    """Load a model of any known format and write it in another."""
    from napari_nanoseg.engines.library import load_model
    from napari_nanoseg.engines.maskrcnn.model import MaskRCNNModel
    from napari_nanoseg.engines.stardist.model import StarDistModel

    job = job.model_copy(update={"model": find_model(job.model)})
    need_writable(job.out)
    replaces = job.out.exists() and not is_empty(job.out)
    if replaces:
        _need_replaceable(job)
    tell(Stage("convert", f"Converting {job.model}."))
    model = load_model(job.model)
    # an empty folder that is there may be the root of a disk, which cannot be renamed
    with atomic_folder(job.out, replace=True) if replaces else filled_folder(job.out, ()) as folder:
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
        write_run_record(folder / RUN, run_record(job, [job.model]))
    return JobResult({"format": job.to}, {"model": str(job.out)})


def _need_replaceable(job: ConvertJob) -> None:
    """Refuse to replace anything but a model that was converted before, and where that is not asked for."""
    if not job.overwrite:
        raise NanosegError(f"{job.out} is not an empty folder; choose another, or replace what it holds (--overwrite).")
    need_kind(job.out / RUN, job.job)
    if is_inside(job.model, job.out):
        raise NanosegError(f"{job.model} is read by this job, which would replace {job.out}; choose another folder.")
    need_no_strangers(job.out, lambda folder: (path for path in sorted(folder.iterdir()) if path.name not in FILES))


def _advise(card: ModelCard, original: str) -> None:
    """Say what the user must do that the original does not."""
    if card.working_diameter is not None:
        tell(
            Notice(
                f"{original} does not rescale images: rescale them so that particles have a diameter of "
                f"{card.working_diameter:g} px before you use the converted model there."
            )
        )
