"""Predicted label images and COCO files against true ones, paired by stem."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.evaluate import EvaluateJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.agreement import Agreements, agreement_of, common_unit, pool_agreement
from napari_nanoseg.evaluation.agreement_figure import agreement_figure
from napari_nanoseg.evaluation.comparison import Comparison, compare
from napari_nanoseg.evaluation.error_map import overlay_figure
from napari_nanoseg.evaluation.matching import Evaluation, pool
from napari_nanoseg.events import JobResult, Notice, Progress, Stage, checkpoint, tell
from napari_nanoseg.io.atomic import filled_folder, write_text
from napari_nanoseg.io.figures import write_figure
from napari_nanoseg.io.images import read_calibration, read_image, write_image
from napari_nanoseg.io.label_files import LabelFile, find_images, find_labels, partners
from napari_nanoseg.io.model_cards import RUN
from napari_nanoseg.io.outputs import Writing, need_free
from napari_nanoseg.io.run_record import run_record, write_run_record
from napari_nanoseg.io.tables import write_table
from napari_nanoseg.jobs.evaluate_pixels import pixels_job
from napari_nanoseg.samples import Image

RESULTS = ("evaluation.csv", "metrics.json", "agreement.csv", "agreement.png", "agreement.svg")
PICTURES = ("overlays", "pixels")
"""Files and folders of a comparison, beside its run record."""


def evaluate_job(job: EvaluateJob) -> JobResult:
    """Compare the truth of every image with the prediction of the same stem; two single files need no common stem.

    Label images have no scores; without any there is no average precision, and a notice says so. Stacks are compared
    slice by slice. With `out`, writes ``evaluation.csv`` (a row per image), ``metrics.json`` (the figures of all images
    together), ``agreement.csv``, ``agreement.png`` and ``agreement.svg`` (a row and a panel for each quantity),
    ``overlays/STEM.png`` (over the micrograph where there is one, else over black; ``STEM_NUMBER.png`` for the slices
    of a stack), ``pixels/STEM.tif`` (the map of :func:`~napari_nanoseg.evaluation.error_map.pixel_map`) and
    ``run.yaml``.

    With a tolerance, pixels of classes are compared in place of particles; see :mod:`.evaluate_pixels`.

    The figures are the pooled ones of :class:`~napari_nanoseg.evaluation.matching.Evaluation`, `images`, their number,
    and `agreement`, by quantity those of :class:`~napari_nanoseg.evaluation.agreement.Agreement`, in nanometres where
    the pixel size of all images is known: from the config, the labels or the micrographs. The agreement can be switched
    off. Where the truth is a data set with ``known/``, predicted particles outside the known regions that match nothing
    are left out of all figures, tables and pictures; `not_judged` is their number.

    Raises
    ------
    NanosegError
        When a file cannot be read or written, a truth has no prediction, shapes differ, or limits are in nm and a pixel
        size is not known.
    """
    started = datetime.now(UTC)
    truths = find_labels(job.truth)
    predictions = partners(truths, find_labels(job.prediction))
    _need_partners(truths, predictions, job.prediction)
    images = partners(truths, _images(job)) if job.tolerance is None else {}
    if job.out is None:
        return _compared(job, None, truths, predictions, images, started)
    read = [file.path for file in (*truths.values(), *predictions.values())]
    need_comparison(job, job.out, [*read, *images.values()])
    with filled_folder(job.out, (*RESULTS, *PICTURES)) as folder:
        result = _compared(job, folder, truths, predictions, images, started)
    files = {name: str(job.out / Path(path).relative_to(folder)) for name, path in result.files.items()}
    return replace(result, files=files)


def need_comparison(job: Writing, out: Path, inputs: Iterable[Path] = ()) -> None:
    """See that a folder takes the files of a comparison, and that they replace nothing that they must not.

    Raises
    ------
    NanosegError
        When it does not, or they would.
    """
    files, folders = ([out / name for name in names] for names in (RESULTS, PICTURES))
    need_free(job, files, folders=folders, records=[out / RUN], inputs=inputs)


def _compared(
    job: EvaluateJob,
    folder: Path | None,
    truths: dict[str, LabelFile],
    predictions: dict[str, LabelFile],
    images: dict[str, Path],
    started: datetime,
) -> JobResult:
    """Compare all images and write what is told about them into a folder, if there is one."""
    if job.tolerance is not None:
        return pixels_job(job, folder, job.tolerance, truths, predictions, started)
    for name in predictions.keys() - truths.keys():
        tell(Notice(f"{predictions[name].path} is not compared: there is no truth called {name}."))
    own = {name: _calibration(file, predictions[name], images.get(name)) for name, file in truths.items()}
    sizes, unused = common_unit(own) if job.config.pixel_size_nm is None else (own, None)
    if unused is not None and job.config.compare_sizes:
        tell(Notice(unused))

    tell(Stage("evaluate", f"Comparing {len(truths)} image{'s' if len(truths) > 1 else ''}"))
    evaluations, agreements, not_judged = {}, [], {}
    for done, (name, true_file) in enumerate(truths.items(), start=1):
        try:
            truth = true_file.read()
            checkpoint()
            prediction = predictions[name].read(truth.shape)
            checkpoint()
            comparison = compare(truth, prediction, job.config, own[name], true_file.known())
            if true_file.known_path is not None:
                not_judged[name] = comparison.not_judged
            evaluations[name] = comparison.evaluation
            if job.config.compare_sizes:
                agreements.append(agreement_of(comparison, job.config, sizes[name]))
            if folder is not None:
                image = read_image(images[name]) if name in images else None
                write_pictures(folder, name, comparison, image, true_file.calibration)
        except NanosegError as error:
            raise NanosegError(str(error) if name in str(error) else f"{name}: {error}") from error
        tell(Progress(done, len(truths), "images"))

    pooled = pool(evaluations.values())
    unjudged = sum(not_judged.values())
    if unjudged:
        tell(
            Notice(
                f"{job.truth} is partly annotated (known/): {unjudged} predicted particles outside the known regions "
                "were not judged."
            )
        )
    if not pooled.scored:
        tell(
            Notice(
                f"{job.prediction} has no scores (label images hold none), so there is no average precision (AP); "
                "compare the COCO file that 'nanoseg segment --coco FILE' writes."
            )
        )
    agreement = pool_agreement(agreements) if agreements else None
    figures = all_figures(pooled, len(evaluations), agreement, unjudged if not_judged else None)
    if folder is None:
        return JobResult(figures)

    scored = {name: replace(one, scored=pooled.scored) for name, one in evaluations.items()}
    files = write_figures(folder, scored, agreement, figures)
    inputs = {file.path for name in truths for file in (truths[name], predictions[name])}
    inputs |= {images[name] for name in images.keys() & truths.keys()}
    files["run_record"] = folder / RUN
    write_run_record(files["run_record"], run_record(job, sorted(inputs), figures=figures, started=started))
    return JobResult(figures, {name: str(path) for name, path in files.items()})


def write_pictures(out: Path, name: str, comparison: Comparison, image: Image | None, calibration: Calibration) -> None:
    """Write overlay and map of pixels of one comparison.

    Parameters
    ----------
    out : Path
        Folder of the result.
    name : str
        Stem of the files.
    comparison : Comparison
    image : Image, optional
        The micrograph; black without one.
    calibration : Calibration
        Pixel size, for the map.

    Raises
    ------
    NanosegError
        When the micrograph has another shape or a file cannot be written.
    """
    slices = len(comparison.truth)
    stacked = len(comparison.shape) == 3
    axes = "ZYX" if stacked else "YX"
    if image is not None and (image.axes[0] in "ZT") != stacked:
        raise NanosegError(
            f"The image has the shape {image.data.shape} but its labels {comparison.shape}; "
            "choose the micrograph of these labels."
        )
    write_image(out / "pixels" / f"{name}.tif", Image(comparison.pixels(), axes, calibration, "map of pixels"))
    for number, (truth, prediction, evaluation) in enumerate(
        zip(comparison.truth, comparison.prediction, comparison.evaluations, strict=True)
    ):
        plane = np.zeros(truth.shape) if image is None else np.asarray(image.data[number] if stacked else image.data)
        checkpoint()
        stem = f"{name}_{number:0{len(str(slices - 1))}}" if stacked else name
        write_figure(overlay_figure(plane, truth, prediction, evaluation), out / "overlays" / f"{stem}.png")
        if stacked:
            tell(Progress(number + 1, slices, "overlays"))


def all_figures(
    evaluation: Evaluation, images: int, agreement: Agreements | None, not_judged: int | None
) -> dict[str, Any]:
    """The figures of the job, by name, as plain values; without an agreement where there is none.

    Parameters
    ----------
    evaluation : Evaluation
    images : int
    agreement : dict of str to Agreement, optional
    not_judged : int, optional
        Number of predicted particles that were left out; None where the truth is known everywhere.
    """
    figures: dict[str, Any] = {**evaluation.figures(), "images": images}
    if agreement is not None:
        figures["agreement"] = {name: one.figures() for name, one in agreement.items()}
    if not_judged is not None:
        figures["not_judged"] = not_judged
    return figures


def write_figures(
    out: Path, evaluations: Mapping[str, Evaluation], agreement: Agreements | None, figures: Mapping[str, Any]
) -> dict[str, Path]:
    """Write the table per image, the agreement and the figures of all images together.

    Returns
    -------
    dict of str to Path
        What the folder has now, by name, pictures included.

    Raises
    ------
    NanosegError
        When a file cannot be written.
    """
    from pandas import DataFrame

    files = {
        "table": out / "evaluation.csv",
        "metrics": out / "metrics.json",
        "overlays": out / "overlays",
        "pixels": out / "pixels",
    }
    write_table(DataFrame([{"image": name} | one.figures() for name, one in evaluations.items()]), files["table"])
    if agreement is not None:
        files["agreement"] = out / "agreement.csv"
        rows = [{"quantity": name, **one.figures()} for name, one in agreement.items()]
        write_table(DataFrame(rows), files["agreement"])
        drawn = agreement_figure(agreement)
        for kind in ("png", "svg"):
            files[f"agreement_{kind}"] = out / f"agreement.{kind}"
            write_figure(drawn, files[f"agreement_{kind}"])
    write_text(files["metrics"], json.dumps(figures, indent=2) + "\n")
    return files


def _need_partners(truths: dict[str, LabelFile], predictions: dict[str, LabelFile], where: Path) -> None:
    missing = [name for name in truths if name not in predictions]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise NanosegError(
            f"{where} has no prediction called {missing[0]}{more}; segment that image too or take its truth away."
        )


def _calibration(truth: LabelFile, prediction: LabelFile, image: Path | None) -> Calibration:
    """Pixel size in the files of one image, if any of them has it."""
    known = [file.calibration for file in (truth, prediction)]
    if image is not None:
        known.append(read_calibration(image))
    return next((one for one in known if one.known), Calibration())


def _images(job: EvaluateJob) -> dict[str, Path]:
    """Micrographs by stem: those given, else those of the data set."""
    if job.images:
        return find_images(job.images)
    return find_images([job.truth]) if (job.truth / "images").is_dir() else {}
