"""Models of CDNet: where their files lie, and which network they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.documents import CONFIGS, parse_json
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.hdf5_files import opened_weights, own_group
from napari_nanoseg.io.keras_files import DAMAGED, KERAS_CONFIG, KERAS_WEIGHTS, is_keras_weights, keras_layers
from napari_nanoseg.reading import read_file

if TYPE_CHECKING:
    import h5py

CDNET_CONFIG = "u-net.json"
"""Keras' description of the network, which may be absent."""
LAYERS_PER_LEVEL, OTHER_LAYERS = 5, 4
"""Convolutions: two on the way down and three on the way up; two at the bottom and two of the head."""


def is_cdnet(path: Path) -> bool:
    """Whether `path` is weights of CDNet, its description with weights beside it, or a folder of them.

    Weights without a description must be a file that Keras wrote: other data has the same suffixes.
    """
    folder = path if path.is_dir() else path.parent
    if (folder / KERAS_CONFIG).is_file():
        return False
    if folder != path and path.name != CDNET_CONFIG:
        return path.suffix.lower() in KERAS_WEIGHTS and path.is_file() and _is_by_keras(path)
    if not folder.is_dir():
        return False
    weights = [file for file in folder.iterdir() if is_keras_weights(file.name) and file.is_file()]
    described = (folder / CDNET_CONFIG).is_file()
    return bool(weights) and (described or any(_is_by_keras(file) for file in weights))


def cdnet_files(path: Path) -> tuple[Path, Path | None]:
    """Weights and description of a model of CDNet; None where there is no description.

    Parameters
    ----------
    path : Path
        The weights, the description, or their folder.

    Raises
    ------
    NanosegError
        When there are no weights, or it is not clear which.
    """
    folder = path if path.is_dir() else path.parent
    if folder != path and path.name != CDNET_CONFIG:
        weights = path.name
    else:
        weights = chosen_weights((file.name for file in folder.iterdir() if file.is_file()), path)
    described = folder / CDNET_CONFIG
    return folder / weights, described if described.is_file() else None


def chosen_weights(names: Iterable[str], path: Path) -> str:
    """Of the names of the files of a model at a path, that of its weights."""
    weights = [name for name in names if is_keras_weights(name)]
    if len(weights) != 1:
        found = f"there are {len(weights)} files of weights (*.hdf5)" if weights else "there are no weights (*.hdf5)"
        raise NanosegError(f"{path}: {found}; choose the file that is meant.")
    return weights[0]


def read_cdnet_config(path: Path) -> UNetConfig:
    """Find out which network the model of CDNet at a path is; see :func:`cdnet_config`."""
    weights, described = cdnet_files(path)
    description = None if described is None else read_file(described, CONFIGS.size)
    try:
        with opened_weights(weights, weights) as file:
            return cdnet_config(file, description, path)
    except DAMAGED as error:
        raise NanosegError(
            f"{weights} is damaged or not the HDF5 weights of CDNet; copy the whole model again."
        ) from error


def cdnet_config(weights: h5py.File, described: bytes | None, path: Path) -> UNetConfig:
    """Find out which network the files of a model of CDNet describe.

    Parameters
    ----------
    weights : h5py.File
        Only the shapes of what is in it are looked at.
    described : bytes or None
        Content of ``u-net.json``.
    path : Path
        Of the model, for sentences.

    Returns
    -------
    UNetConfig

    Raises
    ------
    NanosegError
        When the files are damaged or of another network.
    """
    try:
        layers = keras_layers(weights)
        kernels = [tuple(arrays["kernel"].shape) for _, arrays in layers]
    except DAMAGED as error:
        raise NanosegError(f"{path}: the weights are damaged or not CDNet's; copy the whole model again.") from error
    levels, rest = divmod(len(kernels) - OTHER_LAYERS, LAYERS_PER_LEVEL)
    if rest or not 1 <= levels <= 6 or any(len(kernel) != 4 for kernel in kernels):
        raise NanosegError(f"{path}: the weights are of another network than CDNet's U-Net; choose another model.")
    channels, filters = kernels[0][2:]
    if channels != 1:
        raise NanosegError(f"{path}: the network takes images of {channels} channels; CDNet's takes grey ones.")
    config = UNetConfig.parse(
        UNetConfig.original().model_dump() | {"filters": filters, "levels": levels}, f"{path}: the weights"
    )
    if described is not None:
        _check_description(described, len(kernels), path)
    return config


def _is_by_keras(path: Path) -> bool:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "layer_names" in own_group(file, "model_weights").attrs
    except DAMAGED:
        return False


def _check_description(content: bytes, convolutions: int, path: Path) -> None:
    """Refuse a description of what the weights alone do not tell: another network of layers of the same shapes."""
    advice = "copy the whole model again"
    try:
        layers = parse_json(content, path / CDNET_CONFIG, dict, CONFIGS, advice)["config"]["layers"]
        described = [(str(layer["class_name"]), layer["config"], layer["inbound_nodes"]) for layer in layers]
        kernels = {str(config["name"]): config["kernel_size"] for kind, config, _ in described if kind == "Conv2D"}
        wrong = _wrong(described, kernels)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise NanosegError(f"{path}: {CDNET_CONFIG} cannot be read; {advice}.") from error
    if wrong is not None:
        raise NanosegError(f"{path}: {CDNET_CONFIG} describes another network than CDNet's U-Net ({wrong}).")
    if len(kernels) != convolutions:
        raise NanosegError(
            f"{path}: {CDNET_CONFIG} describes {len(kernels)} convolutions and the weights are of {convolutions}; "
            "the two files do not belong together."
        )


def _wrong(layers: list[tuple[str, Mapping[str, Any], Any]], kernels: Mapping[str, Any]) -> str | None:
    """What is otherwise than in CDNet's U-Net, if anything."""
    last = list(kernels)[-1]
    for kind, config, inbound in layers:
        name = config["name"]
        if kind == "Conv2D":
            wanted = "sigmoid" if name == last else "relu"
            if config["activation"] != wanted:
                return f"the activation of '{name}' is {config['activation']}"
            if config["padding"] != "same" and kernels[name] != [1, 1]:
                return f"the padding of '{name}' is {config['padding']}"
        elif kind == "UpSampling2D" and config.get("interpolation", "nearest") != "nearest":
            return f"the interpolation of '{name}' is {config['interpolation']}"
        elif kind == "Concatenate":
            sources = [source for source in _names(inbound) if source in {one["name"] for _, one, _ in layers}]
            if len(sources) != 2 or kernels.get(sources[1]) != [2, 2]:
                return f"the inputs of '{name}' are in another order"
        elif kind not in ("InputLayer", "MaxPooling2D", "Dropout", "SpatialDropout2D", "UpSampling2D"):
            return f"it has a layer {kind}"
    return None


def _names(nested: Any) -> Iterator[str]:
    """All texts in lists and dictionaries, in order: Keras 2 and 3 say differently where a layer's input comes from."""
    if isinstance(nested, str):
        yield nested
    elif isinstance(nested, (list, dict)):
        for inner in nested.values() if isinstance(nested, dict) else nested:
            yield from _names(inner)
