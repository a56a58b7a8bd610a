"""What the Cracks dock lets its workers do: the job with the files of its layers, figures of one slice, copies."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nanoseg._gui.figure_view import prepare
from napari_nanoseg._gui.layers import Given, LayerData, map_contrast, volume_layer
from napari_nanoseg._gui.pauses import drawable, importing
from napari_nanoseg.config.cracks import CracksConfig, CracksJob
from napari_nanoseg.config.volume import VolumeConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult, Progress, Stage, checkpoint, tell
from napari_nanoseg.io.atomic import atomic_path, need_writable, writing
from napari_nanoseg.io.figures import write_figure
from napari_nanoseg.io.model_library import shipped_name
from napari_nanoseg.io.recent_models import remember_model
from napari_nanoseg.io.sample_data import sample_data
from napari_nanoseg.io.volumes import open_volume
from napari_nanoseg.io.volumes.writing import write_tiff
from napari_nanoseg.samples import Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from napari_nanoseg.jobs.cracks import CracksResult
    from napari_nanoseg.measurement.damage.analysis import Damage

FOLDER = "cracks"
"""End of the name of the folder of results, beside the volume."""
INPUTS = "inputs"
"""In the folder of results, volumes of layers that are in no file."""
SLAB = 8
"""Slices that are compared at once."""
ROOM = 0.08
"""Around a picture, inches."""
COPIED = (".csv", ".png", ".svg", ".json", ".yaml")
"""What is saved elsewhere: tables, pictures, figures and the run record."""
PROFILE, SLOPE, DISTRIBUTION, CORRELATION, CRACKS = "profile", "slope", "distribution", "correlation", "cracks"
"""Pictures by their names in the folder of results."""


@dataclass(frozen=True, eq=False)
class Request:
    """What is to be analysed, and how.

    Parameters
    ----------
    config : CracksConfig
    volume : Given
    model : Path or None
        None: the classes are there.
    classes, particle_mask, labels : Given or None
    baseline : bool
    out : Path
        Folder of the results.
    overwrite : bool
        Whether results of another analysis there are replaced.
    threads : int
        Cores that a network may use; 0: all.
    numbered : bool
        Whether a number may be added to the folder, where it holds the results of another job.
    """

    config: CracksConfig
    volume: Given
    model: Path | None
    classes: Given | None
    particle_mask: Given | None
    labels: Given | None
    baseline: bool
    out: Path
    overwrite: bool = False
    threads: int = 0
    numbered: bool = False

    def __post_init__(self) -> None:
        for name in ("classes", "particle_mask", "labels"):
            given = getattr(self, name)
            if given is not None and given.volume.shape != self.volume.volume.shape:
                raise NanosegError(
                    f"The layer '{given.name}' has {_by(given.volume.shape)} voxels but the volume "
                    f"'{self.volume.name}' {_by(self.volume.volume.shape)}; choose one made for this volume."
                )


@dataclass(frozen=True, eq=False)
class Side:
    """Results of one way to find cracks.

    Parameters
    ----------
    damage : Damage or None
        None where nothing was analysed.
    classes : Path or None
        The class map, where the job made one.
    names : tuple of str
        Of its classes.
    maps : dict of str to Path
        ``damage`` and ``packing``.
    contrast : dict of str to pair of float
        Values for the first and the last colour.
    """

    damage: Damage | None
    classes: Path | None
    names: tuple[str, ...]
    maps: Mapping[str, Path]
    contrast: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Results:
    """What a job has found.

    Parameters
    ----------
    job : CracksJob
    shape : tuple of int
        Slices, rows and columns.
    figures : dict
        Numbers of the whole volume.
    main : Side
    baseline : Side or None
    pictures : dict of str to matplotlib.figure.Figure
        Those of the whole volume.
    found : CracksResult
        As :func:`napari_nanoseg.cracks` gives it.
    """

    job: CracksJob
    shape: tuple[int, int, int]
    figures: Mapping[str, Any]
    main: Side
    baseline: Side | None
    pictures: Mapping[str, Figure]
    found: CracksResult


@dataclass(frozen=True)
class Copied:
    """Where tables and pictures were copied to."""

    folder: Path
    files: int


@dataclass(frozen=True, eq=False)
class Opening:
    """A layer to be added."""

    layer: LayerData


def open_layer_file(path: Path, config: VolumeConfig) -> Opening:
    """Look at the files of a volume, of which there may be thousands, and describe its layer.

    Raises
    ------
    NanosegError
        As :func:`~napari_nanoseg.open_volume`.
    """
    tell(Stage("open", f"Opening {path}."))
    return Opening(volume_layer(path, config))


def run_cracks(request: Request) -> Results:
    """Do the job of a request, as ``nanoseg cracks`` does it.

    Raises
    ------
    NanosegError
        As :func:`~napari_nanoseg.jobs.cracks.cracks_job`, and when a layer cannot be written into a file.
    """
    job = find_cracks_job(request)
    if job.model is not None and shipped_name(job.model) is None:
        _torch(request.threads)
    from napari_nanoseg.jobs.cracks import find_cracks

    found = find_cracks(job)
    if job.model is not None:
        remember_model(job.model)
    tell(Stage("show", "Drawing maps and pictures."))
    main = _side(found.result, found.damage, "")
    baseline = _side(found.result, found.baseline, "baseline_") if job.baseline else None
    pictures = {}
    if main.damage is not None:
        for name, picture in _pictures(main.damage, None if baseline is None else baseline.damage).items():
            pictures[name] = _prepared(picture)
            checkpoint()
    drawable()
    return Results(job, request.volume.volume.shape, found.result.figures, main, baseline, pictures, found)


def find_cracks_job(request: Request) -> CracksJob:
    """Describe a request as a job; what is in no file is written into its folder first.

    Raises
    ------
    NanosegError
        When a volume cannot be read or written, or the folder has the results of another job.
    """
    volume = _to_file(request.volume, "volume", request)
    paths = {}
    for name in ("classes", "particle_mask", "labels"):
        given = getattr(request, name)
        paths[name] = None if given is None else _to_file(given, name, request)
    config = request.config.model_copy(update={"input": _input(request)})
    job = CracksJob(
        config=config, volume=volume, model=request.model, baseline=request.baseline, out=request.out,
        overwrite=request.overwrite, **paths
    )  # fmt: skip
    return _placed(job) if request.numbered and not request.overwrite else job


def copy_results(folder: Path, target: Path) -> Copied:
    """Copy tables, pictures, figures and the run record of a job to another folder.

    Raises
    ------
    NanosegError
        When there is nothing to copy, or the folder does not take it.
    """
    if target.resolve() == folder.resolve():
        raise NanosegError(f"All tables and figures are in {folder} already; choose another folder.")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and _is_told(path.relative_to(folder)))
    if not files:
        raise NanosegError(f"There are no tables or figures in {folder} any more; find the cracks anew.")
    there = next((path for path in files if (target / path.relative_to(folder)).exists()), None)
    if there is not None:
        raise NanosegError(f"There is a {there.relative_to(folder)} in {target} already; choose another folder.")
    tell(Stage("copy", f"Copying tables and figures to {target}."))
    for done, path in enumerate(files, 1):
        copy = target / path.relative_to(folder)
        with writing(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(copy) as temporary:
            shutil.copyfile(path, temporary)
        tell(Progress(done, len(files), "files"))
    return Copied(target, len(files))


def picture_of_slice(results: Results, name: str, number: int) -> Figure:
    """Draw the distribution of the damage in a slice, or packing and damage of its windows."""
    from napari_nanoseg.measurement.damage.figures import correlation_figure, distribution_figure

    checkpoint()
    damage, maps = results.main.damage, results.main.maps
    assert damage is not None, "only analysed volumes have pictures"
    values = _slice(maps["damage"], number)
    checkpoint()
    if name == DISTRIBUTION:
        return _prepared(distribution_figure(replace(damage, distribution=_distribution(damage, values, number))))
    packing = _slice(maps["packing"], number)
    return _prepared(correlation_figure(_correlated(damage, values, packing, number, results.shape[1:])))


def write_picture(picture: Figure, path: Path) -> Path:
    """Write a picture where the user wants it; returns its path."""
    tell(Stage("write", f"Writing {path}."))
    write_figure(picture, path)
    return path


def in_folder(path: Path) -> Path:
    """Where the results of a volume go: beside it, or where napari was started for volumes of the package."""
    parent = Path.cwd() if sample_data() in path.parents else path.parent
    return parent / f"{path.name.split('.')[0] or 'volume'}_{FOLDER}"


def _torch(threads: int) -> None:
    from napari_nanoseg.engines.preload import preload

    preload()
    checkpoint()
    with importing("torch"):
        from napari_nanoseg.engines.device import use_threads
    use_threads(threads)


def _to_file(given: Given, name: str, request: Request) -> Path:
    """Find the file of a layer, or write one."""
    if given.opened is not None and given.opened.path.exists():
        return given.opened.path
    own = request.out / INPUTS / f"{name}.tif"
    tell(Stage("files", f"Comparing '{given.name}' with its file."))
    for path in (*given.origins, own):
        if _holds(path, given.volume):
            return path
    tell(Stage("write", f"Writing '{given.name}' to {own}, since it is in no file as it is shown."))
    need_writable(own.parent)
    volume = given.volume
    data: Any = volume.data
    if data.dtype.kind in "iu" and data.dtype.itemsize == 8:  # labels as NumPy makes them; TIFF has no such numbers
        volume = replace(volume, data=data.astype(np.int32))
    write_tiff(own, volume)
    return own


def _holds(path: Path, volume: Volume) -> bool:
    """Whether a file has the voxels of a volume."""
    try:
        stored = open_volume(path) if path.exists() else None
    except NanosegError:
        return False
    if stored is None or stored.shape != volume.shape:
        return False
    depth = volume.shape[0]
    for start in range(0, depth, SLAB):
        stop = min(start + SLAB, depth)
        if not np.array_equal(stored.read(start, stop), volume.read(start, stop)):
            return False
        tell(Progress(stop, depth, "slices"))
    return True


def _input(request: Request) -> VolumeConfig:
    """How the file is taken for a volume: as it was opened, with the voxel size told in the dock, else the layer's."""
    given, told = request.volume, request.config.input.voxel_size_nm
    config = VolumeConfig() if given.opened is None else given.opened.config
    shown = given.volume.calibration.pixel_size_nm
    sizes = told if told is not None else config.voxel_size_nm
    if told is None and shown is not None:
        sizes = shown[0], shown[1], shown[2]
    return config.model_copy(update={"voxel_size_nm": sizes})


