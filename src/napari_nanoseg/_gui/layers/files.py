"""Which file a labels layer shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from napari.layers import Layer

from napari_nanoseg._gui.layers.reading import instances_of
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.annotations import read_labels


def labels_file_of(layer: Layer, instances: Instances | None = None) -> Path | None:
    """The file a labels layer came from, if reading it again gives the same particles.

    Reads the file: not for the thread that draws the window.

    Parameters
    ----------
    layer : Labels layer
    instances : Instances, optional
        Its particles, when they are known already.

    Raises
    ------
    NanosegError
        When the layer holds no labels that can be used.
    """
    shown = instances_of(layer) if instances is None else instances
    for origin in (layer.metadata.get("source"), layer.source.path):
        if not origin or not Path(origin).is_file():
            continue
        try:
            stored = read_labels(origin)
        except NanosegError:
            continue
        if same_particles(stored, shown):
            return Path(origin)
    return None


def same_particles(one: Instances, other: Instances) -> bool:
    """Whether two sets of particles are the same: places, masks, numbers, scores and classes."""
    return (
        one.shape == other.shape
        and np.array_equal(one.boxes, other.boxes)
        and all(np.array_equal(*masks) for masks in zip(one.masks, other.masks, strict=True))
        and np.array_equal(one.ids, other.ids)
        and np.array_equal(one.scores, other.scores)
        and np.array_equal(one.classes, other.classes)
    )
