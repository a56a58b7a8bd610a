"""What the Segment dock does in a thread: nothing here touches layers or widgets."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_nanoseg._gui.layers import Outline, file_of, instances_of, outlines_of_overlapping
from napari_nanoseg._gui.pauses import drawable, importing, shapes_drawable
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.segment import LEAST_PROBABILITY, SegmentConfig, SegmentJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Stage, checkpoint, tell
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.images import write_image
from napari_nanoseg.io.recent_models import remember_model
from napari_nanoseg.io.run_record import run_record
from napari_nanoseg.io.sample_data import sample_data
from napari_nanoseg.jobs.segment import figures_of, write_instances, write_result
from napari_nanoseg.measurement.particles import measure
from napari_nanoseg.samples import Image

if TYPE_CHECKING:
    from pandas import DataFrame

    from napari_nanoseg.engines.base import Found, Model

MOST_OUTLINES = 2000
"""Of overlapping particles: napari needs 0.1 ms for each in the window's thread."""
LABELS_FOLDER = "labels"
"""Beside an image, where the copied command writes its labels."""


@dataclass(frozen=True, eq=False)
class Request:
    """What is to be segmented, and how.

    Parameters
    ----------
    image : Image
    origins : tuple of Path
        Files that the image may have come from.
    model : Path
    config : SegmentConfig
    threads : int
        Cores that the network may use; 0: all.
    """

    image: Image
    origins: tuple[Path, ...]
    model: Path
    config: SegmentConfig
    threads: int = 0


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A result.

    Parameters
    ----------
    request : Request
    found : Found
        From which other thresholds choose.
    instances : Instances
    labels : int32 array
        Their label image.
    outlines : tuple of Outline
        Of those that overlap: the label image hides parts of them.
    table : pandas.DataFrame or None
        Their measurements; None as long as nobody made them.
    record : dict
        Its run record.
    device : str
        The device and why, in one sentence.
    """

    request: Request
    found: Found
    instances: Instances
    labels: NDArray[np.int32]
    outlines: tuple[Outline, ...]
    table: DataFrame | None
    record: dict[str, Any]
    device: str


def segment(request: Request) -> Segmentation:
    """Segment an image with a model, as the job does, and keep what other thresholds need."""
    started = datetime.now(UTC)
    tell(Stage("load", f"Loading the model {request.model.name}."))
    model = loaded(request.model)
    from napari_nanoseg.engines.device import use_threads

    use_threads(request.threads)
    device, reason = model.runs_on(request.config.device)
    found = model.detect(request.image, request.config, LEAST_PROBABILITY)
    tell(Stage("outline", "Outlining and measuring the particles."))
    instances = found.instances()
    table = _measured(instances, request.image.calibration)
    drawable()
    record = _record(request, figures_of(found, len(instances)), device, started)
    remember_model(request.model)
    outlines = _outlined(instances)
    return Segmentation(request, found, instances, instances.to_labels(), outlines, table, record, reason)


def with_thresholds(result: Segmentation, config: SegmentConfig) -> Segmentation:
    """Choose the particles of a result anew, with other thresholds; nothing is measured."""
    instances = result.found.instances(config)
    request = replace(result.request, config=config)
    described = dict(result.record["config"])
    described.update({"config": config.model_dump(mode="json")} if "config" in described else config.model_dump())
    record = result.record | {"config": described, "figures": figures_of(result.found, len(instances))}
    outlines = _outlined(instances)
    result = replace(result, request=request, table=None, record=record)
    return replace(result, instances=instances, labels=instances.to_labels(), outlines=outlines)


def with_table(result: Segmentation) -> Segmentation:
    """Measure the particles of a result."""
    return replace(result, table=_measured(result.instances, result.request.image.calibration))


@dataclass(frozen=True)
class FileOfImage:
    """The file that holds just the image of a request; None when there is none."""

    request: Request
    path: Path | None


@dataclass(frozen=True)
class SavedLabels:
    """Where labels were written."""

    path: Path


def find_file(request: Request) -> FileOfImage:
    """Find the file from which a command would read the image."""
    tell(Stage("file", "Comparing the image with its file."))
    return FileOfImage(request, file_of(request.image, request.origins))


def save_image(request: Request, path: Path) -> FileOfImage:
    """Write the image with its pixel size, and see that a command would read just this image."""
    tell(Stage("write", f"Writing {path}."))
    write_image(path, request.image.loaded())
    return find_file(replace(request, origins=(path,)))


def save_labels(
    path: Path, labels: NDArray[Any], calibration: Calibration, result: Segmentation, edited: bool
) -> SavedLabels:
    """Write labels and run record as the job does.

    Parameters
    ----------
    path : Path
    labels : array
        What the layer shows now.
    calibration : Calibration
        Pixel size that the layer has now.
    result : Segmentation
        What it was made of.
    edited : bool
        Whether somebody painted in the layer since; the record says so then.
    """
    tell(Stage("write", f"Writing {path}."))
    particles = len(Instances.from_labels(labels)) if edited else len(result.instances)
    record = _record_of(result, edited, particles)
    write_result(path, labels, calibration, record)
    return SavedLabels(path)


def save_coco(path: Path, name: str, layer: Labels, result: Segmentation, edited: bool) -> SavedLabels:
    """Write the particles of a layer into a COCO file, with their overlaps as long as nobody painted in the layer.

    Parameters
    ----------
    path : Path
        One that is there keeps what it says about other images.
    name : str
        Stem of the image's file.
    layer : Labels layer
        Is only read.
    result, edited
        As in :func:`save_labels`.
    """
    tell(Stage("write", f"Writing {path}."))
    instances = instances_of(layer)
    write_instances(path, {name: instances}, _record_of(result, edited, len(instances)))
    return SavedLabels(path)


def _record_of(result: Segmentation, edited: bool, particles: int) -> dict[str, Any]:
    """Run record of a result as it is shown; where somebody painted in it, it says so."""
    if not edited:
        return result.record
    return result.record | {"edited": True, "figures": figures_of(result.found, particles)}


def job_of(request: Request, file: Path) -> SegmentJob:
    """The job that gives the same labels of a file; of a sample image, into the folder where the command is typed."""
    folder = Path.cwd() if sample_data() in file.parents else file.parent
    return SegmentJob(config=request.config, model=request.model, images=(file,), out=folder / LABELS_FOLDER)


_LAST: dict[tuple[Any, ...], Model] = {}
"""The model used last, by its path and the times of its files: loading one takes up to a second."""


def loaded(path: Path) -> Model:
    """Load a model, unless it is the one used last."""
    from napari_nanoseg.engines.preload import preload

    preload()
    checkpoint()
    with importing("torch"):
        from napari_nanoseg.engines.library import load_model
    checkpoint()
    key: tuple[Any, ...] = (path, *_state(path))
    model = _LAST.get(key)
    if model is None:
        model = load_model(path)
        _LAST.clear()
        _LAST[key] = model
    return model


def _state(path: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of a model's files."""
    with suppress(OSError):
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        return [(file.name, stat.st_size, stat.st_mtime_ns) for file in files for stat in [file.stat()]]
    return []


def _outlined(instances: Instances) -> tuple[Outline, ...]:
    """Outlines of the particles that overlap; of very many, the first ones."""
    outlines = outlines_of_overlapping(instances)
    if outlines:
        shapes_drawable()
    if len(outlines) > MOST_OUTLINES:
        tell(Notice(f"{len(outlines)} particles overlap others; the first {MOST_OUTLINES} of them are outlined."))
    return outlines[:MOST_OUTLINES]


def _measured(instances: Instances, calibration: Calibration) -> DataFrame:
    try:
        return measure(instances, calibration)
    except NanosegError as error:  # pixels that are not square have no lengths
        tell(Notice(f"The particles are measured in pixels only. {error}"))
        return measure(instances)


def _record(request: Request, figures: Mapping[str, Any], device: str, started: datetime) -> dict[str, Any]:
    """Run record of a segmentation: that of the job where the image is a file's."""
    file = file_of(request.image, request.origins)
    if file is not None:
        job = job_of(request, file)
        return run_record(job, [file, request.model], device=device, figures=figures, started=started)
    record = run_record(request.config, [request.model], device=device, figures=figures, started=started)
    return record | {"image": request.image.source}
