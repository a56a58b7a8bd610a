"""From annotated images to layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Layer

from napari_nanoseg._gui.layers.making import (
    ANNOTATED,
    KNOWN_REGION,
    LayerData,
    image_layer,
    labels_layer,
    outlines_layer,
    outlines_of_overlapping,
)
from napari_nanoseg.samples import Sample

if TYPE_CHECKING:
    from pandas import DataFrame


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


def _truth_table(sample: Sample) -> DataFrame | None:
    """What the generator knows about each object, if it does."""
    if sample.truth is None:
        return None
    from pandas import DataFrame

    return DataFrame(dict(sample.truth)).rename(columns={"id": "label"})
