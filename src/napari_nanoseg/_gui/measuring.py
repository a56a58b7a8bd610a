"""What the Measure dock lets its worker do: measure layers, save what was measured, find the files of layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Layer

from napari_nanoseg._gui.figure_view import prepare
from napari_nanoseg._gui.layers import calibration_of, image_of, instances_of, record_of, source_of
from napari_nanoseg._gui.layers.files import labels_file_of, same_particles
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.measure import MeasureConfig, MeasureJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Stage, tell
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.figures import write_figure
from napari_nanoseg.io.images import read_calibration
from napari_nanoseg.io.run_record import run_record, write_run_record
from napari_nanoseg.io.tables import write_table
from napari_nanoseg.measurement.distributions import distribution_figure, size_summary
from napari_nanoseg.measurement.particles import measure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class Measurement:
    """The particles of one layer, measured.

    Parameters
    ----------
    labels : Labels layer
    image : Image layer, optional
        The micrograph, for intensities.
    config : MeasureConfig
    instances : Instances
        What was measured.
    calibration : Calibration
        The pixel size that counted.
    table : pandas.DataFrame
        As :func:`napari_nanoseg.measure` gives it.
    figures : dict
        Of the size distribution.
    figure : Figure, optional
        The size distribution, drawn once; None when no particle counts.
    started : datetime
    """

    labels: Labels
    image: Layer | None
    config: MeasureConfig
    instances: Instances
    calibration: Calibration
    table: DataFrame
    figures: dict[str, int | float | None]
    figure: Figure | None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Saved:
    """A file of the measurement that was written."""

    path: Path


def measure_layers(labels: Labels, image: Layer | None, config: MeasureConfig) -> Measurement:
    """Measure the particles of a layer.

    The pixel size is the config's, else that of the labels layer, else the image layer's, as in
    :func:`~napari_nanoseg.jobs.measure.measure_job`.

    Raises
    ------
    NanosegError
        When the layer has no particles, or the image does not belong to it.
    """
    started = datetime.now(UTC)
    tell(Stage("measure", f"Measuring '{labels.name}'"))
    instances = instances_of(labels)
    if not len(instances):
        raise NanosegError(
            f"The layer '{labels.name}' has no particles; choose another layer, or segment the image first."
        )
    micrograph = None if image is None else image_of(image)
    if (
        image is not None
        and micrograph is not None
        and micrograph.data.shape[: len(instances.shape)] != instances.shape
    ):
        raise NanosegError(
            f"The image '{image.name}' has {_by(micrograph.data.shape)} pixels but '{labels.name}' "
            f"{_by(instances.shape)}; choose the image of these labels, or switch intensities off."
        )
    calibration = _calibration(labels, image, config)
    table = measure(instances, calibration, micrograph)
    tell(Stage("figure", "Drawing the size distribution"))
    figures = size_summary(table, config.exclude_border)
    figure = prepare(distribution_figure(table, config.exclude_border)) if figures["n"] else None
    if figure is None:
        tell(Notice("No particle counts for the size distribution: all touch the image border."))
    return Measurement(labels, image, config, instances, calibration, table, figures, figure, started)


def save_table(measurement: Measurement, path: Path) -> Saved:
    """Write the table, as CSV or Excel, and its run record beside it.

    Raises
    ------
    NanosegError
        When the layer has other particles now, or a file cannot be written.
    """
    tell(Stage("save", f"Writing {path.name}"))
    _need_unchanged(measurement)
    write_table(measurement.table, path)
    _write_record(measurement, path)
    return Saved(path)


def save_figure(measurement: Measurement, path: Path) -> Saved:
    """Write the size distribution, as PNG, SVG or PDF, and its run record beside it.

    Raises
    ------
    NanosegError
        When the layer has other particles now, or a file cannot be written.
    """
    tell(Stage("save", f"Writing {path.name}"))
    _need_unchanged(measurement)
    write_figure(distribution_figure(measurement.table, measurement.config.exclude_border), path)
    _write_record(measurement, path)
    return Saved(path)


def find_job(labels: Labels, image: Layer | None, config: MeasureConfig) -> MeasureJob:
    """Describe the measurement of layers as the job that does the same with their files.

    Raises
    ------
    NanosegError
        When a layer shows something that no file holds.
    """
    tell(Stage("files", "Comparing the layers with their files"))
    job = _job(labels, image, config, instances_of(labels))
    if isinstance(job, Layer):
        raise NanosegError(
            f"The layer '{job.name}' is not in a file as it is shown, so no command can measure it; save it as TIFF "
            "(File > Save Selected Layers), open that file and choose it here."
        )
    return job


def _need_unchanged(measurement: Measurement) -> None:
    """See that the labels are those that were measured: a script may have written into them without a word."""
    if not same_particles(instances_of(measurement.labels), measurement.instances):
        raise NanosegError(
            f"The labels of '{measurement.labels.name}' are not those that were measured; measure them again."
        )


def _job(labels: Labels, image: Layer | None, config: MeasureConfig, instances: Instances) -> MeasureJob | Layer:
    """The job, or the layer that no file holds."""
    path = labels_file_of(labels, instances)
    if path is None:
        return labels
    micrograph = None if image is None else source_of(image)
    if image is not None and micrograph is None:
        return image
    calibration = _calibration(labels, image, config)
    in_files = read_calibration(path)
    if not in_files.known and image is not None:
        in_files = calibration_of(image)
    if config.pixel_size_nm is None and calibration.known and _size(calibration) != _size(in_files):
        config = config.model_copy(update={"pixel_size_nm": _size(calibration)})
    images = () if micrograph is None else (micrograph,)
    return MeasureJob(config=config, labels=(path,), images=images, out=path.with_name(f"{path.stem}_particles.csv"))


def _write_record(measurement: Measurement, path: Path) -> None:
    """Write the run record: the layers, with the job where all comes from files, else with the settings."""
    labels, image = measurement.labels, measurement.image
    done: MeasureJob | MeasureConfig
    job = _job(labels, image, measurement.config, measurement.instances)
    if isinstance(job, MeasureJob):
        done, inputs = job.model_copy(update={"out": path}), [*job.labels, *job.images]
    else:
        source = None if image is None else source_of(image)
        done, inputs = measurement.config, [] if source is None else [source]
    record = run_record(done, inputs, figures=measurement.figures, started=measurement.started)
    shown: dict[str, Any] = {"labels": labels.name, "labels_made_by": record_of(labels)}
    if image is not None:
        shown["image"] = image.name
    record["layers"] = shown | {"pixel_size_nm": measurement.calibration.pixel_size_nm}
    write_run_record(path.with_name(f"{path.name}.run.yaml"), record)


def _calibration(labels: Labels, image: Layer | None, config: MeasureConfig) -> Calibration:
    if config.pixel_size_nm is not None:
        return Calibration.of(config.pixel_size_nm)
    own = calibration_of(labels)
    return own if own.known or image is None else calibration_of(image)


def _size(calibration: Calibration) -> float | None:
    return calibration.nm_per_pixel if calibration.known else None


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)
