"""Weights that Keras wrote, by layer; no torch, nothing is read but what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from napari_nanoseg.io.hdf5_files import MOST_OBJECTS, own_group

if TYPE_CHECKING:
    import h5py

KERAS_CONFIG = "config.json"
"""Of a StarDist model; those of CDNet do not have it."""
KERAS_WEIGHTS = (".h5", ".hdf5")
DAMAGED = (OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError)
"""What h5py raises for content that is damaged or not what Keras writes."""
MOST_NAMES = 2 << 30
"""Bytes that names of any length may have, were each as long as the file; those of Keras have a fixed length."""


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
    group = own_group(file, "model_weights")
    layers: list[tuple[str, Mapping[str, h5py.Dataset]]] = []
    for name in _names(group, "layer_names"):
        weights = {}
        for full in _names(group[name], "weight_names"):
            weight = group[name][full]
            if weight.dtype.kind not in "fiu":
                raise TypeError(f"{full} has no numbers")
            weights[full.rsplit("/", 1)[-1].split(":")[0]] = weight
        if weights:
            layers.append((name, weights))
    return layers


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """Names in an attribute, each once; their size is known before they are read."""
    about = group.attrs.get_id(attribute)
    if len(about.shape) != 1 or about.shape[0] > MOST_OBJECTS:
        raise ValueError(f"{attribute} is no list of names")
    if about.dtype.kind == "O" and about.shape[0] * group.file.id.get_filesize() > MOST_NAMES:
        raise ValueError(f"all of {attribute} may be the same long text")
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs[attribute]]
    if len(set(names)) < len(names):
        raise ValueError(f"{attribute} has a name twice")
    return names
