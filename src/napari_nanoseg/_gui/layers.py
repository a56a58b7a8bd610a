"""The only place that turns images, instances and results into napari layers.

Every layer gets scale, units, axis labels and translation: one layer without units beside another in nanometres
switches unit-aware rendering off for the whole viewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.evaluation.error_map import COLOURS, TITLES, error_map
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image, Sample

if TYPE_CHECKING:
    from pandas import DataFrame

    from napari_nanoseg.evaluation.matching import Evaluation

LayerData = tuple[Any, dict[str, Any], Literal["image", "labels"]]

ANNOTATED = "#F0E442"
"""Yellow of Okabe and Ito, beside the colours of the error map."""


def image_layer(image: Image, name: str, *, visible: bool = True) -> LayerData:
    """Image layer of a micrograph or stack; channels other than red, green, blue become a leading axis."""
    data, axes = image.data, image.axes.lower()
    rgb = axes.endswith("c") and data.shape[-1] in (3, 4)
    if axes.endswith("c"):
        axes = axes[:-1]
        if not rgb:
            data, axes = np.moveaxis(data, -1, 0), "c" + axes
    options = {"name": name, "visible": visible, "rgb": rgb, "metadata": {"source": image.source}}
    return data, {**options, **_space(image.calibration, axes)}, "image"


def labels_layer(
    labels: Instances | NDArray[Any],
    calibration: Calibration,
    name: str,
    *,
    table: DataFrame | None = None,
    colour: str | None = None,
    visible: bool = True,
) -> LayerData:
    """Labels layer of particles.

    Parameters
    ----------
    labels : Instances or integer array, shape (Y, X) or (Z, Y, X)
        Where instances overlap, the one with the higher score is seen.
    calibration : Calibration
        Pixel size of the image that the labels belong to.
    name : str
        Name of the layer.
    table : pandas.DataFrame, optional
        One row per particle with a column ``label`` (as :func:`napari_nanoseg.measure` makes it); becomes the layer's
        features.
    colour : str, optional
        One colour for all particles; None gives each its own.
    visible : bool
        Whether the layer is shown at first.
    """
    data = labels.to_labels() if isinstance(labels, Instances) else labels
    options: dict[str, Any] = {"name": name, "visible": visible, "metadata": {}}
    if table is not None:
        options["features"] = table.rename(columns={"label": "index"})
    if colour is not None:
        options["colormap"] = DirectLabelColormap(color_dict={None: colour, 0: "transparent"})
    return data, {**options, **_space(calibration, "zyx"[-data.ndim :])}, "labels"


def sample_layers(sample: Sample) -> list[LayerData]:
    """Layers of an annotated image: the image, its particles and, hidden, the region where this can be trusted."""
    calibration = sample.image.calibration
    layers = [
        image_layer(sample.image, sample.name),
        labels_layer(sample.instances, calibration, f"{sample.name}: annotated", colour=ANNOTATED),
    ]
    if sample.known is not None:
        known = sample.known.astype(np.uint8)
        layers.append(labels_layer(known, calibration, f"{sample.name}: known region", visible=False))
    return layers


def error_layers(
    truth: Instances, prediction: Instances, evaluation: Evaluation, calibration: Calibration
) -> list[LayerData]:
    """Three labels layers that show where a prediction is right and wrong.

    Parameters
    ----------
    truth, prediction : Instances
        What was compared.
    evaluation : Evaluation
        Result of :func:`napari_nanoseg.evaluate` for these two.
    calibration : Calibration
        Pixel size of their image.

    Returns
    -------
    list of LayerData
        True positives (predicted particles that match), false positives (predicted ones that do not) and false
        negatives (true ones that nobody found), in the colours of :mod:`napari_nanoseg.evaluation.error_map`.
    """
    errors = error_map(truth, prediction, evaluation)
    figures = evaluation.figures()
    return [
        labels_layer(labels, calibration, TITLES[kind].format(figures[kind]), colour=COLOURS[kind])
        for kind, labels in errors._asdict().items()
    ]


def _space(calibration: Calibration, axes: str) -> dict[str, Any]:
    """Scale, units, axis labels and translation of a layer with these axes (one letter each)."""
    sizes: Sequence[float] = calibration.pixel_size_nm or ()
    unknown = len(axes) - len(sizes)
    return {
        "scale": (*[1.0] * unknown, *sizes),
        "units": (*["pixel"] * unknown, *["nm"] * len(sizes)),
        "axis_labels": tuple(axes),
        "translate": (0.0,) * len(axes),
    }
