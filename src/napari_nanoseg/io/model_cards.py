"""Models on disk, read without their weights and without torch: what a list of models shows."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.documents import CONFIGS, parse_json, parse_yaml
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.cdnet_files import CDNET_CONFIG, is_cdnet, read_cdnet_config
from napari_nanoseg.io.detectron2_config import read_config
from napari_nanoseg.io.detectron2_files import WEIGHTS_SUFFIXES, detectron2_files, is_detectron2
from napari_nanoseg.io.keras_files import KERAS_CONFIG, KERAS_WEIGHTS, is_keras_weights
from napari_nanoseg.io.limits import MOST_WEIGHTS
from napari_nanoseg.io.zips import opened_zip, read_entry
from napari_nanoseg.reading import read_file

_COPY = "copy the whole model again"
CARD = "model.yaml"
WEIGHTS = "weights.safetensors"
CHECKPOINT, HISTORY, PREVIEW, JOB, RUN = "checkpoint.pt", "history.csv", "preview.png", "job.yaml", "run.yaml"
"""What a training leaves beside them: where it stands, its losses, a picture, the job to resume it with, its record."""
JUDGED = "judged.yaml"
"""In the folder of a training of a sweep: its figures on the validation images."""
MODEL_FILES = frozenset((CARD, WEIGHTS, CHECKPOINT, HISTORY, PREVIEW, JOB, RUN, JUDGED))
"""All that a training writes into the folder of its model."""
README = "README.md"
"""For people: data, licence, figures, limits."""
ANNOTATED = "annotated"
"""Dataset in the folder of a model that was trained from layers."""
KERAS_THRESHOLDS_FILE = "thresholds.json"
KERAS_THRESHOLDS = {"prob": 0.5, "nms": 0.4}
"""The original's, where there is no valid file of thresholds."""
CDNET_THRESHOLDS = {"prob": 0.5, "nms": 0.4}
"""As the paper takes what is probable; objects of a class never overlap, so that the other means nothing."""


@dataclass(frozen=True)
class ModelEntry:
    """One model of a list.

    Parameters
    ----------
    name : str
        Name of its folder, or of its zip without the suffix.
    path : Path
        What :func:`napari_nanoseg.load_model` takes.
    card : ModelCard or None
        None for models of the original StarDist, of Detectron2 and of CDNet, and when the card cannot be read.
    problem : str or None
        Why it cannot be used, in one sentence; None when nothing is known against it.
    thresholds : mapping or None
        The model's own: ``prob`` and ``nms``; None when there is a problem, and for models without probabilities.
    engine : str or None
        Kind of its network; None when there is a problem.
    """

    name: str
    path: Path
    card: ModelCard | None = None
    problem: str | None = None
    thresholds: Mapping[str, float] | None = None
    engine: str | None = None

    @property
    def trainable(self) -> bool:
        """Whether a training may start from it: it is whole, and a network."""
        return self.problem is None and (self.card is None or self.card.needs_weights)


def read_card(folder: Path) -> ModelCard:
    """Read ``model.yaml``.

    Raises
    ------
    NanosegError
        When it is not there, not a model card or cut off.
    """
    path = folder / CARD
    return parse_card(read_file(path, CONFIGS.size, _COPY), path)


def parse_card(content: bytes, path: Path) -> ModelCard:
    """Make the card of the content of the ``model.yaml`` at `path`.

    Raises
    ------
    NanosegError
        When it is not a model card or cut off.
    """
    card = ModelCard.parse(parse_yaml(content, path, CONFIGS, _COPY), str(path))
    if card.needs_weights and not card.weights_sha256:  # the last field
        raise NanosegError(f"{path} is cut off: its end, with the hash of the weights, is missing; copy it again.")
    return card


def list_models(folder: Path) -> list[ModelEntry]:
    """Models that lie in a folder, sorted by name.

    Parameters
    ----------
    folder : Path
        The folder of models; one that is not there or cannot be read has none.

    Returns
    -------
    list of ModelEntry
        A damaged model is among them, with its problem.
    """
    try:
        found = sorted(folder.iterdir(), key=lambda path: path.name.lower())
    except OSError:
        return []
    return [describe_model(path) for path in found if not path.name.startswith(".") and is_model(path)]


def is_model(path: Path) -> bool:
    """Whether there is a model at this path: a folder with a card, or a model of an original implementation.

    That is the folder or zip of a StarDist model, weights of Detectron2 with their config, or weights of CDNet, or the
    folder of them.
    """
    try:
        return (path / CARD).is_file() or is_keras(path) or is_detectron2(path) or is_cdnet(path)
    except OSError:
        return False


def model_name(path: Path) -> str:
    """Name of the model at a path: that of its folder, or of its file without the suffix."""
    if path.name == CDNET_CONFIG:
        return path.parent.name
    return (
        path.stem
        if path.suffix.lower() in (".zip", *WEIGHTS_SUFFIXES, *KERAS_WEIGHTS) and not path.is_dir()
        else path.name
    )