def _placed(job: CracksJob) -> CracksJob:
    """The job in a folder of its own: where there are results of another job, the next number."""
    from napari_nanoseg.jobs.cracks import may_write

    for number in count(1):
        checkpoint()
        out = job.out if number == 1 else job.out.with_name(f"{job.out.name} {number}")
        if may_write(job.model_copy(update={"out": out})):
            return job.model_copy(update={"out": out})
    raise AssertionError("numbers do not end")


def _side(result: JobResult, damage: Damage | None, lead: str) -> Side:
    files = {name: Path(path) for name, path in result.files.items()}
    maps = {name: files[f"{lead}{name}"] for name in ("damage", "packing") if f"{lead}{name}" in files}
    figures = result.figures.get("baseline", {}) if lead else result.figures
    names = tuple(figures.get("fraction", ()))
    contrast = {name: map_contrast(path) for name, path in maps.items()}
    return Side(damage, files.get(f"{lead}classes"), names, maps, contrast)


def _pictures(damage: Damage, baseline: Damage | None) -> dict[str, Figure]:
    from napari_nanoseg.measurement.damage.figures import damage_figures

    found = damage_figures(damage, baseline)
    return {name: found[name] for name in (PROFILE, SLOPE, CORRELATION, CRACKS) if name in found}


