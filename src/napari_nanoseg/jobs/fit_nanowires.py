"""Fit the nanowire generator to real images: its appearance to any, its sizes to some outlined wires."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_nanoseg.arguments import as_list
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.nanowires import GREY_LOOKS, FitNanowiresJob, NanowireConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult, Notice, Stage, tell
from napari_nanoseg.generators.nanowires.fit.appearance import Fitted, fit_appearance
from napari_nanoseg.generators.nanowires.fit.figure import fit_figure
from napari_nanoseg.generators.nanowires.fit.statistics import spectrum_error, wasserstein
from napari_nanoseg.generators.nanowires.fit.targets import Target, target_of
from napari_nanoseg.generators.nanowires.generator import Nanowires
from napari_nanoseg.io.atomic import write_text
from napari_nanoseg.io.datasets import open_dataset
from napari_nanoseg.io.figures import write_figure
from napari_nanoseg.io.images import read_image
from napari_nanoseg.io.label_files import find_images
from napari_nanoseg.io.outputs import need_free
from napari_nanoseg.io.run_record import run_record, write_run_record
from napari_nanoseg.measurement.wires import Wires, measure_wires
from napari_nanoseg.progress import Show, shown
from napari_nanoseg.samples import Image, Sample

SUFFIXES = (".yaml", ".yml")
MOST_IMAGES = 8
"""More are not looked at: each costs one or two trials, and the ranges hardly widen any more."""
FEW = 5
"""Complete wires below which spreads and directions stay those of the config."""
FEWER = 0.8
"""Factor by which the numbers of objects are reduced until they fit into the space."""
STIFFER = 1.5
"""The range of the persistence length reaches from its estimate over this to its estimate times this."""


def fit_nanowires(
    images: Iterable[Image],
    annotated: Iterable[Sample] | str | Path | None = None,
    config: NanowireConfig | None = None,
    *,
    progress: Show = True,
    **fields: Any,
) -> NanowireConfig:
    """Fit the nanowire generator to real images.

    Grey values, noise, background and sharpness come from the images, in which nothing is outlined; sizes, number and
    directions from outlined wires, where there are any. Without them the number of objects follows the area that
    differs from the background. ``docs/nanowires.md`` tells how, and how well.

    Parameters
    ----------
    images : iterable of Image
        Axes ``YX``, at least 64 x 64 px, all of the same type and pixel size. A data bar at the lower edge is left out.
        8 of them at most are looked at.
    annotated : iterable of Sample, or path of a data set, optional
        Micrographs with outlined wires. Where only a part of one is annotated, ``known`` says which.
    config : NanowireConfig, optional
        What to start from, such as a preset of the instrument; what the images do not tell stays as it is.
    progress : bool or callable
        True shows a bar in terminals and notebooks, False nothing; a callable is given every event.
    **fields
        Fields of :class:`NanowireConfig`, which override those of `config`.

    Returns
    -------
    NanowireConfig
        Of the images' dtype and, when they have one, pixel size.

    Raises
    ------
    NanosegError
        When there is no image, one cannot be used (see
        :func:`napari_nanoseg.generators.nanowires.fit.targets.target_of`), they differ in type or pixel size, no wire
        is complete, or the wires are narrower than a pixel or longer than the config's images.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> config = ns.NanowireConfig(height=96, width=96, depth=96, wires=(4, 6), length_nm=400, width_nm=60)
    >>> image = next(ns.generate(config)).image
    >>> fitted = ns.fit_nanowires([image], config=config)
    >>> fitted.pixel_size_nm, fitted.wires
    (10.0, (5, 5))
    """
    config = NanowireConfig.combined(config, fields, "fit_nanowires")
    several = as_list(images, Image, "fit_nanowires: 'images'", "a list of images; read_image() reads one")
    if isinstance(annotated, str | Path):
        samples: Iterable[Sample] | None = open_dataset(annotated)
    elif annotated is not None:
        samples = as_list(annotated, Sample, "fit_nanowires: 'annotated'", "a list of samples or the path of a dataset")
    else:
        samples = None
    with shown(progress):
        return fit_generator(several, samples, config).config


def fit_nanowires_job(job: FitNanowiresJob) -> JobResult:
    """Do what :func:`fit_nanowires` does with files, and write the config.

    Writes the config, beside it ``STEM.png`` (grey values and noise of real and generated images) and
    ``NAME.run.yaml``. The figures are ``images``, ``wires`` (complete ones that were measured), ``seconds``, and
    before and after the fit ``wasserstein_before`` and ``wasserstein_after`` (distance of the histograms, in grey
    values of the files), ``spectrum_error_before`` and ``spectrum_error_after`` (mean size of the logarithm of the
    ratio of the noise powers).

    Raises
    ------
    NanosegError
        As in :func:`fit_nanowires`, and when a file cannot be read or written.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    if job.out.suffix.lower() not in SUFFIXES:
        raise NanosegError(f"The config {job.out} must end in {' or '.join(SUFFIXES)}; rename it.")
    picture, record = job.out.with_suffix(".png"), job.out.with_name(f"{job.out.name}.run.yaml")
    need_free(job, [job.out, picture], records=[record], inputs=find_images(job.images).values())
    tell(Stage("read", "Reading images."))
    files = list(find_images(job.images).values())
    if not files:
        raise NanosegError(f"There is no image in {job.images[0]}; choose a folder with TIFF or PNG files.")
    if len(files) > MOST_IMAGES:
        tell(Notice(f"{MOST_IMAGES} of {len(files)} images are looked at."))
    images = [read_image(path) for path in _some(files)]
    samples = None if job.annotated is None else open_dataset(job.annotated)
    result = fit_generator(images, samples, job.config)
    figures: dict[str, Any] = {
        "images": len(images),
        "wires": result.wires.measured if result.wires else 0,
        **result.agreement,
        "seconds": round(time.perf_counter() - clock, 1),
    }
    tell(Stage("write", f"Writing {job.out}"))
    inputs = [*_some(files), *([] if job.annotated is None else [job.annotated])]
    about: dict[str, Any] = {"seed": job.config.seed, "device": "cpu", "figures": figures, "started": started}
    write_run_record(record, run_record(job, inputs, **about, pictures=[picture.name]))
    write_text(job.out, result.config.to_yaml())
    write_figure(fit_figure(result.fitted, result.white), picture)
    return JobResult(figures, {"config": str(job.out), "figure": str(picture), "run_record": str(record)})


