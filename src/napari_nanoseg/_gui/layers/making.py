"""From images, instances and results to layers.

Every layer gets scale, units, axis labels and translation: one layer without units beside another in nanometres
switches unit-aware rendering off for the whole viewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Labels, Layer
from napari.utils.colormaps import CyclicLabelColormap
from numpy.typing import NDArray

from napari_nanoseg._gui.layers.reading import METADATA
from napari_nanoseg._gui.layers.space import DROPPED, axes_of, on, space_of
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.evaluation.error_map import COLOURS, TITLES, error_map
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image

if TYPE_CHECKING:
    from pandas import DataFrame

    from napari_nanoseg.evaluation.matching import Evaluation

LayerData = tuple[Any, dict[str, Any], Literal["image", "labels", "shapes"]]

ANNOTATED = "#F0E442"
"""Yellow of Okabe and Ito, beside the colours of the error map."""
EDGE = 1.0
"""Width of outlines, px of the image."""
KNOWN_REGION = "known region"
"""End of the names of layers that show where an annotation can be trusted."""


@dataclass(frozen=True, eq=False)
class Outline:
    """The outline of one particle, in one slice of a stack.

    Parameters
    ----------
    label : int
        Its number.
    vertices : float64 array, shape (K, 2) or (K, 3)
        (row, column) or (slice, row, column), px.
    """

    label: int
    vertices: NDArray[np.float64]


def outlines_of_overlapping(instances: Instances) -> tuple[Outline, ...]:
    """Outlines of the pieces and holes of those particles that share pixels with another one, slice by slice."""
    found: list[Outline] = []
    for number, plane in enumerate(instances.planes()):
        chosen = plane[plane.overlaps]
        for label, rings in zip(chosen.ids.tolist(), chosen.to_rings(), strict=True):
            for vertices in rings:
                if len(instances.shape) == 3:
                    vertices = np.column_stack([np.full(len(vertices), float(number)), vertices])
                found.append(Outline(label, vertices))
    return tuple(found)


def image_layer(image: Image, name: str, *, visible: bool = True) -> LayerData:
    """Image layer of a micrograph or stack; channels other than red, green, blue become a leading axis."""
    data, axes = image.data, image.axes.lower()
    rgb = axes.endswith("c") and data.shape[-1] in (3, 4)
    if axes.endswith("c"):
        axes = axes[:-1]
        if not rgb:
            data, axes = np.moveaxis(data, -1, 0), "c" + axes
    options = {"name": name, "visible": visible, "rgb": rgb, "metadata": {"source": image.source}}
    return data, {**options, **space_of(image.calibration, axes)}, "image"


def density_layer(
    density: Image, place: Calibration | Layer, name: str, *, record: Mapping[str, Any], shown: tuple[float, float]
) -> LayerData:
    """Image layer of the optical density of an image.

    Parameters
    ----------
    density : Image
    place : Calibration or layer
        As in :func:`labels_layer`.
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


def labels_layer(
    labels: Instances | NDArray[Any],
    place: Calibration | Layer,
    name: str,
    *,
    table: DataFrame | None = None,
    record: Mapping[str, Any] | None = None,
    painted: NDArray[np.int32] | None = None,
    role: str | None = None,
    colour: str | None = None,
    visible: bool = True,
) -> LayerData:
    """Labels layer of particles.

    Parameters
    ----------
    labels : Instances or integer array, shape (Y, X) or (Z, Y, X)
        Where instances overlap, the one with the higher score is seen; the layer remembers the others.
    place : Calibration or layer
        Pixel size of the image that the labels belong to, or its layer: scale, units, translation and the like are
        then those of this layer.
    name : str
        Name of the layer.
    table : pandas.DataFrame, optional
        One row per particle with a column ``label`` (as :func:`napari_nanoseg.measure` makes it); becomes the layer's
        features.
    record : mapping, optional
        Run record of what made the labels; kept in the layer's metadata.
    painted : int32 array, optional
        The instances as a label image, where that was made already (in a thread).
    role : str, optional
        What the docks take the layer for: ``particles``, ``prediction`` or ``truth``.
    colour : str, optional
        One colour for all particles; None gives each its own.
    visible : bool
        Whether the layer is shown at first.
    """
    data = painted if painted is not None else _painted(labels)
    if isinstance(place, Layer):
        data, space = on(place, data)
    else:
        space = space_of(place, "zyx"[-data.ndim :])
    options: dict[str, Any] = {"name": name, "visible": visible, "metadata": _metadata(labels, record)}
    if role is not None:
        options["metadata"]["nanoseg_roles"] = (role,)
    if table is not None:
        options["features"] = _features(table)
    if colour is not None:
        options["colormap"] = in_colours(colour)
    return data, {**options, **space}, "labels"


