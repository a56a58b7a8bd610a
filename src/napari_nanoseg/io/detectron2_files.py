"""Where the weights and the config of a model of Detectron2 lie."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.reading import read_file

WEIGHTS_SUFFIXES = (".pth", ".pkl")
CONFIG_SUFFIXES = (".yaml", ".yml")
D2_WEIGHTS, D2_CONFIG = "model_final.pth", "config.yaml"
"""As Detectron2's trainer names them."""
LAST = "last_checkpoint"
"""File in which it names the newest weights."""
LONGEST_NAME = 4096
"""Bytes of that file."""
_OURS = ("model.yaml", "job.yaml", "run.yaml")


def is_detectron2(path: Path) -> bool:
    """Whether `path` is weights of Detectron2 with a config beside them, or a folder with both."""
    if not path.is_dir() and not (_is(path.name, WEIGHTS_SUFFIXES) and path.is_file()):
        return False
    folder = path if path.is_dir() else path.parent
    names = [file.name for file in folder.iterdir() if _is(file.name, WEIGHTS_SUFFIXES + CONFIG_SUFFIXES)]
    found = [name for name in names if name not in _OURS]
    return any(_is(name, WEIGHTS_SUFFIXES) for name in found) and any(_is(name, CONFIG_SUFFIXES) for name in found)


def detectron2_files(path: Path) -> tuple[Path, Path]:
    """Weights and config of a model of Detectron2.

    Parameters
    ----------
    path : Path
        The weights, or the folder of a training. Of several weights, ``model_final.pth``, else those that
        ``last_checkpoint`` names; of several configs, that of the name of the weights, else ``config.yaml``.

    Raises
    ------
    NanosegError
        When there is none of one of them, or it is not clear which.
    """
    folder = path if path.is_dir() else path.parent
    names = sorted(file.name for file in folder.iterdir() if file.is_file())
    weights = path.name if folder != path else chosen_weights(names, path, _last(folder))
    return folder / weights, folder / chosen_config(names, weights, path)


def chosen_weights(names: Iterable[str], path: Path, last: str = "") -> str:
    """Of the names of the files of a model at a path, that of its weights; `last` is that of the newest."""
    weights = [name for name in names if _is(name, WEIGHTS_SUFFIXES)]
    if not weights:
        raise NanosegError(f"{path}: there are no weights (*.pth or *.pkl); choose another folder.")
    if len(weights) == 1:
        return weights[0]
    for name in (D2_WEIGHTS, last):
        if name in weights:
            return name
    raise NanosegError(
        f"{path} has {len(weights)} files of weights and none is called {D2_WEIGHTS}; choose one of the files."
    )


def chosen_config(names: Iterable[str], weights: str, path: Path) -> str:
    """Of the names of the files of a model at a path, that of the config of its weights."""
    configs = [name for name in names if _is(name, CONFIG_SUFFIXES) and name not in _OURS]
    if not configs:
        raise NanosegError(
            f"{path}: there is no config of Detectron2 (*.yaml) beside {weights}; put the model's {D2_CONFIG} there."
        )
    for own in (*(f"{Path(weights).stem}{suffix}" for suffix in CONFIG_SUFFIXES), D2_CONFIG):
        if own in configs:
            return own
    if len(configs) > 1:
        raise NanosegError(
            f"{path}: there are {len(configs)} configs (*.yaml); give the one of {weights} the name {D2_CONFIG}."
        )
    return configs[0]


def _is(name: str, suffixes: tuple[str, ...]) -> bool:
    return name.lower().endswith(suffixes) and not name.startswith(".") and "/" not in name


def _last(folder: Path) -> str:
    try:
        return read_file(folder / LAST, LONGEST_NAME).decode("utf-8").strip()
    except (NanosegError, ValueError):
        return ""