@dataclass(frozen=True, eq=False)
class Result:
    """A fit: statistics of real and generated images, the wires that were measured, and what pixels of 1 stand for."""

    fitted: Fitted
    wires: Wires | None
    white: float

    @property
    def config(self) -> NanowireConfig:
        """The fitted config."""
        return self.fitted.config

    @property
    def agreement(self) -> dict[str, float]:
        """Distances of histograms and noise spectra, before and after; see :func:`fit_nanowires_job`."""
        one = self.fitted
        found = {"before": one.before, "after": one.after}
        return {f"wasserstein_{when}": self.white * wasserstein(each, one.target) for when, each in found.items()} | {
            f"spectrum_error_{when}": spectrum_error(each, one.target) for when, each in found.items()
        }


def _some(items: Sequence[Any]) -> list[Any]:
    """All of them, or MOST_IMAGES spread evenly."""
    step = max(1.0, len(items) / MOST_IMAGES)
    return [items[int(number * step)] for number in range(min(len(items), MOST_IMAGES))]


def fit_generator(images: Sequence[Image], samples: Iterable[Sample] | None, config: NanowireConfig) -> Result:
    """Do what :func:`fit_nanowires` does and return more of what was found."""
    images = _some(images)
    if not images:
        raise NanosegError("There is no image to fit the generator to; give at least one.")
    targets = [target_of(image, config.look in GREY_LOOKS) for image in images]
    for image, target in zip(images, targets, strict=True):
        if target.bar:
            tell(Notice(f"The lowest {target.bar} rows of {image.source} look like a data bar and are left out."))
    pixel = _pixel_size(images)
    if pixel is None:
        tell(Notice(f"The pixel size of the images is not known; the config's {config.pixel_size_nm:g} nm is taken."))
    config = _with(config, dtype=_dtype(images, targets), pixel_size_nm=pixel or config.pixel_size_nm, tone=())
    wires = None
    if samples is not None:
        wires, calibrated = _measured(samples, config.pixel_size_nm)
        if not calibrated:
            tell(Notice(f"The outlined wires have no pixel size; {config.pixel_size_nm:g} nm is taken."))
        _about(wires)
        config = _with_wires(config, wires)
    fitted = fit_appearance(targets, config, numbers=wires is None)
    checked, reduced = _that_fits(fitted.config)
    if reduced:
        tell(Notice("Fewer objects than the images have fit into the space; make it deeper for more."))
    return Result(replace(fitted, config=checked), wires, targets[0].white)