def update_labels(
    layer: Labels,
    labels: Instances,
    table: DataFrame | None = None,
    record: Mapping[str, Any] | None = None,
    painted: NDArray[np.int32] | None = None,
) -> None:
    """Show other particles of the same image in a layer made by :func:`labels_layer`, in place of those it shows.

    Parameters
    ----------
    layer : Labels layer
    labels : Instances
    table, record, painted
        As in :func:`labels_layer`.
    """
    data = painted if painted is not None else _painted(labels)
    layer.data = data.reshape(layer.data.shape)
    layer.features = {} if table is None else _features(table)
    layer.metadata = {**layer.metadata, **_metadata(labels, record)}


def outlines_layer(outlines: Sequence[Outline], labels: Labels, name: str) -> LayerData:
    """Shapes layer with outlines of particles on their labels layer, in the colours of their labels.

    Parameters
    ----------
    outlines : sequence of Outline
    labels : Labels layer
    name : str
        Name of the layer.
    """
    options = {option: getattr(labels, option) for option in ("scale", "translate", "rotate", "shear", "affine")}
    options |= {"units": labels.units, "axis_labels": labels.axis_labels, "ndim": labels.ndim, "name": name}
    style = {"shape_type": "polygon", "edge_width": EDGE, "face_color": "transparent"}
    colours = outline_colours(outlines, labels)
    return outline_vertices(outlines, labels), {**options, **style, "edge_color": colours}, "shapes"


def outline_vertices(outlines: Sequence[Outline], labels: Labels) -> list[NDArray[np.float64]]:
    """Vertices of outlines among the axes of their labels layer, also those of length 1."""
    kept = [index for index, letter in enumerate(axes_of(labels)) if letter != DROPPED]
    placed = []
    for outline in outlines:
        vertices = np.zeros((len(outline.vertices), labels.ndim))
        vertices[:, kept] = outline.vertices
        placed.append(vertices)
    return placed


def outline_colours(outlines: Sequence[Outline], labels: Labels) -> NDArray[np.float32]:
    """Colours of outlines, shape (N, 4): those of their labels."""
    return np.asarray(labels.colormap.map(np.array([outline.label for outline in outlines], np.int32)), np.float32)


def in_colours(*colours: str) -> CyclicLabelColormap:
    """Colormap that gives labels these colours in turn; the background is transparent.

    Not napari's DirectLabelColormap: the first one that is drawn keeps the window waiting for 3.5 s in every process,
    because numba compiles the type of its dictionary.
    """
    return CyclicLabelColormap(colors=("transparent", *colours))


def add_table(layer: Labels, labels: Instances, table: DataFrame) -> None:
    """Give a layer made by :func:`labels_layer` the measurements of its particles, if it is still of these."""
    if layer.metadata.get(METADATA, {}).get("instances") is labels:
        layer.features = _features(table)


def error_layers(
    truth: Instances, prediction: Instances, evaluation: Evaluation, place: Calibration | Layer
) -> list[LayerData]:
    """Three labels layers that show where a prediction is right and wrong.

    Parameters
    ----------
    truth, prediction : Instances
        What was compared.
    evaluation : Evaluation
        Result of :func:`napari_nanoseg.evaluate` for these two.
    place : Calibration or layer
        As in :func:`labels_layer`.

    Returns
    -------
    list of LayerData
        True positives (predicted particles that match), false positives (predicted ones that do not) and false
        negatives (true ones that nobody found), in the colours of :mod:`napari_nanoseg.evaluation.error_map`.
    """
    errors = error_map(truth, prediction, evaluation)
    figures = evaluation.figures()
    return [
        labels_layer(labels, place, TITLES[kind].format(figures[kind]), colour=COLOURS[kind])
        for kind, labels in errors._asdict().items()
    ]


def _painted(labels: Instances | NDArray[Any]) -> NDArray[Any]:
    return labels.to_labels() if isinstance(labels, Instances) else labels


def _features(table: DataFrame) -> DataFrame:
    """The table with the column by which napari finds the row of a label."""
    return table.rename(columns={"label": "index"})


def _metadata(labels: Instances | NDArray[Any], record: Mapping[str, Any] | None) -> dict[str, Any]:
    kept: dict[str, Any] = {"instances": labels} if isinstance(labels, Instances) else {}
    return {METADATA: kept | ({} if record is None else {"record": dict(record)})}
