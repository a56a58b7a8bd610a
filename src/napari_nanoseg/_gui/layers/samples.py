"""From annotated images to layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_nanoseg._gui.layers.making import ANNOTATED, KNOWN_REGION
from napari_nanoseg.layer_data import LayerData, image_layer, labels_layer, outlines_layer, outlines_of_overlapping
from napari_nanoseg.samples import Sample

if TYPE_CHECKING:
    from pandas import DataFrame

    from napari_nanoseg.generators.cathode.phantom import Phantom


def sample_layers(sample: Sample) -> list[LayerData]:
    """Layers of an annotated image.

    The image, its particles (with true values as features where a generator gave them), outlines of those that overlap
    and, hidden, the region where the annotation can be trusted.
    """
    calibration, particles = sample.image.calibration, sample.instances
    annotated = labels_layer(
        particles,
        calibration,
        f"{sample.name}: annotated",
        table=_truth_table(sample),
        role="particles",
        colour=None if particles.overlapping else ANNOTATED,
    )
    layers = [image_layer(sample.image, sample.name), annotated]
    if particles.overlapping:
        below = Layer.create(*annotated)
        assert isinstance(below, Labels), "labels_layer describes labels"
        layers.append(outlines_layer(outlines_of_overlapping(particles), below, f"{sample.name}: overlaps"))
    if sample.known is not None:
        known = sample.known.astype(np.uint8)
        layers.append(labels_layer(known, calibration, f"{sample.name}: {KNOWN_REGION}", visible=False))
    return layers


def phantom_layers(phantom: Phantom, name: str) -> list[LayerData]:
    """Layers of a phantom: its volume, the classes of the voxels, and hidden its particles with their true values."""
    calibration, table = phantom.image.calibration, _table(phantom.truth)
    return [
        image_layer(phantom.image, name),
        labels_layer(phantom.classes, calibration, f"{name}: classes"),
        labels_layer(phantom.particles, calibration, f"{name}: particles", table=table, visible=False),
    ]


def _truth_table(sample: Sample) -> DataFrame | None:
    """What the generator knows about each object, if it does."""
    return None if sample.truth is None else _table(sample.truth)


def _table(truth: Mapping[str, NDArray[Any]]) -> DataFrame:
    from pandas import DataFrame

    return DataFrame(dict(truth)).rename(columns={"id": "label"})