def _with(config: NanowireConfig, **changes: Any) -> NanowireConfig:
    return NanowireConfig.parse(config.model_dump() | changes, "fitted config")


def _dtype(images: Sequence[Image], targets: Sequence[Target]) -> str:
    first = targets[0].dtype
    for image, target in zip(images, targets, strict=True):
        if target.dtype != first:
            raise NanosegError(
                f"{images[0].source} has pixels of the type {first}, {image.source} of {target.dtype}; convert them to "
                "one type."
            )
    return first


def _pixel_size(images: Sequence[Image]) -> float | None:
    """The pixel size of all images, None when it is not known of all."""
    if not all(image.calibration.known for image in images):
        return None
    sizes = [image.calibration.nm_per_pixel for image in images]
    for image, size in zip(images, sizes, strict=True):
        if abs(size - sizes[0]) > 1e-3 * sizes[0]:
            raise NanosegError(
                f"Pixels of {images[0].source} have {sizes[0]:g} nm, those of {image.source} {size:g} nm; fit "
                "them apart."
            )
    return sizes[0]


def _measured(samples: Iterable[Sample], pixel_size_nm: float) -> tuple[Wires, bool]:
    """The wires of all samples, and whether their pixel sizes were known."""
    known, calibrated = [], True
    for sample in samples:
        if not sample.image.calibration.known:
            calibrated = False
            sample = replace(sample, image=replace(sample.image, calibration=Calibration.of(pixel_size_nm)))
        known.append(sample)
    wires = measure_wires(known)
    if wires is None:
        raise NanosegError(
            "No outlined wire lies in its image as a whole; outline at least one that the border does not cut."
        )
    return wires, calibrated


def _about(wires: Wires) -> None:
    cut = f" {wires.cut} that the border cuts are not measured." if wires.cut else ""
    tell(
        Notice(
            f"{wires.measured} outlined wire{'s' if wires.measured > 1 else ''}: {wires.length:.4g} nm long, "
            f"{wires.width:.3g} nm wide.{cut}"
        )
    )
    if wires.measured < FEW:
        tell(Notice("They are too few for spreads and directions, which stay those of the config; outline some more."))


def _with_wires(config: NanowireConfig, wires: Wires) -> NanowireConfig:
    """The config with sizes, number and directions of outlined wires."""
    number = wires.per_area * config.height * config.width * config.pixel_size_nm**2
    part = 1 / math.sqrt(wires.measured + wires.cut)
    changes: dict[str, Any] = {
        "length_nm": wires.length,
        "width_nm": wires.width,
        "aspect_ratio": None,
        "wires": (max(1, math.floor(number * (1 - part))), max(1, math.ceil(number * (1 + part)))),
    }
    if wires.measured >= FEW:
        changes |= {"length_sd": min(1.0, wires.length_sd or 0.0), "width_sd": min(1.0, wires.width_sd or 0.0)}
        changes |= {"bent_fraction": wires.bent}
        if wires.persistence is not None:
            changes["persistence_length_nm"] = (wires.persistence / STIFFER, wires.persistence * STIFFER)
        if wires.aligned:
            changes |= {"orientation": "aligned", "direction": wires.direction, "order_parameter": wires.order}
        elif config.orientation == "aligned":
            changes["orientation"] = "in-plane"
    return _with(config, **{name: _rounded(value) for name, value in changes.items()})


def _rounded(value: Any) -> Any:
    """Floats to four digits: more are not known."""
    if isinstance(value, tuple):
        return tuple(map(_rounded, value))
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _that_fits(config: NanowireConfig) -> tuple[NanowireConfig, bool]:
    """The config, with fewer objects when they do not fit into the space, and whether there are fewer."""
    try:
        Nanowires(config)
    except NanosegError:
        fewer = {
            name: (math.floor(FEWER * least), math.floor(FEWER * most))
            for name in ("wires", "rods", "spheres", "cubes", "agglomerates")
            for least, most in [getattr(config, name)]
        }
        if not any(most for _, most in fewer.values()):
            raise
        return _that_fits(_with(config, **fewer))[0], True
    return config, False
