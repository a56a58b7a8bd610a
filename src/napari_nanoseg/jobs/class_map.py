"""A volume in, the class of every voxel out: slab by slab, so that it can be cancelled and go on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.baseline import ThresholdConfig
from napari_nanoseg.config.cracks import CracksJob
from napari_nanoseg.config.paths import absolute
from napari_nanoseg.engines.baseline.volume import ThresholdPredictor, find_level
from napari_nanoseg.engines.predictor import Predictor
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Stage, tell
from napari_nanoseg.io.atomic import need_writable, replace_folder, writing
from napari_nanoseg.io.leftovers import hidden_beside, remove
from napari_nanoseg.io.model_cards import CARD, read_card
from napari_nanoseg.io.run_record import sha256
from napari_nanoseg.io.volumes.ome_zarr import open_levels
from napari_nanoseg.io.volumes.pyramid import create_zarr, full_resolution, write_coarse_levels, write_slab
from napari_nanoseg.io.volumes.writing import write_tiff
from napari_nanoseg.jobs.journal import Journal
from napari_nanoseg.jobs.slabs import Pool, Slab, Threads, run_slabs, slabs_of
from napari_nanoseg.samples import Volume

NAMES = {"ome-zarr": "classes.ome.zarr", "tiff": "classes.tif"}
PART = "classes.ome.zarr.part"
"""The class map until it is whole, whatever its form will be."""
JOURNAL = "journal.json"
SAME = {"device", "workers", "cluster", "output", "analyse", "damage"}
"""Fields of the config that do not change the classes."""


@dataclass(frozen=True)
class ClassMap:
    """What :func:`make_class_map` leaves.

    Parameters
    ----------
    path : Path
        ``classes.ome.zarr`` or ``classes.tif``.
    classes : tuple of str
        Names; class i has the value i + 1.
    device : str
        What computed them.
    figures : dict
        ``voxels``, ``fraction`` of each class, ``threshold`` of the model without a network, and ``seconds`` and
        ``megavoxels_per_s`` of the slabs that were computed now.
    """

    path: Path
    classes: tuple[str, ...]
    device: str
    figures: dict[str, Any]


def make_class_map(job: CracksJob, model: Path, volume: Volume) -> ClassMap:
    """Write the class map of a volume into the folder of the job; what is done already is not done again.

    Parameters
    ----------
    job : CracksJob
        With absolute paths.
    model : Path
        Where the model lies.
    volume : Volume
        Of the job.

    Raises
    ------
    NanosegError
        When the folder holds the result of another job, the model does not suit, or the volume or the disk fail.
    """
    target = job.out / NAMES[job.config.output]
    need_writable(job.out)
    if target.exists() and not (job.out / JOURNAL).is_file():
        raise NanosegError(f"There is something at {target} already, of which no journal tells; choose another folder.")
    journal = Journal.open(job.out / JOURNAL, _identity(job, model, volume), overwrite=job.overwrite)
    predictor = _make_predictor(job, model, volume)
    figures: dict[str, Any] = {"threshold": predictor.level} if isinstance(predictor, ThresholdPredictor) else {}
    if target.exists() and journal.voxels == math.prod(volume.shape) and not (job.out / PART).exists():
        tell(Notice(f"{target} is there already, made by the same job."))
    else:
        figures |= _compute(job, volume, predictor, journal)
        _finish(job, volume, target)
    counts = [sum(of_slabs) for of_slabs in zip(*journal.slabs.values(), strict=True)]
    voxels = sum(counts)
    fraction = {name: counts[value] / voxels for value, name in enumerate(predictor.classes, 1)}
    return ClassMap(target, predictor.classes, predictor.device, {"voxels": voxels, "fraction": fraction, **figures})


def need_same(job: CracksJob, model: Path, volume: Volume) -> None:
    """Refuse a folder with the class map of another job, unless that is to be overwritten.

    Raises
    ------
    NanosegError
        When it has one.
    """
    Journal.open(job.out / JOURNAL, _identity(job, model, volume), overwrite=job.overwrite)


def goes_on(job: CracksJob, model: Path, volume: Volume) -> bool:
    """Whether the folder of a job is free, or has what an earlier run of the same job left."""
    if not (job.out / JOURNAL).is_file():
        return not (job.out / NAMES[job.config.output]).exists()
    try:
        need_same(absolute(job).model_copy(update={"overwrite": False}), model, volume)
    except NanosegError:
        return False
    return True


def _identity(job: CracksJob, model: Path, volume: Volume) -> dict[str, Any]:
    """All that the classes depend on."""
    size, modified = 0, 0
    files = [job.volume] if job.volume.is_file() else [path for path in job.volume.rglob("*") if path.is_file()]
    for path in files:
        told = path.stat()
        size, modified = size + told.st_size, max(modified, told.st_mtime_ns)
    config = job.config.model_dump(mode="json", exclude=SAME)
    return {
        "volume": str(job.volume),
        "size of the volume": [size, *volume.shape, str(volume.data.dtype)],
        "time of the volume": modified,
        "model": [str(model), sha256(model)],
        **config,
    }


def _make_predictor(job: CracksJob, model: Path, volume: Volume) -> Predictor:
    """Make of the model what gives classes, and fix what depends on the whole volume."""
    if (model / CARD).is_file():
        card = read_card(model)
        if isinstance(card.network, ThresholdConfig):
            tell(Stage("threshold", f"{volume.source}: finding the threshold."))
            level = find_level(volume, job.config.threshold)
            return ThresholdPredictor(job.config.threshold, level)
    from napari_nanoseg.jobs.unet_slabs import prepare_unet

    tell(Stage("load", f"Loading the model {model}."))
    return prepare_unet(model, volume, job.config.network)


def _compute(job: CracksJob, volume: Volume, predictor: Predictor, journal: Journal) -> dict[str, Any]:
    """Compute the slabs that are not done; what was done by an earlier run stays."""
    part, depth = job.out / PART, volume.shape[0]
    here = predictor.on(volume)
    slabs = slabs_of(here.ends, job.config.slab)
    if not part.is_dir():
        journal.slabs.clear()
    if not journal.slabs:
        journal.save()  # first: what is there of another job is not of this one
        remove(part)
        names = dict(enumerate(predictor.classes, 1))
        create_zarr(part, volume.shape, np.dtype(np.uint8), volume.calibration, names)
    else:
        for half in part.rglob("*.partial"):  # Zarr's, of a job that was killed
            half.unlink()
        tell(Notice(f"{len(journal.slabs)} of {len(slabs)} slabs are done already; the job goes on."))
    todo = [slab for slab in slabs if slab[0] not in journal.slabs]
    target = full_resolution(part)

    def finish(slab: Slab, found: NDArray[np.uint8]) -> None:
        with writing(part):
            write_slab(target, slab[0], found)
        # slice by slice, for NumPy makes 64-bit numbers of what it counts
        counts = sum(np.bincount(plane.ravel(), minlength=len(predictor.classes) + 1) for plane in found)
        journal.add(slab[0], np.asarray(counts).tolist())

    tell(Stage("predict", f"{volume.source}: giving {depth} slices their classes."))
    started = perf_counter()
    run_slabs(todo, depth, _pool(job, volume, predictor) or here, finish)
    seconds = perf_counter() - started
    voxels = sum(stop - start for start, stop in todo) * volume.shape[1] * volume.shape[2]
    return {"seconds": seconds, "megavoxels_per_s": voxels / 1e6 / seconds} if todo else {}


def _pool(job: CracksJob, volume: Volume, predictor: Predictor) -> Pool | None:
    config = job.config
    if config.cluster is not None:
        from napari_nanoseg.jobs.cluster import Cluster

        return Cluster(config.cluster, predictor, job.volume, config.input, config.workers)
    at_once = config.workers or 1
    return Threads(predictor, volume, at_once) if at_once > 1 else None


def _finish(job: CracksJob, volume: Volume, target: Path) -> None:
    """Bring the class map into its form and give it its name."""
    part = job.out / PART
    tell(Stage("write", f"Writing {target}."))
    if job.config.output == "ome-zarr":
        write_coarse_levels(part)
        replace_folder(part, target)
        return
    levels, _, _ = open_levels(part)
    write_tiff(target, Volume(levels[0], volume.calibration, str(part)))
    leaving = hidden_beside(part)
    part.rename(leaving)  # where it has its name it is whole
    remove(leaving)
