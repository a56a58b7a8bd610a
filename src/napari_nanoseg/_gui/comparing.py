"""What the Compare dock lets its worker do: compare layers, save the comparison, find the files of layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_nanoseg._gui.figure_view import prepare
from napari_nanoseg._gui.known_regions import Known
from napari_nanoseg._gui.layers import calibration_of, file_stem, image_of, instances_of, record_of, source_of
from napari_nanoseg._gui.layers.files import labels_file_of, same_particles
from napari_nanoseg._gui.layers.space import apart
from napari_nanoseg._gui.pauses import drawable
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.evaluate import EvaluateConfig, EvaluateJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.agreement import Agreements, agreement_of, common_unit
from napari_nanoseg.evaluation.agreement_figure import agreement_figure
from napari_nanoseg.evaluation.comparison import Comparison, compare
from napari_nanoseg.evaluation.error_map import ErrorMap
from napari_nanoseg.events import Notice, Stage, tell
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.figures import write_figure
from napari_nanoseg.io.images import read_calibration
from napari_nanoseg.io.label_files import known_file
from napari_nanoseg.io.model_cards import RUN
from napari_nanoseg.io.run_record import run_record, write_run_record
from napari_nanoseg.jobs.evaluate import PICTURES, RESULTS, all_figures, write_figures, write_pictures
from napari_nanoseg.samples import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class Compared:
    """Two layers, compared.

    Parameters
    ----------
    truth, prediction : Labels layer
    config : EvaluateConfig
    comparison : Comparison
    errors : ErrorMap
        Label images of what was found, is not there and was missed.
    pixels : uint8 array
        The map of pixels.
    particles : pandas.DataFrame
        What became of every particle.
    agreement : mapping of str to Agreement, optional
        Of sizes, shapes and directions, where they are compared.
    figure : matplotlib.figure.Figure, optional
        Their distributions, drawn once.
    instances : tuple of Instances
        All particles of truth and prediction.
    known : Known, optional
        Where the truth is complete; None: everywhere.
    image : layer, optional
        The micrograph behind the truth.
    started : datetime
    """

    truth: Labels
    prediction: Labels
    config: EvaluateConfig
    comparison: Comparison
    errors: ErrorMap
    pixels: NDArray[np.uint8]
    particles: DataFrame
    agreement: Agreements | None
    figure: Figure | None
    instances: tuple[Instances, Instances]
    known: Known | None = None
    image: Layer | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def not_judged(self) -> int | None:
        """Number of predicted particles left out; None where the truth is known everywhere."""
        return None if self.known is None else self.comparison.not_judged


@dataclass(frozen=True)
class SavedComparison:
    """The folder that a comparison was written to."""

    folder: Path


@dataclass(frozen=True)
class SavedFigure:
    """The file that the distributions were written to."""

    path: Path


def compare_layers(
    truth: Labels, prediction: Labels, known: Known | None, image: Layer | None, config: EvaluateConfig
) -> Compared:
    """Compare the particles of two layers, in a stack slice by slice.

    Sizes and limits in nm take the pixel size of the truth, the prediction or the image, whichever has one first.
    Predicted particles of which nothing is known are left out, as in
    :func:`~napari_nanoseg.jobs.evaluate.evaluate_job`.

    Raises
    ------
    NanosegError
        When the layers do not belong to one image, the truth is empty, limits are in nm and no pixel size is known, or
        the known region cannot be used.
    """
    started = datetime.now(UTC)
    tell(Stage("evaluate", f"Comparing '{prediction.name}' with '{truth.name}'"))
    true, predicted = instances_of(truth), instances_of(prediction)
    if true.shape != predicted.shape:
        raise NanosegError(
            f"'{truth.name}' has {_by(true.shape)} pixels but '{prediction.name}' {_by(predicted.shape)}; "
            "choose two layers of the same image."
        )
    if not len(true):
        raise NanosegError(f"The truth '{truth.name}' has no particles; choose the layer with the true ones.")
    config = _sized(config, (truth, prediction, image))
    sizes, unused = common_unit({truth.name: known_size((truth, prediction, image))})
    if unused is not None and config.pixel_size_nm is None and config.compare_sizes:
        tell(Notice(unused))
    comparison = compare(true, predicted, config, known=None if known is None else known.mask(truth, true.shape))
    agreement = agreement_of(comparison, config, sizes[truth.name]) if config.compare_sizes else None
    comparison.evaluation.figures()  # the average precision takes its time: not in the thread that draws the window
    tell(Stage("layers", "Painting what was found, is not there and was missed"))
    figure = None if agreement is None else prepare(agreement_figure(agreement))
    drawable()
    return Compared(
        truth,
        prediction,
        config,
        comparison,
        comparison.errors(),
        comparison.pixels(),
        comparison.particles(),
        agreement,
        figure,
        (true, predicted),
        known,
        image,
        started,
    )


def save_comparison(compared: Compared, folder: Path) -> SavedComparison:
    """Write what :func:`~napari_nanoseg.jobs.evaluate.evaluate_job` writes: table, figures, pictures, run record.

    Raises
    ------
    NanosegError
        When a layer has other particles now, or a file cannot be written.
    """
    tell(Stage("save", f"Writing to {folder}"))
    there = next((folder / name for name in (*RESULTS, *PICTURES, RUN) if (folder / name).exists()), None)
    if there is not None:
        raise NanosegError(f"{there} is there already; choose another folder.")
    _need_unchanged(compared)
    image = compared.image
    job = _job(compared.truth, compared.prediction, compared.known, image, compared.config, folder)
    name = job.truth.stem if isinstance(job, EvaluateJob) else file_stem(compared.truth.name)
    micrograph = _image_for(image, compared.comparison.shape)
    figures = all_figures(compared.comparison.evaluation, 1, compared.agreement, compared.not_judged)
    write_pictures(folder, name, compared.comparison, micrograph, calibration_of(compared.truth))
    write_figures(folder, {name: compared.comparison.evaluation}, compared.agreement, figures)
    _write_record(compared, job, figures, folder / RUN)
    return SavedComparison(folder)


def save_agreement(compared: Compared, agreement: Agreements, path: Path) -> SavedFigure:
    """Write the distributions, as PNG, SVG or PDF, and their run record beside them.

    Raises
    ------
    NanosegError
        When a layer has other particles now, or a file cannot be written.
    """
    tell(Stage("save", f"Writing {path.name}"))
    _need_unchanged(compared)
    job = _job(compared.truth, compared.prediction, compared.known, compared.image, compared.config, path.parent)
    figures = all_figures(compared.comparison.evaluation, 1, agreement, compared.not_judged)
    write_figure(agreement_figure(agreement), path)
    _write_record(compared, job, figures, path.with_name(f"{path.name}.run.yaml"))
    return SavedFigure(path)


def find_comparison_job(
    truth: Labels, prediction: Labels, known: Known | None, image: Layer | None, config: EvaluateConfig
) -> EvaluateJob:
    """Describe the comparison of layers as the job that does the same with their files.

    Raises
    ------
    NanosegError
        When a layer shows something that no file holds, or the data set of the truth does not say what is known.
    """
    tell(Stage("files", "Comparing the layers with their files"))
    job = _job(truth, prediction, known, image, _sized(config, (truth, prediction, image)), None)
    if isinstance(job, str):
        raise NanosegError(job)
    return job


def _need_unchanged(compared: Compared) -> None:
    """See that the labels are those that were compared: a script may have written into them without a word."""
    for layer, then in zip((compared.truth, compared.prediction), compared.instances, strict=True):
        if not same_particles(instances_of(layer), then):
            raise NanosegError(f"The labels of '{layer.name}' are not those that were compared; compare them again.")


def image_fits(image: Layer | None, truth: Layer) -> bool:
    """Whether an image layer lies on the pixels of the truth, so that pictures can show it."""
    if image is None:
        return False
    try:
        shape = image_of(image).data.shape
        return shape[: len(labels_shape(truth))] == labels_shape(truth) and apart(image, truth) <= 0.5
    except NanosegError:
        return False


def labels_shape(layer: Layer) -> tuple[int, ...]:
    """Shape of a labels layer without axes of length 1 before rows and columns."""
    shape: tuple[int, ...] = tuple((layer.data[0] if layer.multiscale else layer.data).shape)
    return (*(size for size in shape[:-2] if size != 1), *shape[-2:])


def _job(
    truth: Labels,
    prediction: Labels,
    known: Known | None,
    image: Layer | None,
    config: EvaluateConfig,
    out: Path | None,
) -> EvaluateJob | str:
    """The job, or why no command does the same; an image without a file is left out."""
    paths = []
    for layer in (truth, prediction):
        path = labels_file_of(layer)
        if path is None:
            return (
                f"The layer '{layer.name}' is not in a file as it is shown, so no command can compare it; save it as "
                "TIFF (File > Save Selected Layers), open that file and choose it here."
            )
        paths.append(path)
    if not _same_known(known, known_file(paths[0]), truth):
        return (
            f"A command takes what is known about '{truth.name}' from the folder 'known' of its data set, and that is "
            "not what is chosen in 'Outlined'; save the annotation to a data set in the Annotate step and open its "
            "mask as truth, or choose what the data set says."
        )
    micrograph = source_of(image) if image is not None and image_fits(image, truth) else None
    images = () if micrograph is None else (micrograph,)
    in_files = next((size for size in map(read_calibration, (*paths, *images)) if size.known), Calibration())
    shown = known_size((truth, prediction, image))
    if config.pixel_size_nm is None and _size(shown) not in (None, _size(in_files)):
        config = config.model_copy(update={"pixel_size_nm": _size(shown)})
    out = paths[1].with_name(f"{paths[1].stem}_comparison") if out is None else out
    return EvaluateJob(config=config, truth=paths[0], prediction=paths[1], images=images, out=out)


def _same_known(known: Known | None, file: Path | None, truth: Labels) -> bool:
    """Whether a file says about a truth what was chosen."""
    if known is None or file is None:
        return known is None and file is None
    instances = instances_of(truth)
    outlined = instances.to_labels() > 0
    one, other = (each.mask(truth, instances.shape) | outlined for each in (known, Known(file)))
    return np.array_equal(one, other)


def _write_record(compared: Compared, job: EvaluateJob | str, figures: dict[str, Any], path: Path) -> None:
    """Write the run record: the layers, with the job where all comes from files, else with the settings."""
    done: EvaluateJob | EvaluateConfig
    if isinstance(job, EvaluateJob):
        done, inputs = job, [job.truth, job.prediction, *job.images]
    else:
        source = None if compared.image is None else source_of(compared.image)
        done, inputs = compared.config, [] if source is None else [source]
    record = run_record(done, inputs, figures=figures, started=compared.started)
    layers: dict[str, Any] = {
        "truth": compared.truth.name,
        "prediction": compared.prediction.name,
        "prediction_made_by": record_of(compared.prediction),
        "pixel_size_nm": known_size((compared.truth, compared.prediction, compared.image)).pixel_size_nm,
    }
    if compared.known is not None:
        layers["known"] = compared.known.name
    record["layers"] = layers
    write_run_record(path, record)


def _sized(config: EvaluateConfig, layers: Iterable[Layer | None]) -> EvaluateConfig:
    """The config with the pixel size of the layers, where it needs one and does not give it."""
    if config.size_unit == "px" or config.pixel_size_nm is not None:
        return config
    known = known_size(layers)
    return config.model_copy(update={"pixel_size_nm": known.nm_per_pixel}) if known.known else config


def known_size(layers: Iterable[Layer | None]) -> Calibration:
    """The first pixel size that a layer has; a sheared layer has none."""
    for layer in layers:
        try:
            size = Calibration() if layer is None else calibration_of(layer)
        except NanosegError:
            continue
        if size.known:
            return size
    return Calibration()


def _size(calibration: Calibration) -> float | None:
    """Nanometres per pixel; None where they are not known or pixels not square."""
    usable = common_unit({"": calibration})[0][""]
    return usable.nm_per_pixel if usable.known else None


def _image_for(layer: Layer | None, shape: tuple[int, ...]) -> Image | None:
    """The micrograph behind the pictures; None where the layer does not fit."""
    if layer is None:
        return None
    try:
        image = image_of(layer)
    except NanosegError:
        return None
    return image if image.data.shape[: len(shape)] == shape and image.data.ndim <= len(shape) + 1 else None


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)
