"""Label images in, one calibrated table and its size distribution out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.measure import MeasureJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult, Notice, Progress, Stage, tell
from napari_nanoseg.io.figures import write_figure
from napari_nanoseg.io.images import read_image
from napari_nanoseg.io.label_files import LabelFile, find_images, find_labels, partners
from napari_nanoseg.io.leftovers import remove
from napari_nanoseg.io.outputs import need_free
from napari_nanoseg.io.run_record import run_record, write_run_record
from napari_nanoseg.io.tables import TABLE_SUFFIXES, write_table
from napari_nanoseg.measurement.distributions import distribution_figure, size_summary
from napari_nanoseg.measurement.particles import measure
from napari_nanoseg.samples import Image

if TYPE_CHECKING:
    from pandas import DataFrame


def measure_job(job: MeasureJob) -> JobResult:
    """Measure label images, stacks slice by slice, into one table.

    Writes the table, beside it ``STEM_distribution.png`` and ``.svg`` (when a particle counts) and ``TABLE.run.yaml``.
    The pixel size is the config's, else that of the label image's tags, else the micrograph's. The figures are those
    of :func:`~napari_nanoseg.measurement.distributions.size_summary`.

    Raises
    ------
    NanosegError
        When a file cannot be read or written, labels and micrograph differ in shape, or the pixel size of only some
        images is known.
    """
    started = datetime.now(UTC)
    files = _label_files(job.labels)
    images = partners(files, find_images(job.images))
    need_table(job, [*(file.path for file in files.values()), *images.values()])
    for name in images.keys() - files.keys():
        tell(Notice(f"{images[name]} is not measured: there are no labels called {name}."))

    tell(Stage("measure", f"Measuring {len(files)} label image{'s' if len(files) > 1 else ''}"))
    tables: dict[str, DataFrame] = {}
    sizes = {}
    for done, (name, file) in enumerate(files.items(), start=1):
        image = read_image(images[name], flat=True) if name in images else None
        if image is None and job.images:
            tell(Notice(f"{name} has no micrograph of that name: its particles get no intensity."))
        instances = file.read(None if image is None else image.plane_shape)
        calibration = _calibration(job.config.pixel_size_nm, file, image)
        sizes[name] = calibration.known
        try:
            tables[name] = measure(instances, calibration, image)
        except NanosegError as error:
            raise NanosegError(f"{file.path}: {error}") from error
        tell(Progress(done, len(files), "images"))
    _need_one_unit(sizes)
    if not any(sizes.values()):
        tell(Notice("The pixel size is not known: lengths are in pixels. Give the pixel size to get nanometres."))

    table = _joined(tables)
    figures = size_summary(table, job.config.exclude_border)
    tell(Stage("write", f"Writing {len(table)} particles to {job.out}"))
    written = {"table": job.out}
    pictures, record = _pictures(job.out), _record(job.out)
    inputs = {file.path for file in files.values()} | {images[name] for name in images.keys() & files.keys()}
    names = [path.name for path in pictures.values()]
    # first: a process that is killed leaves no picture that would be taken for an image
    write_run_record(record, run_record(job, sorted(inputs), figures=figures, started=started, pictures=names))
    write_table(table, job.out)
    if figures["n"]:
        drawn = distribution_figure(table, job.config.exclude_border)
        for path in pictures.values():
            write_figure(drawn, path)
        written |= pictures
    else:
        for path in pictures.values():  # of the table that was replaced
            remove(path)
        tell(Notice("No particle counts for a size distribution: there is none, or all touch the image border."))
    return JobResult(figures, {name: str(path) for name, path in (written | {"run_record": record}).items()})


def need_table(job: MeasureJob, inputs: Iterable[Path] = ()) -> None:
    """See that the table and the figures beside it can be written and replace nothing that they must not.

    Raises
    ------
    NanosegError
        When they cannot or would, or the table is of another kind.
    """
    if job.out.suffix.lower() not in TABLE_SUFFIXES:
        raise NanosegError(f"The table {job.out} must end in {' or '.join(TABLE_SUFFIXES)}; rename it.")
    need_free(job, [job.out, *_pictures(job.out).values()], records=[_record(job.out)], inputs=inputs)


def _pictures(table: Path) -> dict[str, Path]:
    return {f"distribution_{kind}": table.with_name(f"{table.stem}_distribution.{kind}") for kind in ("png", "svg")}


def _record(table: Path) -> Path:
    return table.with_name(f"{table.name}.run.yaml")


def _joined(tables: dict[str, DataFrame]) -> DataFrame:
    """One table; several images get a column with their name, an image beside stacks counts as slice 0."""
    from pandas import concat

    if len(tables) == 1:
        return next(iter(tables.values()))
    stacks = any("slice" in table for table in tables.values())
    for name, table in tables.items():
        if stacks and "slice" not in table:
            table.insert(0, "slice", 0)
        table.insert(0, "image", name)
    return concat(tables.values(), ignore_index=True)


def _label_files(paths: tuple[Path, ...]) -> dict[str, LabelFile]:
    files: dict[str, LabelFile] = {}
    for path in paths:
        for name, file in find_labels(path).items():
            if name in files:
                raise NanosegError(f"{files[name].path} and {file.path} both hold labels called {name}; rename one.")
            files[name] = file
    return files


def _calibration(pixel_size_nm: float | None, file: LabelFile, image: Image | None) -> Calibration:
    if pixel_size_nm is not None:
        return Calibration.of(pixel_size_nm)
    if file.calibration.known or image is None:
        return file.calibration
    return image.calibration


def _need_one_unit(known: dict[str, bool]) -> None:
    """Refuse to mix sizes in pixels and in nanometres."""
    without = [name for name, is_known in known.items() if not is_known]
    if without and len(without) < len(known):
        raise NanosegError(
            f"The pixel size of {without[0]} is not known but that of other images is; give one pixel size for all, "
            "or measure them apart."
        )
