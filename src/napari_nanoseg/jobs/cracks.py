"""Find the cracks of a volume and say how it is damaged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.cracks import CracksJob
from napari_nanoseg.config.damage import CRACK, DamageConfig
from napari_nanoseg.config.paths import absolute
from napari_nanoseg.display import Shown
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult, Notice, Stage, tell
from napari_nanoseg.io.atomic import need_writable
from napari_nanoseg.io.model_cards import RUN
from napari_nanoseg.io.model_library import find_model
from napari_nanoseg.io.outputs import is_inside, need_kind
from napari_nanoseg.io.processes import working_in
from napari_nanoseg.io.run_record import read_run_record, run_record, sha256, write_run_record
from napari_nanoseg.io.volumes import open_volume
from napari_nanoseg.io.volumes.ome_zarr import is_zarr, open_levels
from napari_nanoseg.jobs.class_map import JOURNAL, NAMES, PART, goes_on, make_class_map, need_same
from napari_nanoseg.jobs.damage_files import FIGURES, PROFILE, write_damage
from napari_nanoseg.jobs.damage_maps import SUFFIXES, MapFiles
from napari_nanoseg.measurement.damage.analysis import Damage, damage
from napari_nanoseg.samples import Volume

ALIKE = {"config", "out", "overwrite", "baseline", "device", "workers", "cluster", "output"}
"""Fields of the job and of its config that do not change what is found."""
BASELINE = "threshold"
"""Model of the library that needs no network."""


@dataclass(frozen=True, eq=False, repr=False)
class CracksResult(Shown):
    """The files and figures of an analysed volume, and its damage.

    Parameters
    ----------
    result : JobResult
    damage, baseline : Damage or None
        None where nothing was to be analysed.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> volume = ns.sample_data() / "cathode" / "cathode.tif"
    >>> found = ns.cracks(None, volume, "threshold", "cracks", analyse=False)
    >>> found.damage is None
    True
    >>> sorted(found.result.files)
    ['classes', 'run']
    """

    result: JobResult
    damage: Damage | None
    baseline: Damage | None

    def _line(self) -> str:
        return self.result._line()

    def _rows(self) -> dict[str, Any]:
        return self.result._rows()


def cracks_job(job: CracksJob) -> JobResult:
    """Write the class map of a volume, maps, tables and pictures of its damage, and ``run.yaml``.

    The class map is ``classes.ome.zarr`` or ``classes.tif``, unless the job brings one. The maps are ``damage`` and
    ``packing``, in the same form; tables and pictures are those of
    :func:`~napari_nanoseg.jobs.damage_files.write_damage`. With a baseline, the folder ``baseline`` has the same of the
    model ``threshold``. Leaving it early keeps the slabs of the class map that are finished; the same job in the
    same folder goes on with the others.

    The figures are, of a class map that was made, ``voxels``, ``fraction`` (of each class), of the model without a
    network its ``threshold``, and ``seconds`` and ``megavoxels_per_s`` of what was computed now; then those of
    :class:`~napari_nanoseg.measurement.damage.analysis.Damage`; and under ``baseline`` those of the baseline.

    Raises
    ------
    NanosegError
        When the volume or the model cannot be used, the class map is of another size, the folder holds the result of
        another job, or the disk is full.
    """
    return find_cracks(job).result


def find_cracks(job: CracksJob) -> CracksResult:
    """Do what :func:`cracks_job` does, and return the analyses, too."""
    started = datetime.now(UTC)
    if (job.model is None) == (job.classes is None):
        both = "both a model and a class map" if job.model else "neither a model nor a class map"
        raise NanosegError(f"{job.volume}: {both} are given; give one of them ('threshold' needs no network).")
    job = absolute(job if job.model is None else job.model_copy(update={"model": find_model(job.model)}))
    need_writable(job.out)
    tell(Stage("open", f"Opening {job.volume}."))
    volume = open_volume(job.volume, job.config.input)
    _need_room(job, volume)
    if not volume.calibration.known:
        tell(Notice(f"{volume.source} does not tell the size of its voxels in Z, Y and X; give it for results in nm."))
    with working_in(job.out):
        return _written(job, volume, started)


def _written(job: CracksJob, volume: Volume, started: datetime) -> CracksResult:
    """Write all that the job leaves in its folder."""
    figures, files, device, damage = _stages(job, volume)
    baseline = None
    if job.baseline:
        beside, found, _, baseline = _stages(_beside(job), volume)
        figures["baseline"] = beside
        files |= {f"baseline_{name}": path for name, path in found.items()}
    tell(Stage("record", f"Writing {job.out / RUN}."))
    hashes = {}
    for path in (job.volume, job.model, job.classes, job.particle_mask, job.labels):
        if path is not None:
            hashes[path] = sha256(path)
    record = run_record(job, hashes, device=device, figures=figures, started=started)
    write_run_record(job.out / RUN, record)
    files["run"] = job.out / RUN
    return CracksResult(JobResult(figures, {name: str(path) for name, path in files.items()}), damage, baseline)


def _need_room(job: CracksJob, volume: Volume) -> None:
    """Refuse to replace the results of another analysis, unless that is asked for; the same one may be done again.

    Raises
    ------
    NanosegError
        When it would.
    """
    record = job.out / RUN
    need_kind(record, job.job)
    for path in (job.volume, job.classes, job.particle_mask, job.labels):
        for result in _results(job):
            if path is not None and is_inside(path, result):
                raise NanosegError(
                    f"The result {result} would replace {path}, which this job reads; choose another folder."
                )
    if job.model is not None:
        need_same(job, job.model, volume)
    if job.overwrite or _is_done(job):
        return
    there = next((path for path in (record, job.out / PROFILE, job.out / FIGURES) if path.exists()), None)
    going_on = not record.exists() and job.model is not None and (job.out / JOURNAL).is_file()
    if there is not None and not going_on:
        raise NanosegError(
            f"{there} is of an analysis with other settings; choose another folder, or replace existing results "
            "(--overwrite)."
        )


def _results(job: CracksJob) -> list[Path]:
    """Volumes that the job writes."""
    maps = [f"{name}{SUFFIXES[job.config.output]}" for name in ("damage", "packing") if job.config.analyse]
    classes = [] if job.model is None else [NAMES[job.config.output], PART]
    return [job.out / name for name in (*maps, *classes)]


def _is_done(job: CracksJob) -> bool:
    """Whether the folder has the results of this job."""
    return _telling(read_run_record(job.out / RUN).get("config")) == _telling(job.model_dump(mode="json"))


def _telling(values: Any) -> list[dict[str, Any]]:
    """Of the values of a job, what its results depend on."""
    config = values.get("config") if isinstance(values, dict) else None
    several = (values, config) if isinstance(config, dict) else ()
    return [{name: value for name, value in each.items() if name not in ALIKE} for each in several]


def may_write(job: CracksJob) -> bool:
    """Whether the folder of a job has no class map of another job, nor, for a class map that is given, its analysis.

    Raises
    ------
    NanosegError
        When the volume or the model cannot be used.
    """
    if job.model is None:
        return not any((job.out / name).is_file() for name in (JOURNAL, RUN)) or _is_done(absolute(job))
    volume = open_volume(job.volume, job.config.input)
    jobs = [job, _beside(job)] if job.baseline else [job]
    return all(goes_on(one, find_model(one.model), volume) for one in jobs if one.model is not None)


def _beside(job: CracksJob) -> CracksJob:
    """The job of the baseline."""
    change = {"model": find_model(Path(BASELINE)), "classes": None, "out": job.out / "baseline"}
    return job.model_copy(update=change)


def _stages(job: CracksJob, volume: Volume) -> tuple[dict[str, Any], dict[str, Path], str, Damage | None]:
    """Make the class map, where there is none, and analyse it; gives figures, files, the device and the analysis."""
    damage: Damage | None = None
    figures: dict[str, Any] = {}
    files: dict[str, Path] = {}
    device, classes = "cpu", job.classes
    if job.model is not None:
        found = make_class_map(job, job.model, volume)
        figures, files, device = dict(found.figures), {"classes": found.path}, found.device
        classes, names = found.path, found.classes
    else:
        names = _names_of(job)
    if job.config.analyse and CRACK not in names:
        tell(Notice(f"{classes} has no class '{CRACK}' but {', '.join(names)}: there is no damage to be told."))
    elif job.config.analyse:
        assert classes is not None
        config = DamageConfig.parse(job.config.damage.model_dump() | {"names": names}, "classes")
        damage, written = _analyse(job, config, volume, classes)
        figures, files = figures | damage.figures, files | written
    return figures, files, device, damage


def _names_of(job: CracksJob) -> tuple[str, ...]:
    """The names of the classes of a map that is there: of the config, unless only the map itself has several."""
    names = job.config.damage.names
    if job.classes is None or names != DamageConfig().names or not is_zarr(job.classes):
        return names
    told = open_levels(job.classes)[2] or {}
    return (
        tuple(told[value] for value in sorted(told)) if sorted(told) == [*range(1, len(told) + 1)] and told else names
    )


def _analyse(job: CracksJob, config: DamageConfig, volume: Volume, classes: Path) -> tuple[Damage, dict[str, Path]]:
    """Analyse a class map and write all that is told about it."""
    marked, labels = (None if path is None else open_volume(path) for path in (job.particle_mask, job.labels))
    sizes = volume.calibration.pixel_size_nm
    stride = config.stride
    coarse = volume.calibration if sizes is None else Calibration((sizes[0], sizes[1] * stride, sizes[2] * stride))
    maps = MapFiles(job.out, volume.shape[0], coarse, job.config.output)
    try:
        found = damage(
            open_volume(classes), marked, labels=labels, grey=volume, calibration=volume.calibration, config=config,
            write=maps,
        )  # fmt: skip
        tell(Stage("write", f"Writing maps, tables and pictures to {job.out}."))
        files = maps.finish()
    finally:
        maps.close()
    return found, files | write_damage(found, job.out)
