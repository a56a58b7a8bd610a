"""Segment images with a model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.baseline import BaselineWishes
from napari_nanoseg.config.segment import SegmentJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult, Notice, Progress, Stage, tell
from napari_nanoseg.greyness import looks_numbered
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.annotations import read_coco
from napari_nanoseg.io.datasets import write_coco
from napari_nanoseg.io.images import expand, read_image, write_labels
from napari_nanoseg.io.model_library import find_model
from napari_nanoseg.io.run_record import run_record, write_run_record

if TYPE_CHECKING:
    from napari_nanoseg.engines.base import Found


def segment_job(job: SegmentJob) -> JobResult:
    """Write one label image per image under the image's name; finished images stay when it is cancelled.

    The figures are the number of ``images`` and ``particles``, and ``diameters``, the particle diameter of every image
    as it was told or estimated; None where the model has its own.
    """
    from napari_nanoseg.engines.library import load_model

    job = job.model_copy(update={"model": find_model(job.model)})
    images = expand(job.images)
    targets = [job.out / f"{path.stem}.tif" for path in images]
    for path, target in zip(images, targets, strict=True):
        if target.exists() and target.samefile(path):
            raise NanosegError(f"The labels would replace the image {path}; choose another folder for them.")
    if job.coco is not None and job.coco.is_file():
        read_coco(job.coco)  # refuses another kind of file before the work, not after it
    tell(Stage("load", f"Loading the model {job.model}."))
    model = load_model(job.model)
    if model.card.needs_weights and job.config.baseline != BaselineWishes():
        tell(Notice(f"{job.model.name} is a network; the parameters of models without one are not used."))
    device, _ = model.runs_on(job.config.device)
    labels: dict[str, str] = {}
    done: dict[str, Instances] = {}
    diameters: list[dict[str, Any]] = []
    try:
        for number, (path, target) in enumerate(zip(images, targets, strict=True)):
            tell(Progress(number, len(images), "images"))
            started = datetime.now(UTC)
            image = read_image(path, flat=True)
            if looks_numbered(image.data):
                tell(Notice(f"{path} looks like a label image, not like a micrograph; check whether they are swapped."))
            if job.coco is not None and image.axes[0] in "ZT":
                raise NanosegError(f"{path} is a stack, which a COCO file cannot hold; leave the COCO file out.")
            found = model.detect(image, job.config)
            instances = found.instances()
            if len(instances) == 0:
                tell(Notice(f"{path.name}: no particle was found."))
            figures = figures_of(found, len(instances))
            record = run_record(job, [path, job.model], device=device, figures=figures, started=started)
            write_result(target, instances.to_labels(), image.calibration, record)
            done[path.stem] = instances
            labels[path.stem] = str(target)
            diameters.append({"image": path.stem, "diameter_px": found.config.diameter})
    finally:
        # Also when cancelled: the images that are finished stay whole.
        if job.coco is not None and done:
            write_coco(job.coco, done)
    tell(Progress(len(images), len(images), "images"))
    files = labels | ({} if job.coco is None else {"coco": str(job.coco)})
    particles = sum(len(instances) for instances in done.values())
    return JobResult({"images": len(images), "particles": particles, "diameters": diameters}, files)


def figures_of(found: Found, particles: int) -> dict[str, Any]:
    """Figures of one image: the number of its particles and, where it was told or estimated, their diameter."""
    diameter = found.config.diameter
    return {"particles": particles} | ({} if diameter is None else {"diameter_px": diameter})


def write_result(target: Path, labels: NDArray[Any], calibration: Calibration, record: Mapping[str, Any]) -> None:
    """Write the labels of one image and, beside them, the run record.

    Raises
    ------
    NanosegError
        When a file cannot be written.
    """
    write_labels(target, labels, calibration)
    write_run_record(target.with_suffix(".run.yaml"), record)
