"""StarDist 2-D model folders and zips of the original Keras implementation: reading and writing.

Keras loads by position, so the order of the layers written matters.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import nn

from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.documents import CONFIGS, parse_json
from napari_nanoseg.engines.networks import made
from napari_nanoseg.engines.stardist.network import StarDistNet, _Same
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.atomic import write_bytes, write_text, writing
from napari_nanoseg.io.hdf5_files import opened_weights
from napari_nanoseg.io.keras_files import DAMAGED, KERAS_CONFIG, is_keras_weights, keras_layers
from napari_nanoseg.io.model_cards import KERAS_THRESHOLDS_FILE, check_keras, keras_files, keras_weights


def read_keras(path: Path) -> tuple[StarDistNet, dict[str, float]]:
    """Read a model folder or zip of the original.

    Returns
    -------
    network : StarDistNet
        In evaluation mode on the CPU.
    thresholds : dict
        ``prob`` and ``nms``.

    Raises
    ------
    NanosegError
        When a file is missing or damaged, or the model is not a StarDist 2-D U-Net.
    """
    files = keras_files(path, weights=True)
    thresholds = check_keras(files, path)
    config = _config(parse_json(files[KERAS_CONFIG], path / KERAS_CONFIG, dict, CONFIGS), path)
    # the original takes the newest of several weights
    weights: list[tuple[str, Path | bytes]] = [(name, files[name]) for name in files if is_keras_weights(name)]
    if path.is_dir():
        weights = [(file.name, file) for file in sorted(keras_weights(path), key=lambda file: file.stat().st_mtime)]
    if not weights:
        raise NanosegError(f"{path}: there is no weights file (*.h5); copy the whole model again.")
    name, source = max(reversed(weights), key=lambda one: "best" in one[0])
    try:
        with opened_weights(source, path / name) as file:
            network = made(lambda: StarDistNet(config), file.id.get_filesize(), path)
            _fill(network, keras_layers(file), path)
    except DAMAGED as error:
        raise NanosegError(f"{path}: {name} is damaged; copy the whole model again.") from error
    return network.eval(), thresholds


def _config(raw: dict[str, Any], path: Path) -> StarDistConfig:
    if raw.get("n_dim", 2) != 2:
        raise NanosegError(f"{path}: this is a {raw['n_dim']}-D StarDist model; only 2-D models can be used.")
    if raw.get("backbone", "unet") != "unet":
        raise NanosegError(f"{path}: the backbone '{raw['backbone']}' is not supported; only U-Nets are.")
    known = StarDistConfig.model_fields.keys() - {"engine"}
    values = {name: value for name, value in raw.items() if name in known}
    if values.get("train_dist_loss") not in ("mae", "mse"):
        values["train_dist_loss"] = "mae"
    if values.get("n_classes") is None:
        values.pop("train_class_weights", None)
    # Absent keys mean the original's defaults, not ours.
    defaults = {"grid": (1, 1), **StarDistConfig.original().model_dump(exclude={"grid", "engine"})}
    return StarDistConfig.parse({**defaults, **values}, f"{path}: config.json")


def _keras_name(network: StarDistNet, layer: str) -> str:
    """The Keras name of one of our layers; the convolutions before the U-Net are auto-named there."""
    if layer.startswith("conv2d_"):
        return "conv2d" if layer == "conv2d_0" else layer
    if layer.startswith(("down_", "middle_", "up_")):
        return network.config.unet_prefix + layer
    return layer


def _convolutions(network: StarDistNet) -> dict[str, nn.Conv2d]:
    """Our convolutions by Keras name, in Keras' order of layers."""
    found: dict[str, nn.Conv2d] = {}
    for name, layer in network.layers.items():
        assert isinstance(layer, _Same)
        found[_keras_name(network, name)] = layer.conv
    if isinstance(network.features_class, _Same):
        found["features_class"] = network.features_class.conv
    found["prob"], found["dist"] = network.prob, network.dist
    if network.prob_class is not None:
        found["prob_class"] = network.prob_class
    return found


def _norms(network: StarDistNet) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def _fill(network: StarDistNet, layers: list[tuple[str, Mapping[str, h5py.Dataset]]], path: Path) -> None:
    wanted = _convolutions(network)
    auto = [name for name in wanted if name.startswith("conv2d")]
    named = dict(layers)
    unnamed = [arrays for name, arrays in layers if name not in wanted or name in auto]
    kernels = iter([arrays for arrays in unnamed if "kernel" in arrays and arrays["kernel"].ndim == 4])
    for name, conv in wanted.items():
        arrays = next(kernels, None) if name in auto else named.get(name)
        if arrays is None:
            raise NanosegError(f"{path}: the weights have no layer '{name}' that config.json asks for.")
        _assign(conv.weight, arrays["kernel"], name, path, (3, 2, 0, 1))
        assert conv.bias is not None
        _assign(conv.bias, arrays["bias"], name, path)
    statistics = [arrays for _, arrays in layers if "moving_mean" in arrays]
    norms = _norms(network)
    if len(statistics) != len(norms):
        raise NanosegError(
            f"{path}: {len(statistics)} batch normalisations in the weights, {len(norms)} in the config."
        )
    for norm, arrays in zip(norms, statistics, strict=True):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        _assign(norm.weight, arrays["gamma"], "gamma", path)
        _assign(norm.bias, arrays["beta"], "beta", path)
        _assign(norm.running_mean, arrays["moving_mean"], "moving_mean", path)
        _assign(norm.running_var, arrays["moving_variance"], "moving_variance", path)


