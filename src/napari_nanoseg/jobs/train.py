"""Train a network on annotated images."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.paths import COCO, absolute
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Event, JobResult, Notice, Progress, Stage, listening, tell
from napari_nanoseg.io.atomic import need_writable, write_text
from napari_nanoseg.io.class_maps import ClassMaps, open_class_maps
from napari_nanoseg.io.datasets import find_dataset, open_dataset
from napari_nanoseg.io.model_cards import CARD, CHECKPOINT, HISTORY, JOB, PREVIEW
from napari_nanoseg.io.processes import training_in
from napari_nanoseg.io.run_record import run_record, write_run_record
from napari_nanoseg.jobs.replacing import in_place, moved, not_of_a_model
from napari_nanoseg.jobs.start import load_start, reachable, settled, starting_model

if TYPE_CHECKING:
    from napari_nanoseg.engines.base import NetworkModel

    Training = Callable[[], tuple[NetworkModel, dict[str, float]]]

T = TypeVar("T")


def train_job(job: TrainJob) -> JobResult:
    """Train as the job says; leaving it early keeps the best model and a checkpoint to resume from.

    The job is written into the model folder at the start: with ``resume: true``, it goes on.
    """
    need_writable(job.out)
    begun = (job.out / CARD).exists() or (job.out / CHECKPOINT).exists()
    occupied = "already holds a model" if begun else None
    read = [job.dataset, job.validation, starting_model(job)]
    with in_place(job, occupied=occupied, strangers=not_of_a_model, inputs=read) as placed:
        result = _trained(placed)
    return moved(result, placed.out, job.out)


def _trained(job: TrainJob) -> JobResult:
    """Train in the folder of the job."""
    from napari_nanoseg.engines.device import choose_device

    started = datetime.now(UTC)
    start = reachable(job, starting_model(job))
    job = settled(job.model_copy(update={"start_from": start}))
    config = job.config
    device, reason = choose_device(config.device)
    tell(Stage("device", reason))
    tell(Stage("read", f"Reading {job.dataset}."))
    resume = job.resume and (job.out / CHECKPOINT).is_file()
    if job.resume and not resume:
        tell(Notice(f"There is no checkpoint in {job.out} yet; the training begins at the first step."))
    prepare = _classes if isinstance(config.engine, UNetConfig) else _particles
    fit = prepare(job, start, device, resume=resume)
    with ExitStack() as announced:  # until all is written
        with listening(_Beginning(job, announced, resume=resume)):
            model, figures = fit()
        inputs = [path for path in (job.dataset, job.validation, start) if path is not None and path != COCO]
        record = run_record(job, inputs, seed=config.seed, device=str(device), figures=figures, started=started)
        model.card = model.card.model_copy(update={"provenance": record})
        model.save(job.out)
        write_run_record(job.out / "run.yaml", record)
    files = {"model": job.out, "history": job.out / HISTORY, "preview": job.out / PREVIEW, "run": job.out / "run.yaml"}
    return JobResult(figures, {name: str(path) for name, path in files.items()})


def _particles(job: TrainJob, start: Path | None, device: Any, *, resume: bool) -> Training:
    """Read what a network for particles is trained with; returns its training, not begun."""
    from napari_nanoseg.engines.maskrcnn.train import train_maskrcnn
    from napari_nanoseg.engines.stardist.train import train_stardist

    config = job.config
    samples = list(open_dataset(job.dataset))
    if job.validation is not None:
        validation = list(open_dataset(job.validation))
    else:
        samples, validation = split(samples, config)
    samples = fewer(samples, config)
    begin, weights = load_start(start, config)
    assert config.synthetic_per_real is not None  # settled
    need_writable(job.out)
    tell(
        Notice(
            f"Images for training: {len(samples)} with {sum(len(s.instances) for s in samples)} particles; "
            f"for validation: {len(validation)}."
        )
    )
    common = config, samples, validation, config.synthetic_per_real, job.out, device
    start_from: Any = begin  # of the engine of the config
    if isinstance(config.engine, MaskRCNNConfig):
        return partial(train_maskrcnn, *common, start_from=start_from, weights=weights, resume=resume)
    return partial(train_stardist, *common, start_from=start_from, resume=resume)


def _classes(job: TrainJob, start: Path | None, device: Any, *, resume: bool) -> Training:
    """Read what a network for classes of pixels is trained with; returns its training, not begun."""
    from napari_nanoseg.engines.unet.train import network_to_train, train_unet

    config = job.config
    assert isinstance(config.engine, UNetConfig)
    begin, _ = load_start(start, config)
    start_from: Any = begin  # of the engine of the config
    network = network_to_train(config.engine, start_from)
    samples = list(open_class_maps(job.dataset, network))
    if job.validation is not None:
        validation = list(ClassMaps(find_dataset(job.validation), network))
    else:
        samples, validation = split(samples, config)
    samples = fewer(samples, config)
    need_writable(job.out)
    tell(Notice(f"Images for training: {len(samples)}; for validation: {len(validation)}."))
    return partial(train_unet, config, samples, validation, job.out, device, start_from=start_from, resume=resume)


class _Beginning:
    """Writes the job beside the model once the first step is done: a training that is refused leaves nothing.

    From then on, or at once where one goes on, others are told in the folder that a training writes there.
    """

    def __init__(self, job: TrainJob, announced: ExitStack, *, resume: bool) -> None:
        self._job, self._announced, self._resume = job, announced, resume
        self._written = False
        if resume:
            announced.enter_context(training_in(job.out))

    def __call__(self, event: Event) -> None:
        if not self._written and isinstance(event, Progress) and event.unit == "steps":
            job = self._job
            if not self._resume:
                self._announced.enter_context(training_in(job.out))
            write_text(job.out / JOB, absolute(job).model_copy(update={"resume": False}).to_yaml())
            self._written = True
        tell(event)


def split(samples: list[T], config: TrainConfig) -> tuple[list[T], list[T]]:
    """Hold out whole images for validation: no image serves both; with one image none is held out."""
    chosen = held_out(len(samples), config)
    return (
        [sample for number, sample in enumerate(samples) if number not in chosen],
        [sample for number, sample in enumerate(samples) if number in chosen],
    )


def held_out(images: int, config: TrainConfig) -> frozenset[int]:
    """Numbers of the images of a dataset that are held out for validation."""
    count = min(images - 1, max(1, round(config.validation_fraction * images)))
    if config.validation_fraction == 0 or count < 1:
        return frozenset()
    seed = config.seed if config.validation_seed is None else config.validation_seed
    return frozenset(np.random.default_rng(seed).permutation(images)[:count].tolist())


def fewer(samples: list[T], config: TrainConfig) -> list[T]:
    """As many training images as are asked for, in their order; a smaller number is part of a larger one.

    Raises
    ------
    NanosegError
        When there are not so many.
    """
    if config.images is None:
        return samples
    need_images(config.images, len(samples))
    chosen = set(np.random.default_rng(config.seed).permutation(len(samples))[: config.images].tolist())
    return [sample for number, sample in enumerate(samples) if number in chosen]


def need_images(wanted: int, there: int) -> None:
    """Refuse to train on more images than there are for training."""
    if wanted > there:
        raise NanosegError(
            f"Training on {wanted} images is asked for, but there are only {there} beside those held out; choose a "
            "smaller number of images."
        )
