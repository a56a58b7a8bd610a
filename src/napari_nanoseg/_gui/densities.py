"""What the Optical density dock lets its workers do: densities, their preview, their files, their command."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_nanoseg._gui.layers import file_of
from napari_nanoseg._gui.layers.files import labels_file_of
from napari_nanoseg.config.density import DensityConfig, DensityJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Stage, tell
from napari_nanoseg.io.run_record import run_record
from napari_nanoseg.io.sample_data import sample_data
from napari_nanoseg.jobs.density import figures_of, write_density
from napari_nanoseg.measurement.density import OpticalDensity, optical_density
from napari_nanoseg.samples import Image

FOLDER = "optical_density"
"""Beside an image, where the copied command writes."""
LARGEST = 4096 * 4096
"""Pixels of a slice that has a preview."""
SHOWN = 0.2, 99.8
"""Percentiles of the densities that are drawn as black and white."""
MOST_PIXELS = 1_000_000
"""For these percentiles; a larger image is thinned out."""


@dataclass(frozen=True, eq=False)
class Source:
    """An image of a layer, and the files that it may have come from."""

    image: Image
    origins: tuple[Path, ...]

    def file(self) -> Path:
        """The file from which a command reads just this image.

        Raises
        ------
        NanosegError
            When there is none.
        """
        found = file_of(self.image, self.origins)
        if found is None:
            raise NanosegError(
                f"The image '{self.image.source}' is not in a file as it is shown, so no command can take it; save it "
                "as TIFF (File > Save Selected Layers), open that file and choose it here."
            )
        return found


@dataclass(frozen=True, eq=False)
class Request:
    """What is to become an optical density, and how.

    Parameters
    ----------
    source : Source
    config : DensityConfig
        Without rows and columns.
    region : bool array, shape (Y, X), optional
        Where I0 is taken from.
    drawn : Layer, optional
        The layer that shows the region.
    reference : Source, optional
    """

    source: Source
    config: DensityConfig
    region: NDArray[np.bool_] | None = None
    drawn: Layer | None = None
    reference: Source | None = None

    def plane(self, number: int) -> Request:
        """The same for one slice."""
        source = replace(self.source, image=self.source.image.plane(number))
        reference = self.reference
        if reference is not None and reference.image.planes == self.source.image.planes:
            reference = replace(reference, image=reference.image.plane(number))
        return replace(self, source=source, reference=reference)

    def compute(self) -> OpticalDensity:
        """Compute the density, slice by slice."""
        reference = None if self.reference is None else self.reference.image
        return optical_density(self.source.image, self.config, region=self.region, reference=reference)


@dataclass(frozen=True, eq=False)
class Made:
    """An optical density.

    Parameters
    ----------
    request : Request
    density : OpticalDensity
    record : dict
        Its run record.
    shown : pair of float
        Densities to draw as black and white.
    span : pair of float
        Least and largest density, and at least `shown`.
    """

    request: Request
    density: OpticalDensity
    record: dict[str, Any]
    shown: tuple[float, float]
    span: tuple[float, float]


@dataclass(frozen=True, eq=False)
class SavedDensity:
    """Where a density was written."""

    made: Made
    path: Path


def make_density(request: Request) -> Made:
    """Turn the image of a request into optical density."""
    started = datetime.now(UTC)
    tell(Stage("density", f"Optical density of '{request.source.image.source}'"))
    density = request.compute()
    for sentence in density.notices():
        tell(Notice(sentence))
    tell(Stage("record", "Comparing the layers with their files"))
    record, pixels = _record(request, density, started), density.image.data
    shown = contrast(pixels)
    span = min(shown[0], float(pixels.min())), max(shown[1], float(pixels.max()))
    return Made(request, density, record, shown, span)


def preview_density(request: Request, number: int) -> OpticalDensity:
    """Turn one slice into optical density.

    Raises
    ------
    NanosegError
        When it is too large to be shown at once.
    """
    rows, columns = request.source.image.plane_shape
    if rows * columns > LARGEST:
        raise NanosegError(f"There is no preview of {rows} x {columns} px; it would take too long.")
    return request.plane(number).compute()


def contrast(density: NDArray[np.float32]) -> tuple[float, float]:
    """Densities to draw as black and white, so that a few dark pixels do not leave the rest without contrast."""
    step = max(1, round((density.size / MOST_PIXELS) ** 0.5))
    black, white = np.percentile(density[..., ::step, ::step], SHOWN)
    return (float(black), float(white)) if black < white else (float(black), float(black) + 1)


def save_density(made: Made, path: Path) -> SavedDensity:
    """Write a density and its run record as the job does."""
    tell(Stage("write", f"Writing {path}"))
    write_density(path, made.density, made.record)
    return SavedDensity(made, path)


def find_density_job(request: Request) -> DensityJob:
    """Describe a request as the job that does the same with the files of its layers.

    Raises
    ------
    NanosegError
        When a layer shows something that no file holds.
    """
    tell(Stage("files", "Comparing the layers with their files"))
    return _job(request)


def _job(request: Request) -> DensityJob:
    file = request.source.file()
    folder = Path.cwd() if file.parent == sample_data() else file.parent
    reference = None if request.reference is None else request.reference.file()
    config, region = request.config, None
    if request.region is not None:
        spans = _spans(request.region)
        if spans is None:
            region = _region_file(request.drawn)
        else:
            config = config.model_copy(update=spans)
    return DensityJob(config=config, images=(file,), out=folder / FOLDER, reference=reference, region=region)


def _spans(region: NDArray[np.bool_]) -> dict[str, tuple[int, int]] | None:
    """Rows and columns of a region that is a rectangle."""
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    spans = {"rows": (int(rows[0]), int(rows[-1]) + 1), "columns": (int(columns[0]), int(columns[-1]) + 1)}
    return spans if region[slice(*spans["rows"]), slice(*spans["columns"])].all() else None


def _region_file(layer: Layer | None) -> Path:
    path = labels_file_of(layer) if isinstance(layer, Labels) else None
    if path is None:
        name = "" if layer is None else f" of '{layer.name}'"
        raise NanosegError(
            f"The region{name} is neither one rectangle nor in a file, so no command can take it; draw one rectangle, "
            "or paint it in a labels layer, save that as TIFF, open the file and choose it here."
        )
    return path


def _record(request: Request, density: OpticalDensity, started: datetime) -> dict[str, Any]:
    """Run record: the job where all comes from files, else the settings and the layers."""
    figures = figures_of(density)
    try:
        job = _job(request)
    except NanosegError:
        record = run_record(request.config, (), figures=figures, started=started)
        shown = {"image": request.source.image.source}
        if request.drawn is not None:
            shown["region"] = request.drawn.name
        if request.reference is not None:
            shown["reference"] = request.reference.image.source
        return record | {"layers": shown}
    inputs = [path for path in (*job.images, job.reference, job.region) if path is not None]
    return run_record(job, inputs, figures=figures, started=started)
