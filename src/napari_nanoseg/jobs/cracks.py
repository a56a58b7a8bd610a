"""Find the cracks of a volume and say how it is damaged."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from napari_nanoseg.config.cracks import CracksConfig, CracksJob
from napari_nanoseg.config.paths import absolute
from napari_nanoseg.events import Job, JobResult, Notice, Stage
from napari_nanoseg.io.model_cards import RUN
from napari_nanoseg.io.model_library import find_model
from napari_nanoseg.io.run_record import hash_steps, run_record, write_run_record
from napari_nanoseg.io.volumes import open_volume
from napari_nanoseg.jobs.class_map import class_map_steps


def cracks(config: CracksConfig, volume: str | Path, model: str | Path, out: str | Path) -> Job:
    """Find the cracks of a volume; iterate over the result for progress.

    Parameters
    ----------
    config : CracksConfig
    volume : path
        As :func:`~napari_nanoseg.open_volume` takes it.
    model : path or str
        A U-Net, or ``threshold``, which needs no network.
    out : path
        Folder of the results.

    Yields
    ------
    Event

    Raises
    ------
    NanosegError
        As :func:`cracks_job`.
    """
    return cracks_job(CracksJob(config=config, volume=Path(volume), model=Path(model), out=Path(out)))


def cracks_job(job: CracksJob) -> Job:
    """Write the class map of a volume, ``classes.ome.zarr`` or ``classes.tif``, and ``run.yaml``.

    Closing the generator keeps the slabs that are finished; the same job in the same folder goes on with the others.

    The figures are ``voxels``, ``fraction`` (of each class), of the model without a network its ``threshold``, and
    ``seconds`` and ``megavoxels_per_s`` of what was computed now.

    Raises
    ------
    NanosegError
        When the volume or the model cannot be used, the folder holds the result of another job, or the disk is full.
    """
    started = datetime.now(UTC)
    job = absolute(job.model_copy(update={"model": find_model(job.model)}))
    yield Stage("open", f"Opening {job.volume}.")
    volume = open_volume(job.volume, job.config.input)
    if not volume.calibration.known:
        yield Notice(f"{volume.source} does not tell the size of its voxels in Z, Y and X; give it for results in nm.")
    found = yield from class_map_steps(job, volume)
    figures, files = dict(found.figures), {"classes": found.path}
    yield Stage("record", f"Writing {job.out / RUN}.")
    hashes = {}
    for path in (job.volume, job.model):
        hashes[path] = yield from hash_steps(path)
    record = run_record(job, hashes, device=found.device, figures=figures, started=started)
    write_run_record(job.out / RUN, record)
    files["run"] = job.out / RUN
    return JobResult(figures, {name: str(path) for name, path in files.items()})
