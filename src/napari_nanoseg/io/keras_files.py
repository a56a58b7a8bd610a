"""Weights that Keras wrote, by layer; no torch, nothing is read but what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h5py

KERAS_CONFIG = "config.json"
"""Of a StarDist model; those of CDNet do not have it."""
KERAS_WEIGHTS = (".h5", ".hdf5")
DAMAGED = (OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError)
"""What h5py raises for content that is damaged or not what Keras writes."""


def is_keras_weights(name: str) -> bool:
    """Whether a file of this name in a model's folder may be its weights."""
    return name.lower().endswith(KERAS_WEIGHTS) and "/" not in name and not name.startswith(".")


def keras_layers(file: h5py.File) -> list[tuple[str, Mapping[str, h5py.Dataset]]]:
    """Every layer with weights, in build order: its name, and its weights by the last part of their names.

    Layouts of Keras 2 (``x/kernel:0``) and Keras 3 (``x/kernel``), and of files of weights alone and of whole models
    are all resolved through the attributes ``layer_names`` and ``weight_names``.

    Raises
    ------
    DAMAGED
        When the file is not what Keras writes.
    """
    group = file.get("model_weights", file)
    layers: list[tuple[str, Mapping[str, h5py.Dataset]]] = []
    for layer in group.attrs["layer_names"]:
        name = _text(layer)
        weights = {}
        for weight in group[name].attrs["weight_names"]:
            full = _text(weight)
            weights[full.rsplit("/", 1)[-1].split(":")[0]] = group[name][full]
        if weights:
            layers.append((name, weights))
    return layers


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
