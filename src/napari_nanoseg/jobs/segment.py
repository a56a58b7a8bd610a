"""Segment images with a model."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
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
from napari_nanoseg.io.atomic import need_writable
from napari_nanoseg.io.datasets import write_coco
from napari_nanoseg.io.images import expand, read_image, write_labels
from napari_nanoseg.io.model_library import find_model
from napari_nanoseg.io.outputs import need_free, need_place, recorded, unchanged
from napari_nanoseg.io.run_record import read_run_record, record_beside, run_record, sha256

if TYPE_CHECKING:
    from napari_nanoseg.engines.base import Found


def segment_job(job: SegmentJob) -> JobResult:
    """Write one label image per image under the image's name; finished images stay when it is cancelled.

    The figures are the number of ``images`` and ``particles``, and ``diameters``, the particle diameter of every image
    as it was told or estimated; None where the model has its own.
    """
    from napari_nanoseg.engines.library import load_model

    job, images, kept = prepared(job)
    targets = [job.out / f"{path.stem}.tif" for path in images]
    tell(Stage("load", f"Loading the model {job.model}."))
    model = load_model(job.model)
    if model.card.needs_weights and job.config.baseline != BaselineWishes():
        tell(Notice(f"{job.model.name} is a network; the parameters of models without one are not used."))
    device, _ = model.runs_on(job.config.device)
    labels: dict[str, str] = {}
    done: dict[str, Instances] = {}
    inputs: dict[Path, str] = {}
    diameters: list[dict[str, Any]] = []
    try:
        for number, (path, target) in enumerate(zip(images, targets, strict=True)):
            tell(Progress(number, len(images), "images"))
            if path in kept:
                labels[path.stem] = str(target)
                diameters.append({"image": path.stem, "diameter_px": kept[path].get("diameter_px")})
                continue
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
            inputs |= record["inputs"]
            done[path.stem] = instances
            labels[path.stem] = str(target)
            diameters.append({"image": path.stem, "diameter_px": found.config.diameter})
    finally:
        # Also when cancelled: the images that are finished stay whole.
        if job.coco is not None and done:
            write_instances(job.coco, done, run_record(job, inputs))
    tell(Progress(len(images), len(images), "images"))
    files = labels | ({} if job.coco is None else {"coco": str(job.coco)})
    particles = sum(len(instances) for instances in done.values())
    particles += sum(figures.get("particles", 0) for figures in kept.values())
    return JobResult({"images": len(images), "particles": particles, "diameters": diameters}, files)


def prepared(job: SegmentJob) -> tuple[SegmentJob, list[Path], dict[Path, dict[str, Any]]]:
    """Find the model and the images, and see that the labels can be written and replace nothing that they must not.

    Returns
    -------
    job : SegmentJob
        With the place of its model.
    images : list of Path
    kept : dict of Path to dict
        With `resume`, the images that are done and stay as they are, with their figures.

    Raises
    ------
    NanosegError
        When there is no such model or image, labels cannot be written or would replace something, or the COCO file is
        of another kind.
    """
    need_writable(job.out)
    job = job.model_copy(update={"model": find_model(job.model)})
    images = expand(job.images)
    in_coco = _in_coco(job.coco)
    done = _finished(job, images) if job.resume else {}
    kept = {path: figures for path, figures in done.items() if job.coco is None or path.stem in in_coco}
    missing = [path for path in images if path not in kept]
    labels = {target: record_beside(target) for target in (job.out / f"{path.stem}.tif" for path in missing)}
    added: list[Path] = []
    if job.coco is not None:
        record = _record_of_coco(job.coco)
        if in_coco & {path.stem for path in missing}:
            labels[job.coco] = record
        else:
            added = [job.coco, record]
    again = {job.out / f"{path.stem}.tif" for path in done.keys() - kept.keys()}  # for the COCO file
    need_free(job, labels=labels, added=added, inputs=images, again=again)
    return job, images, kept


def _in_coco(path: Path | None) -> set[str]:
    """Names of the images that a COCO file describes."""
    if path is None:
        return set()
    need_place(path)
    if path.suffix.lower() != ".json":
        raise NanosegError(f"The COCO file {path} must end in .json; rename it.")
    return set(read_coco(path)) if path.is_file() else set()


def _finished(job: SegmentJob, images: Sequence[Path]) -> dict[Path, dict[str, Any]]:
    """Images that an earlier run segmented with the same model and settings, with their figures.

    Labels that were corrected since count, too.
    """
    model, config = sha256(job.model), job.config.model_dump(mode="json")
    found: dict[Path, dict[str, Any]] = {}
    for path in images:
        target = job.out / f"{path.stem}.tif"
        if not target.is_file():
            continue
        record = read_run_record(record_beside(target))
        made_by, inputs, figures = (record.get(name) for name in ("config", "inputs", "figures"))
        if not (isinstance(made_by, dict) and isinstance(inputs, dict) and isinstance(figures, dict)):
            continue
        if made_by.get("config") == config and list(inputs.values()) == [sha256(path), model]:
            found[path] = figures
    return found


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
    with recorded(target, record_beside(target), record) as temporary:
        write_labels(temporary, labels, calibration)


def write_instances(path: Path, instances: Mapping[str, Instances], record: Mapping[str, Any]) -> None:
    """Write particles into a COCO file, which keeps what it says about other images, and the run record beside it.

    Parameters
    ----------
    path : Path
        The ``.json`` file.
    instances : mapping of str to Instances
        By the stem of their image.
    record : mapping
        Its run record.

    Raises
    ------
    NanosegError
        When another kind of file is there, or it cannot be written.
    """
    ours = not path.exists() or unchanged(path, _record_of_coco(path))
    with recorded(path, _record_of_coco(path), record, ours=ours) as temporary:
        if path.exists():
            shutil.copyfile(path, temporary)
        else:
            temporary.unlink()
        write_coco(temporary, instances)


def _record_of_coco(path: Path) -> Path:
    return path.with_name(f"{path.name}.run.yaml")
