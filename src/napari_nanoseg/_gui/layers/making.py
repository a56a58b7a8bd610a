"""Layers that only the docks make, and changes of layers that are there; `layer_data` makes all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.instances import Instances
from napari_nanoseg.layer_data import EDGE, METADATA, LayerData, features_of, metadata_of, painted_by
from napari_nanoseg.layer_space import on, space_of
from napari_nanoseg.samples import Image

if TYPE_CHECKING:
    from pandas import DataFrame

ANNOTATED = "#F0E442"
"""Yellow of Okabe and Ito, beside the colours of the error map."""
KNOWN_REGION = "known region"
"""End of the names of layers that show where an annotation can be trusted."""


def density_layer(
    density: Image, place: Calibration | Layer, name: str, *, record: Mapping[str, Any], shown: tuple[float, float]
) -> LayerData:
    """Image layer of the optical density of an image.

    Parameters
    ----------
    density : Image
    place : Calibration or layer
        As in `labels_layer`.
    name : str
        Name of the layer.
    record : mapping
        Run record of what made it.
    shown : pair of float
        Densities that are drawn as black and white.
    """
    if isinstance(place, Layer):
        data, space = on(place, density.data)
    else:
        data, space = density.data, space_of(place, density.axes.lower())
    options = {"name": name, "metadata": {METADATA: {"record": dict(record)}}, "contrast_limits": shown}
    return data, {**options, **space}, "image"


def drawing_layer(layer: Layer, name: str) -> LayerData:
    """Shapes layer without shapes, to draw on an image; what is drawn on a stack is seen in all its slices."""
    space = {option: getattr(layer, option)[-2:] for option in ("scale", "translate", "units", "axis_labels")}
    style = {"edge_color": ANNOTATED, "face_color": "transparent", "edge_width": EDGE}
    return [], {"name": name, "ndim": 2, **space, **style}, "shapes"


def update_labels(
    layer: Labels,
    labels: Instances,
    table: DataFrame | None = None,
    record: Mapping[str, Any] | None = None,
    painted: NDArray[np.int32] | None = None,
) -> None:
    """Show other particles of the same image in a layer made by `labels_layer`, in place of those it shows.

    Parameters
    ----------
    layer : Labels layer
    labels : Instances
    table, record, painted
        As in `labels_layer`.
    """
    data = painted if painted is not None else painted_by(labels)
    layer.data = data.reshape(layer.data.shape)
    layer.features = {} if table is None else features_of(table)
    layer.metadata = {**layer.metadata, **metadata_of(labels, record)}


def add_table(layer: Labels, labels: Instances, table: DataFrame) -> None:
    """Give a layer made by `labels_layer` the measurements of its particles, if it is still of these."""
    if layer.metadata.get(METADATA, {}).get("instances") is labels:
        layer.features = features_of(table)
