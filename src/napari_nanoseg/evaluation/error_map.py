"""Where a prediction is right, wrong and missing, as labels and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.arguments import as_instances, as_pixels
from napari_nanoseg.errors import NanosegError, need
from napari_nanoseg.evaluation.matching import Evaluation
from napari_nanoseg.instances import Instances
from napari_nanoseg.layer_data import LayerData, labels_layer
from napari_nanoseg.samples import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"true_positives": "#56B4E9", "false_positives": "#E69F00", "false_negatives": "#CC79A7"}
"""Sky blue, orange and purple of Okabe and Ito, which colour-blind readers tell apart (jfly.uni-koeln.de/color)."""
BOTH, ONLY_PREDICTED, ONLY_TRUE = 1, 2, 3
"""Values of a map of pixels."""
TITLES = {"true_positives": "found: {} TP", "false_positives": "not there: {} FP", "false_negatives": "missed: {} FN"}
OPACITY = 0.35


class ErrorMap(NamedTuple):
    """Three int32 label images of shape (Y, X); 0 is background.

    `true_positives` and `false_positives` hold ids of the prediction, `false_negatives` ids of the truth.
    """

    true_positives: NDArray[np.int32]
    false_positives: NDArray[np.int32]
    false_negatives: NDArray[np.int32]


def error_map(
    truth: Instances | NDArray[Any], prediction: Instances | NDArray[Any], evaluation: Evaluation
) -> ErrorMap:
    """Sort the particles of one comparison into found, not there and missed.

    Parameters
    ----------
    truth, prediction : Instances or integer array, shape (Y, X)
        What was compared.
    evaluation : Evaluation
        From :func:`~napari_nanoseg.evaluation.matching.evaluate` of the two.
    """
    truth = as_instances(truth, "error_map: 'truth'")
    prediction = as_instances(prediction, "error_map: 'prediction'")
    right = np.isin(prediction.ids, evaluation.prediction_ids)
    missed = ~np.isin(truth.ids, evaluation.truth_ids)
    return ErrorMap(prediction[right].to_labels(), prediction[~right].to_labels(), truth[missed].to_labels())


def error_layers(truth: Instances, prediction: Instances, evaluation: Evaluation, place: Any) -> list[LayerData]:
    """Three labels layers that show where a prediction is right and wrong.

    Parameters
    ----------
    truth, prediction : Instances
        What was compared.
    evaluation : Evaluation
        Result of :func:`napari_nanoseg.evaluate` for these two.
    place : Calibration or layer
        As in :func:`~napari_nanoseg.layer_data.labels_layer`.

    Returns
    -------
    list of LayerData
        True positives (predicted particles that match), false positives (predicted ones that do not) and false
        negatives (true ones that nobody found), in :data:`COLOURS`.
    """
    errors = error_map(truth, prediction, evaluation)
    figures = evaluation.figures()
    return [
        labels_layer(labels, place, TITLES[kind].format(figures[kind]), colour=COLOURS[kind])
        for kind, labels in errors._asdict().items()
    ]


def pixel_map(truth: Instances | NDArray[Any], prediction: Instances | NDArray[Any]) -> NDArray[np.uint8]:
    """Compare particle and background pixel by pixel, whatever particle a pixel belongs to.

    Parameters
    ----------
    truth, prediction : Instances or integer array, shape (Y, X) or (Z, Y, X)
        What is compared; above 0 is particle.

    Returns
    -------
    uint8 array, of the same shape
        1 where both have a particle, 2 where only the prediction has one, 3 where only the truth has one, else 0.

    Raises
    ------
    NanosegError
        When the shapes differ.
    """
    true, predicted = (
        (item.to_labels() if isinstance(item, Instances) else np.asarray(item)) > 0 for item in (truth, prediction)
    )
    if true.shape != predicted.shape:
        raise NanosegError(
            f"The truth has the shape {true.shape} but the prediction {predicted.shape}; "
            "compare label images of the same micrograph."
        )
    found = np.zeros(true.shape, dtype=np.uint8)
    found[true & predicted], found[predicted & ~true], found[true & ~predicted] = BOTH, ONLY_PREDICTED, ONLY_TRUE
    return found


def overlay(image: NDArray[Any], errors: ErrorMap) -> NDArray[np.uint8]:
    """Paint an error map over the grey image: areas tinted, outlines solid, missed particles on top.

    Parameters
    ----------
    image : array, shape (Y, X) or (Y, X, C)
        Any real dtype; its 0.5 to 99.5 percentiles become black and white.
    errors : ErrorMap
        Of the same shape.

    Returns
    -------
    uint8 array, shape (Y, X, 3)

    Raises
    ------
    NanosegError
        When the shapes differ.
    """
    from matplotlib.colors import to_rgb
    from skimage.segmentation import find_boundaries

    grey = image.mean(axis=2) if image.ndim == 3 else image.astype(np.float64)
    if grey.shape != errors.true_positives.shape:
        raise NanosegError(
            f"The image has the shape {grey.shape} but its labels {errors.true_positives.shape}; "
            "choose the micrograph of these labels."
        )
    low, high = np.percentile(grey, (0.5, 99.5))
    grey = np.clip((grey - low) / max(high - low, np.finfo(float).tiny), 0, 1)
    picture = np.repeat(grey[:, :, None], 3, axis=2)
    for kind, labels in errors._asdict().items():
        colour, inside = np.array(to_rgb(COLOURS[kind])), labels > 0
        picture[inside] = (1 - OPACITY) * picture[inside] + OPACITY * colour
        picture[find_boundaries(labels, mode="inner")] = colour
    return (255 * picture).round().astype(np.uint8)


def overlay_figure(
    image: Image | NDArray[Any],
    truth: Instances | NDArray[Any],
    prediction: Instances | NDArray[Any],
    evaluation: Evaluation,
) -> Figure:
    """Picture of one comparison over its micrograph, with a legend.

    Parameters
    ----------
    image : Image or array, shape (Y, X) or (Y, X, C)
        The micrograph.
    truth, prediction : Instances or integer array, shape (Y, X)
        What was compared.
    evaluation : Evaluation
        From :func:`~napari_nanoseg.evaluation.matching.evaluate` of the two.

    Returns
    -------
    matplotlib.figure.Figure
        At 300 dpi no pixel of images up to 2100 pixels wide is lost.

    Raises
    ------
    NanosegError
        When the shapes differ.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> image = ns.read_image(ns.sample_data() / "particles.tif")
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> found = truth[:60]
    >>> figure = ns.overlay_figure(image, truth, found, ns.evaluate(truth, found))
    >>> ns.write_figure(figure, "errors.png")
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['found: 60 TP', 'not there: 0 FP', 'missed: 20 FN']
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    need(evaluation, Evaluation, "overlay_figure: 'evaluation'", "what evaluate() gives")
    data = as_pixels(image, "overlay_figure: 'image'")
    picture = overlay(data, error_map(truth, prediction, evaluation))
    rows, columns = picture.shape[:2]
    figure = Figure(figsize=(7.0, 7.0 * rows / columns + 0.35), dpi=300)
    axes = figure.add_axes((0, 0, 1, 7.0 * rows / columns / figure.get_figheight()))
    axes.imshow(picture, interpolation="nearest")
    axes.set_axis_off()
    counts = evaluation.figures()
    handles = [Patch(facecolor=COLOURS[kind], label=TITLES[kind].format(counts[kind])) for kind in ErrorMap._fields]
    figure.legend(handles=handles, loc="upper left", ncols=3, frameon=False, fontsize=9, borderaxespad=0.4)
    figure.text(
        0.99, 1 - 0.18 / figure.get_figheight(), f"F1 = {evaluation.f1:.3f} at IoU ≥ {evaluation.iou_threshold:g}",
        ha="right", va="center", fontsize=9,
    )  # fmt: skip
    return figure