def _prepared(picture: Figure) -> Figure:
    """Draw a picture once, with room for text that is wider in the few pixels of a dock."""
    engine: Any = picture.get_layout_engine()
    engine.set(w_pad=ROOM, h_pad=ROOM)
    return prepare(picture)


def _slice(path: Path, number: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(open_volume(path).read(number, number + 1)[0], np.float64)


def _distribution(damage: Damage, values: Any, number: int) -> DataFrame:
    """The table of a distribution, of one slice."""
    from pandas import DataFrame

    from napari_nanoseg.measurement.damage.profile import Distribution

    row = damage.profile.iloc[number]
    one = Distribution(values, int(row["windows"]))
    grid = np.linspace(0, min(one.largest + 4 * one.bandwidth, 1.0), 401)
    depth = damage.lengths.depth
    return DataFrame({"slice": number, depth: row[depth], "damage": grid, "probability_density": one.density(grid)})


def _correlated(damage: Damage, values: Any, packing: Any, number: int, plane: tuple[int, int]) -> Damage:
    """The damage with the windows and the line of one slice; the maps have a window around every pixel, or some."""
    from napari_nanoseg.measurement.damage.windows import Windows

    points = np.stack([packing, values], axis=-1)
    windows = Windows.stepped(plane, damage.window, damage.config.overlap)
    stride = damage.config.stride
    for axis, (starts, _) in enumerate((windows.rows, windows.columns)):
        places = np.round((starts + damage.window[axis] // 2 - stride // 2) / stride).astype(int)
        points = np.take(points, np.clip(places, 0, points.shape[axis] - 1), axis)
    points = points.reshape(-1, 2)
    if damage.config.normalise == "particle":
        points = points[points[:, 0] > 0]
    table = damage.correlation
    return replace(damage, points=points, correlation=table[table["slice"] == number])


def _is_told(path: Path) -> bool:
    hidden = any(part.startswith(".") or part.endswith((".zarr", ".part")) for part in path.parts)
    return not hidden and path.suffix in COPIED and path.name != "journal.json"


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)