def describe_model(path: Path) -> ModelEntry:
    """Describe the model at a path; what is wrong with it becomes the entry's problem."""
    name = model_name(path)
    try:
        if not path.exists():
            raise NanosegError(f"There is no model at {path} any more; choose another.")
        if (path / CARD).is_file():
            card = read_card(path)
            if not card.needs_weights:
                return ModelEntry(name, path, card, engine=card.network.engine)
            if not (path / WEIGHTS).is_file():
                raise NanosegError(f"{path} has no {WEIGHTS}; copy the whole model folder again.")
            thresholds = {str(key): value for key, value in card.thresholds.items()}
            return ModelEntry(name, path, card, thresholds=thresholds, engine=card.network.engine)
        if is_keras(path):
            return ModelEntry(name, path, thresholds=_check_keras(path), engine="stardist")
        if is_detectron2(path) or path.suffix.lower() in WEIGHTS_SUFFIXES:
            config = read_config(detectron2_files(path)[1])
            thresholds = {"prob": config.score_threshold, "nms": config.nms_threshold}
            return ModelEntry(name, path, thresholds=thresholds, engine=config.engine)
        if is_cdnet(path):
            return ModelEntry(name, path, thresholds=CDNET_THRESHOLDS, engine=read_cdnet_config(path).engine)
        raise NanosegError(f"{path} {NO_MODEL}")
    except NanosegError as error:
        return ModelEntry(name, path, problem=str(error))
    except OSError as error:
        return ModelEntry(
            name, path, problem=f"{path} cannot be read ({error.strerror}); check the path and its permissions."
        )
    except Exception as error:  # whatever is wrong with one model, it must not hide the others
        return ModelEntry(name, path, problem=f"{path} is damaged ({error}); copy the whole model again.")


NO_MODEL = (
    f"is not a model that can be used: choose a folder with {CARD}, the folder ({KERAS_CONFIG} and *.h5) or zip of a "
    "StarDist model, weights of Detectron2 (*.pth, *.pkl) with their config (*.yaml) beside them, or weights of CDNet "
    f"(*.hdf5, with or without {CDNET_CONFIG})."
)
"""What is said of any other path, after its name."""


def is_keras(path: Path) -> bool:
    """Whether `path` is a model folder of the original StarDist, or a zip that may be one."""
    if path.is_dir():
        return (path / KERAS_CONFIG).is_file() and any(keras_weights(path))
    return path.suffix.lower() == ".zip" and path.is_file() and zipfile.is_zipfile(path)


def keras_weights(folder: Path) -> Iterator[Path]:
    """Files of weights in a model folder of the original."""
    return (path for path in folder.iterdir() if is_keras_weights(path.name))


def keras_root(names: Iterable[str], path: Path) -> str:
    """Where in a zip the model lies: the beginning of the names of its files.

    Raises
    ------
    NanosegError
        When there is no ``config.json`` among the names.
    """
    names = list(names)
    configs = [name for name in names if name.rsplit("/", 1)[-1] == KERAS_CONFIG]
    others = WEIGHTS_SUFFIXES if configs else (*WEIGHTS_SUFFIXES, *KERAS_WEIGHTS)
    if any(name.rsplit("/", 1)[-1] == CARD or name.endswith(others) for name in names):
        raise NanosegError(f"{path} is an exported model; import it first, with 'nanoseg models import'.")
    if not configs:
        raise NanosegError(f"{path}: there is no {KERAS_CONFIG} in this zip; it is not a StarDist model.")
    return min(configs, key=len).removesuffix(KERAS_CONFIG)


def keras_thresholds(text: bytes | None) -> dict[str, float]:
    """Thresholds of a model of the original: from its file, or the original's own where that is missing or invalid."""
    try:
        found = parse_json(text or b"", KERAS_THRESHOLDS_FILE, dict, CONFIGS)
        values = {name: float(found[name]) for name in KERAS_THRESHOLDS}
    except (NanosegError, ValueError, KeyError, TypeError):
        return dict(KERAS_THRESHOLDS)
    return values if all(0 < value < 1 for value in values.values()) else dict(KERAS_THRESHOLDS)


def _check_keras(path: Path) -> dict[str, float]:
    """Check the config of the model of the original at a path; its thresholds."""
    return check_keras(keras_files(path, weights=False), path)


def keras_files(path: Path, *, weights: bool) -> dict[str, bytes]:
    """Read the files of the folder or zip of a model of the original.

    Parameters
    ----------
    path : Path
    weights : bool
        Read the weights of a zip, too; those of a folder are never among them.

    Returns
    -------
    dict
        Contents by name, without any folder.

    Raises
    ------
    NanosegError
        When the zip is damaged or not a model, or a file is too large.
    """
    wanted = (KERAS_CONFIG, KERAS_THRESHOLDS_FILE)
    if path.is_dir():
        return {name: read_file(path / name, CONFIGS.size, _COPY) for name in wanted if (path / name).is_file()}
    files, left = {}, MOST_WEIGHTS
    with opened_zip(path, path) as archive:
        root = keras_root(archive.namelist(), path)
        for entry in archive.infolist():
            # Only the files of the model itself, by their last name: no path of the archive is followed.
            name = entry.filename.removeprefix(root)
            if not entry.filename.startswith(root):
                continue
            if name in wanted:
                files[name] = read_entry(archive, entry, CONFIGS.size, path)
            elif weights and is_keras_weights(name):
                files[name] = read_entry(archive, entry, left, path)
                left -= entry.file_size
    return files


def check_keras(files: Mapping[str, bytes], path: Path) -> dict[str, float]:
    """See that the config of a model of the original can be read, and is 2-D.

    Parameters
    ----------
    files : mapping of str to bytes
        Contents by name; the config is among them.
    path : Path
        Of the model, for sentences.

    Returns
    -------
    dict
        The model's thresholds.

    Raises
    ------
    NanosegError
        When it cannot be used.
    """
    dimensions = parse_json(files[KERAS_CONFIG], path / KERAS_CONFIG, dict, CONFIGS, _COPY).get("n_dim", 2)
    if dimensions != 2:
        raise NanosegError(f"{path}: this is a {dimensions}-D StarDist model; only 2-D models can be used.")
    return keras_thresholds(files.get(KERAS_THRESHOLDS_FILE))