def _assign(
    target: torch.Tensor, values: h5py.Dataset, name: str, path: Path, order: tuple[int, ...] | None = None
) -> None:
    """Read weights, in Keras' order of axes or another, when their shape is right."""
    order = order or tuple(range(len(values.shape)))
    found = tuple(values.shape[axis] for axis in order) if len(order) == len(values.shape) else values.shape
    if tuple(target.shape) != found:
        raise NanosegError(
            f"{path}: layer '{name}' has weights of shape {found}, but config.json describes "
            f"{tuple(target.shape)}; the two files do not belong together."
        )
    array = np.asarray(values, np.float32)
    if not np.isfinite(array).all():
        raise NanosegError(f"{path}: layer '{name}' has weights that are NaN or infinite; copy the whole model again.")
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(array.transpose(order))))


def write_keras(network: StarDistNet, thresholds: dict[str, float], training: dict[str, Any], folder: Path) -> None:
    """Write a model folder that the original loads: config.json, thresholds.json, weights_best.h5.

    Parameters
    ----------
    network : StarDistNet
    thresholds : dict
        ``prob`` and ``nms``.
    training : dict
        Values for fields of ``Config2D`` about training (``train_*``) that the architecture does not hold.
    folder : Path
        Made when it is not there.

    Raises
    ------
    NanosegError
        When the folder cannot be written.
    """
    config = network.config
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    known = config.model_dump(mode="json", exclude={"engine"})
    if not known["train_class_weights"]:
        known["train_class_weights"] = [1] * ((config.n_classes or 1) + 1)
    flat = {
        "n_dim": 2,
        "axes": "YXC",
        "n_channel_out": config.n_rays + 1 + (0 if config.n_classes is None else config.n_classes + 1),
        "backbone": "unet",
        "net_input_shape": [None, None, config.n_channel_in],
        "net_mask_shape": [None, None, 1],
        "train_checkpoint": "weights_best.h5",
        "train_checkpoint_last": "weights_last.h5",
        "train_checkpoint_epoch": "weights_now.h5",
        "train_sample_cache": True,
        "train_n_val_patches": None,
        "train_tensorboard": False,
        "train_reduce_lr": {"factor": 0.5, "patience": 40, "min_delta": 0},
        "use_gpu": False,
        **known,
        "train_loss_weights": list(config.loss_weights[: 2 if config.n_classes is None else 3]),
        **training,
    }
    weights = io.BytesIO()  # HDF5 ends the process when the disk is full
    with h5py.File(weights, "w") as file:
        _write_weights(network, file)
    write_bytes(folder / "weights_best.h5", weights.getvalue())
    write_text(folder / KERAS_THRESHOLDS_FILE, json.dumps(thresholds))
    write_text(folder / KERAS_CONFIG, json.dumps(flat))


def _write_weights(network: StarDistNet, file: h5py.File) -> None:
    layers: list[tuple[str, dict[str, torch.Tensor]]] = []
    norm_count = 0
    owners = {id(layer.conv): layer for layer in network.modules() if isinstance(layer, _Same)}
    for name, conv in _convolutions(network).items():
        assert conv.bias is not None
        layers.append((name, {"kernel": conv.weight.detach().permute(2, 3, 1, 0), "bias": conv.bias.detach()}))
        owner = owners.get(id(conv))
        if owner is not None and owner.norm is not None:
            norm = owner.norm
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm_name = "batch_normalization" + (f"_{norm_count}" if norm_count else "")
            norm_count += 1
            values = {"gamma": norm.weight.detach(), "beta": norm.bias.detach()}
            values |= {"moving_mean": norm.running_mean, "moving_variance": norm.running_var}
            layers.append((norm_name, values))
    file.attrs["layer_names"] = np.array([name.encode() for name, _ in layers])
    file.attrs["backend"] = b"tensorflow"
    file.attrs["keras_version"] = b"2.15.0"
    for name, arrays in layers:
        group = file.create_group(name)
        names = [f"{name}/{key}:0" for key in arrays]
        group.attrs["weight_names"] = np.array([full.encode() for full in names])
        for full, array in zip(names, arrays.values(), strict=True):
            group.create_dataset(full, data=array.cpu().numpy().astype(np.float32))
