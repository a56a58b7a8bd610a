"""Results to layers of napari and back, for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer

from napari_nanoseg._gui.layers.reading import image_of, instances_of, kind_of
from napari_nanoseg.errors import NanosegError, unsuitable
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image, Volume

if TYPE_CHECKING:
    from pandas import DataFrame


def to_layer(
    result: Image | Volume | Instances,
    *,
    name: str | None = None,
    image: Any = None,
    table: DataFrame | None = None,
    **options: Any,
) -> Layer:
    """Make a layer of napari from an image, a volume or particles: ``viewer.add_layer(ns.to_layer(particles))``.

    Parameters
    ----------
    result : Image, Volume or Instances
    name : str, optional
        Name of the layer; by default that of the file, or ``particles``.
    image : Image, Volume, napari.layers.Image or Calibration, optional
        Of particles: their image, or its pixel size; None: not known.
    table : pandas.DataFrame, optional
        Of particles: what :func:`napari_nanoseg.measure` made of them; by default their classes, scores and areas.
    **options
        Of napari's layer, such as ``opacity=0.5``.

    Returns
    -------
    napari.layers.Layer
        With scale and units. That of particles remembers their whole masks and scores until somebody paints in it.

    Raises
    ------
    NanosegError
        When `result` is something else, `image` is of another shape, or napari has no such option.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> from napari.components import ViewerModel
    >>> viewer = ViewerModel()  # in a window: napari.Viewer()
    >>> labels = np.zeros((32, 32), int)
    >>> labels[4:12, 4:12] = 1
    >>> viewer.add_layer(ns.to_layer(ns.Instances.from_labels(labels), name="mine")).name
    'mine'
    """
    if isinstance(result, Instances):
        data, own, kind = result._layer_data("particles" if name is None else name, image, table, where="to_layer")
    elif not isinstance(result, Image | Volume):
        raise unsuitable("to_layer: 'result'", result, "an Image, a Volume or Instances")
    elif image is not None or table is not None:
        raise NanosegError("to_layer: 'image' and 'table' belong to particles; leave them out.")
    else:
        data, own, kind = result._layer_data(name)
    try:
        return Layer.create(data, {**own, **options}, kind)
    except TypeError as error:
        raise NanosegError(f"to_layer: napari does not take these options for its {kind} layers: {error}.") from error


def from_layer(layer: Layer) -> Image | Instances:
    """Take an image or particles out of a layer of napari.

    Parameters
    ----------
    layer : napari.layers.Image or napari.layers.Labels

    Returns
    -------
    Image or Instances
        An image has the pixel size of the layer's scale and units; that of a labels layer is in
        :func:`napari_nanoseg.calibration_of`. Particles have their whole masks and scores, as long as nobody painted
        in their layer.

    Raises
    ------
    NanosegError
        When it is another kind of layer, or has too many dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> from napari.components import ViewerModel
    >>> viewer = ViewerModel()  # in a window: napari.Viewer()
    >>> ns.from_layer(viewer.add_image(np.zeros((32, 32), np.uint8))).data.shape
    (32, 32)
    """
    if isinstance(layer, ImageLayer):
        return image_of(layer)
    if isinstance(layer, Labels):
        return instances_of(layer)
    if isinstance(layer, Layer):
        raise NanosegError(f"from_layer: '{layer.name}' is {kind_of(layer)}; give an image or labels layer.")
    raise unsuitable("from_layer: 'layer'", layer, "a layer of napari")
