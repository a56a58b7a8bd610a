"""Transmission images in, images of their optical density out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_nanoseg.config.density import DensityJob
from napari_nanoseg.events import JobResult, Notice, Progress, tell
from napari_nanoseg.io.images import expand, read_image, read_label_array, write_image
from napari_nanoseg.io.outputs import need_free
from napari_nanoseg.io.run_record import record_beside, run_record, write_run_record
from napari_nanoseg.measurement.density import OpticalDensity, optical_density


def density_job(job: DensityJob) -> JobResult:
    """Write one image of optical density per image, under its name; finished images stay when it is cancelled.

    The figures are the number of ``images``, of ``raised`` pixels (darker than the least intensity), those of them
    that are ``not_positive``, and ``incident``: I0 of every slice of every image.

    Raises
    ------
    NanosegError
        When a file cannot be read or written or would be replaced, and as :func:`~napari_nanoseg.optical_density`.
    """
    images = expand(job.images)
    targets = [job.out / f"{path.stem}.tif" for path in images]
    others = [path for path in (job.reference, job.region) if path is not None]
    need_free(job, targets, records=map(record_beside, targets), inputs=[*images, *others])
    reference = None if job.reference is None else read_image(job.reference)
    region = None if job.region is None else read_label_array(job.region)
    total = {"raised": 0, "not_positive": 0}
    incident: list[dict[str, Any]] = []
    for number, (path, target) in enumerate(zip(images, targets, strict=True)):
        tell(Progress(number, len(images), "images"))
        started = datetime.now(UTC)
        density = optical_density(read_image(path), job.config, region=region, reference=reference)
        for sentence in density.notices():
            tell(Notice(sentence))
        figures = figures_of(density)
        record = run_record(job, [path, *others], figures=figures, started=started)
        write_density(target, density, record)
        total = {name: count + figures[name] for name, count in total.items()}
        incident.append({"image": path.stem, "incident": figures["incident"]})
    tell(Progress(len(images), len(images), "images"))
    files = {path.stem: str(target) for path, target in zip(images, targets, strict=True)}
    return JobResult({"images": len(images), **total, "incident": incident}, files)


def figures_of(density: OpticalDensity) -> dict[str, Any]:
    """Figures of one image: raised pixels, those that are not positive, and I0 of every slice."""
    return {
        "raised": int(density.raised.sum()),
        "not_positive": int(density.not_positive.sum()),
        "incident": density.incident.tolist(),
    }


def write_density(target: Path, density: OpticalDensity, record: Mapping[str, Any]) -> None:
    """Write an optical density as TIFF and, beside it, its run record.

    Raises
    ------
    NanosegError
        When a file cannot be written.
    """
    write_image(target, density.image)
    write_run_record(record_beside(target), record)
