"""The jobs as functions of the Python API: they run to the end, show their progress and return what they made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nanoseg.arguments import as_path
from napari_nanoseg.config.cracks import CracksConfig, CracksJob
from napari_nanoseg.config.jobs import AnyJob
from napari_nanoseg.config.paths import AUTO
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult
from napari_nanoseg.jobs.cracks import CracksResult, find_cracks
from napari_nanoseg.jobs.run import run_job
from napari_nanoseg.jobs.train import train_job
from napari_nanoseg.progress import Show, shown

if TYPE_CHECKING:
    from napari_nanoseg.engines.base import Model


def train(
    config: TrainConfig | None,
    dataset: str | Path,
    out: str | Path,
    start_from: str | Path | None = AUTO,
    *,
    overwrite: bool = False,
    progress: Show = True,
    **fields: Any,
) -> Model:
    """Train a model on annotated images.

    Ctrl-C keeps the best model so far and a checkpoint in `out`; ``ns.run(ns.TrainJob(..., resume=True))`` resumes the
    training from there.

    Parameters
    ----------
    config : TrainConfig or None
        None stands for the defaults.
    dataset : path
        Folder with ``images/`` and ``masks/``.
    out : path
        Folder of the new model.
    start_from : path, str or None
        A model's path or its name in the library; ``coco`` or torchvision's file: weights of a ``resnet50`` trained on
        COCO; ``auto``: the starter, or ``coco`` for a ``resnet50``, unless `config` asks for another network or scale;
        None: from scratch.
    overwrite : bool
        Replace a model that is in `out`; it stays until the new one is finished.
    progress : bool or callable
        True shows a bar in terminals and notebooks, False nothing; a callable is given every event.
    **fields
        Fields of :class:`TrainConfig`, such as ``steps=300``, which override those of `config`.

    Returns
    -------
    Model
        The trained model; ``model.history`` has losses and validation scores of every epoch.

    Raises
    ------
    NanosegError
        When the dataset or the configuration cannot be used.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> quick = ns.TrainConfig(steps=1, optimize_thresholds=False, workers=0)  # in earnest: ns.TrainConfig()
    >>> model = ns.train(quick, ns.sample_data() / "annotated", "model")
    >>> model
    StarDistModel(StarDist 2-D, 32 rays, 3 levels, 24 filters, 1 channel)
    >>> len(model.history)
    1
    """
    config = TrainConfig.combined(config, fields, "train")
    start = None if start_from is None else as_path(start_from, "train: 'start_from'")
    data, target = as_path(dataset, "train: 'dataset'"), as_path(out, "train: 'out'")
    job = TrainJob(config=config, dataset=data, out=target, start_from=start, overwrite=overwrite)
    with shown(progress):
        train_job(job)
    from napari_nanoseg.engines.library import load_model

    return load_model(target)


def cracks(
    config: CracksConfig | None,
    volume: str | Path,
    model: str | Path,
    out: str | Path,
    *,
    overwrite: bool = False,
    progress: Show = True,
    **fields: Any,
) -> CracksResult:
    """Find the cracks of a volume and analyse its damage.

    Calling it again with the same arguments after Ctrl-C goes on with the slabs that are missing.

    Parameters
    ----------
    config : CracksConfig or None
        None stands for the defaults.
    volume : path
        As :func:`~napari_nanoseg.open_volume` takes it.
    model : path or str
        A U-Net, or ``threshold``, which needs no network.
    out : path
        Folder of the results.
    overwrite : bool
        Replace the results of another analysis in `out`.
    progress : bool or callable
        True shows a bar in terminals and notebooks, False nothing; a callable is given every event.
    **fields
        Fields of :class:`CracksConfig`, which override those of `config`.

    Returns
    -------
    CracksResult
        The figures and files, and the :class:`~napari_nanoseg.Damage`.

    Raises
    ------
    NanosegError
        As :func:`~napari_nanoseg.jobs.cracks.cracks_job`.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> volume = ns.sample_data() / "cathode" / "cathode.tif"
    >>> found = ns.cracks(None, volume, "threshold", "cracks", damage=ns.DamageConfig(window=25))
    >>> len(found.damage.profile)
    32
    >>> ns.open_volume("cracks/classes.ome.zarr")
    Volume(32 x 144 x 144 px, uint8, ZYX, 140 nm/px, 'classes.ome.zarr')
    """
    config = CracksConfig.combined(config, fields, "cracks")
    job = CracksJob(
        config=config,
        volume=as_path(volume, "cracks: 'volume'"),
        model=as_path(model, "cracks: 'model'"),
        out=as_path(out, "cracks: 'out'"),
        overwrite=overwrite,
    )
    with shown(progress):
        return find_cracks(job)


def run(job: AnyJob, *, progress: Show = True) -> JobResult:
    """Run a job in this process: the same as the command line does with ``nanoseg run JOB.yaml``.

    Parameters
    ----------
    job : SegmentJob, TrainJob or another job
        The complete description of the job; :func:`~napari_nanoseg.read_job` reads one from a file.
    progress : bool or callable
        True shows a bar in terminals and notebooks, False nothing; a callable is given every event.

    Returns
    -------
    JobResult
        The figures of the job and the files it wrote.

    Raises
    ------
    NanosegError
        For everything the user can mend.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> job = ns.SegmentJob(model="watershed", images=[ns.sample_data() / "particles.tif"], out="labels")
    >>> result = ns.run(job)
    >>> result.figures["particles"]
    52
    >>> ns.read_labels("labels/particles.tif")
    Instances(52 particles, 768 x 1024 px)
    """
    if not hasattr(job, "job"):
        raise NanosegError(f"run: 'job' is {type(job).__name__}; give a job, such as ns.SegmentJob(...).")
    with shown(progress):
        return run_job(job)
