"""What a training starts from: nothing, a model, or published weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nanoseg.config.jobs import GENERATING, read_job
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.paths import AUTO, COCO
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.documents import read_yaml
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, tell
from napari_nanoseg.io.detectron2_config import read_config
from napari_nanoseg.io.detectron2_files import WEIGHTS_SUFFIXES, detectron2_files, is_detectron2
from napari_nanoseg.io.model_cards import JOB, is_model
from napari_nanoseg.io.model_library import find_model, starter_folder

if TYPE_CHECKING:
    from napari_nanoseg.engines.base import NetworkModel


def settled(job: TrainJob) -> TrainJob:
    """The job with its start found, and what was left open filled in as suits that start and the dataset.

    Raises
    ------
    NanosegError
        When there is no model of the name of the start.
    """
    start = starting_model(job)
    config = job.config
    if config.synthetic_per_real is None and is_generated(job.dataset):
        config = config.model_copy(update={"synthetic_per_real": 0})
    config = config.filled(fine_tuning=start is not None and _goes_on(start, config))
    return job.model_copy(update={"config": config, "start_from": start})


def is_generated(folder: Path) -> bool:
    """Whether the run record in a dataset says that it was generated."""
    try:
        record = read_yaml(folder / "run.yaml")
    except NanosegError:
        return False
    config = record.get("config") if isinstance(record, dict) else None
    return isinstance(config, dict) and str(config.get("job")) in GENERATING


def starting_model(job: TrainJob) -> Path | None:
    """Find what a training starts from: a model, weights trained on COCO (`COCO` or a file), or None: from scratch.

    A training that is resumed goes on from what it was started from.

    Raises
    ------
    NanosegError
        When there is no model of that name.
    """
    if job.start_from is None or job.start_from == COCO or is_coco_file(job.start_from):
        return job.start_from
    if job.start_from != AUTO:
        return find_model(job.start_from)
    if job.resume and (job.out / JOB).is_file():
        before = read_job(job.out / JOB)
        return before.start_from if isinstance(before, TrainJob) else None
    return automatic_start(job.config)


def automatic_start(config: TrainConfig) -> Path | None:
    """The starter, or `COCO` for the network that was trained on it, unless another network or scale is asked for."""
    if isinstance(config.engine, MaskRCNNConfig):
        return COCO if config.engine.unlike_coco is None else None
    usual = TrainConfig()
    suits = config.engine == usual.engine and config.working_diameter == usual.working_diameter
    return starter_folder() if suits and is_model(starter_folder()) else None


def is_coco_file(path: Path) -> bool:
    """Whether a path is a file of weights alone, such as torchvision's, without the config of a Detectron2 model."""
    return path.suffix.lower() in WEIGHTS_SUFFIXES and path.is_file() and not is_detectron2(path)


def reachable(job: TrainJob, start: Path | None) -> Path | None:
    """What is left of a start that was not asked for by name: without weights of COCO, training is from scratch."""
    if start != COCO or job.start_from != AUTO:
        return start
    from napari_nanoseg.engines.maskrcnn.coco_weights import read_coco

    try:
        read_coco()
    except NanosegError as error:
        tell(Notice(f"{error} The training starts from scratch."))
        return None
    return start


def load_start(start: Path | None, config: TrainConfig) -> tuple[NetworkModel | None, dict[str, Any] | None]:
    """Load the model to go on with, or the weights that a network begins with.

    Raises
    ------
    NanosegError
        When it is damaged or of another kind than the network.
    """
    from napari_nanoseg.engines.base import NetworkModel
    from napari_nanoseg.engines.library import load_model
    from napari_nanoseg.engines.maskrcnn.coco_weights import need_fit, read_coco

    if start is None:
        return None, None
    if start == COCO or is_coco_file(start):
        if not isinstance(config.engine, MaskRCNNConfig):
            raise NanosegError(f"The weights of {start} are of a Mask R-CNN; train one, or start from another model.")
        need_fit(config.engine)
        tell(Notice("The training starts from weights trained on COCO."))
        return None, read_coco(None if start == COCO else start)
    tell(Notice(f"The training starts from the model '{start.name}'."))
    model = load_model(start)
    if model.card.network.engine != config.engine.engine or not isinstance(model, NetworkModel):
        raise NanosegError(
            f"{start} is not a {type(config.engine).model_fields['engine'].title} model; choose another one to start "
            "from, or train another kind of network."
        )
    return model, None


def _goes_on(start: Path, config: TrainConfig) -> bool:
    """Whether a start can do something of the task already: weights of COCO and models for other classes cannot."""
    if start == COCO or is_coco_file(start):
        return False
    if is_detectron2(start):
        classes = config.engine.n_classes if isinstance(config.engine, MaskRCNNConfig) else None
        return read_config(detectron2_files(start)[1]).n_classes == classes
    return True
