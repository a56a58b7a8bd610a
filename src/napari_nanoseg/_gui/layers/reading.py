"""From layers to images, labels, instances and samples."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray

from napari_nanoseg._gui.layers.regions import region_of
from napari_nanoseg._gui.layers.space import apart, calibration_of
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.greyness import refuse_grey
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.images import one_channel, read_image
from napari_nanoseg.layer_data import METADATA
from napari_nanoseg.layer_space import axes_of, level_0
from napari_nanoseg.samples import Image, Sample


def image_of(layer: Layer) -> Image:
    """Take the image out of a layer, without reading pixels that lie on a disk.

    Parameters
    ----------
    layer : Image layer
        An image, a stack or a time series; grey, RGB or with channels; of several scales (the finest is taken).

    Returns
    -------
    Image
        `data` is a NumPy array, or a dask array where the layer's data are not in memory. Axes of length 1 are dropped,
        colours that are all the same become grey.

    Raises
    ------
    NanosegError
        When it is another kind of layer, has too many dimensions, or its pixels are no grey values or colours.
    """
    if not isinstance(layer, ImageLayer):
        raise NanosegError(f"The layer '{layer.name}' is {kind_of(layer)}, not an image layer; choose an image layer.")
    letters, data = axes_of(layer), as_array(level_0(layer))
    data = data[tuple(slice(None) if letter in "ZTCYX" else 0 for letter in letters)]
    axes = letters.replace("-", "")
    if layer.rgb:
        axes += "C"
    elif axes.startswith("C"):
        data, axes = np.moveaxis(data, 0, -1), axes[1:] + "C"
    if axes.endswith("C") and isinstance(data, np.ndarray) and data.size:
        data, axes = one_channel(data, axes)
    if data.dtype == np.float16:
        data = data.astype(np.float32)
    elif not data.dtype.isnative:
        data = data.astype(data.dtype.newbyteorder("="))
    return Image(data, axes, calibration_of(layer), layer.name)


def labels_of(layer: Layer) -> NDArray[Any]:
    """Integer array of a Labels layer, in full resolution: rows and columns, in a stack slices first.

    Raises
    ------
    NanosegError
        When it is another kind of layer, has too many dimensions, or looks like a grey image.
    """
    if not isinstance(layer, Labels):
        raise NanosegError(f"The layer '{layer.name}' is {kind_of(layer)}, not a labels layer; choose a labels layer.")
    letters = axes_of(layer)
    data = np.asarray(level_0(layer))
    data = data.reshape([size for size, letter in zip(data.shape, letters, strict=True) if letter != "-"])
    refuse_grey(data, f"The layer '{layer.name}'")
    return data if data.dtype.isnative else data.astype(data.dtype.newbyteorder("="))


def instances_of(layer: Layer) -> Instances:
    """Particles of a Labels layer; with their overlaps and scores, as long as nobody painted in the layer.

    Raises
    ------
    NanosegError
        When it is another kind of layer, has too many dimensions, or too large labels.
    """
    labels = labels_of(layer)
    made = _made(layer, labels)
    return Instances.from_labels(labels) if made is None else made


def unchanged(layer: Layer) -> bool:
    """Whether a layer of particles that we made is still as we made it."""
    return _made(layer, labels_of(layer)) is not None


def record_of(layer: Layer) -> dict[str, Any] | None:
    """The run record of a result that we put into the viewer; None for other layers."""
    record = _kept(layer).get("record")
    return record if isinstance(record, dict) else None


def sample_of(image_layer: Layer, labels_layer: Layer, region: Layer | None = None, whole: bool = True) -> Sample:
    """Annotated image of two or three layers.

    Parameters
    ----------
    image_layer : Image layer
        One micrograph.
    labels_layer : Labels layer
        Its outlined particles.
    region : Labels or Shapes layer, optional
        Where all particles are outlined or none are: where the labels are not 0, or inside the shapes.
    whole : bool
        Whether all particles of the image are outlined; `region` is not used then. Otherwise the particles and the
        region are what is known.

    Raises
    ------
    NanosegError
        When a layer is of the wrong kind, or they do not belong together.
    """
    image, labels = image_of(image_layer), labels_of(labels_layer)
    if image.axes[0] in "ZT":
        raise NanosegError(
            f"The layer '{image_layer.name}' is a stack of {len(image.data)} slices; annotate one image of it "
            "(right-click the layer, Split Stack)."
        )
    _same_pixels(image.plane_shape, image_layer, labels.shape, labels_layer)
    image = image.loaded()
    pixels = image.data
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise NanosegError(f"The layer '{image_layer.name}' has NaN or infinite pixels; replace them first.")
    if pixels.min() == pixels.max():
        raise NanosegError(f"The layer '{image_layer.name}' has the same value everywhere; choose one with content.")
    instances = instances_of(labels_layer)
    known = None
    if not whole:
        known = labels > 0
        if region is not None:
            known |= marked_region(region, image_layer, image.plane_shape)
    return Sample(image, instances, known, file_stem(image_layer.name))


def class_values_of(image_layer: Layer, labels_layer: Layer) -> tuple[Image, NDArray[np.int32]]:
    """Image or stack of a layer and the labels that lie on it, where labels say what a pixel is.

    Raises
    ------
    NanosegError
        When a layer is of the wrong kind, they do not belong together, or a label is negative.
    """
    image, labels = image_of(image_layer), labels_of(labels_layer)
    shape = image.data.shape[: len(image.axes.removesuffix("C"))]
    if labels.shape != shape:
        raise NanosegError(
            f"The layer '{labels_layer.name}' has the shape {labels.shape}, but the image '{image_layer.name}' has "
            f"{shape}; label the image itself."
        )
    if labels.size and labels.min() < 0:
        raise NanosegError(f"The layer '{labels_layer.name}' has the label {labels.min()}; labels begin at 0.")
    return image.loaded(), labels.astype(np.int32)


def marked_region(region: Layer, below: Layer, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels of another layer that a layer marks: inside its shapes, or where its labels are not 0.

    Parameters
    ----------
    region : Labels or Shapes layer
        What is marked in one slice of a stack counts for all.
    below : Image or Labels layer
        On which it lies.
    shape : tuple of int
        (Y, X) of that layer, or (Z, Y, X) of a stack.

    Returns
    -------
    bool array, shape (Y, X)

    Raises
    ------
    NanosegError
        When the shapes enclose no pixel, or the labels do not lie on the other layer.
    """
    plane = (shape[-2], shape[-1])
    if isinstance(region, Shapes):
        return region_of(region, below, plane)
    labels = labels_of(region)
    _same_pixels(plane, below, labels.shape[-2:] if len(shape) > 2 else labels.shape, region)
    return np.asarray((labels > 0).reshape(-1, *plane).any(axis=0))


def source_of(layer: Layer) -> Path | None:
    """The file an image layer came from, if reading it again gives the same pixels and pixel sizes.

    Reads the file; where that takes too long, :func:`origins_of` and :func:`file_of` part it.

    Raises
    ------
    NanosegError
        When the layer holds no image that can be used.
    """
    return file_of(image_of(layer), origins_of(layer))


def origins_of(layer: Layer) -> tuple[Path, ...]:
    """Paths that a layer may have come from."""
    names = (layer.metadata.get("source"), layer.source.path)
    return tuple(dict.fromkeys(Path(name) for name in names if name))


def file_of(image: Image, origins: Iterable[Path]) -> Path | None:
    """The first of some paths that is a file of just this image."""
    for path in origins:
        try:
            stored = read_image(path) if path.is_file() else None
        except NanosegError:
            continue
        if stored is None or (stored.axes, stored.calibration) != (image.axes, image.calibration):
            continue
        if stored.data.shape == image.data.shape and np.array_equal(stored.data, image.loaded().data):
            return path
    return None


def as_array(data: Any) -> Any:
    """NumPy arrays and dask arrays as they are, other arrays that lie on a disk (zarr, HDF5) as dask arrays."""
    if isinstance(data, np.ndarray) or hasattr(data, "dask"):
        return data
    if hasattr(data, "shape") and isinstance(getattr(data, "dtype", None), np.dtype):
        from dask.array import from_array

        return from_array(data)  # type: ignore[no-untyped-call]
    return np.asarray(data)


def kind_of(layer: Layer) -> str:
    """What a layer is, in words."""
    kind = type(layer).__name__.lower()
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} layer"


def _kept(layer: Layer) -> dict[str, Any]:
    kept = layer.metadata.get(METADATA)
    return kept if isinstance(kept, dict) else {}


def _made(layer: Layer, labels: NDArray[Any]) -> Instances | None:
    """The instances from which the layer was made, if it still shows them."""
    made = _kept(layer).get("instances")
    if isinstance(made, Instances) and made.shape == labels.shape and np.array_equal(made.to_labels(), labels):
        return made
    return None


def _same_pixels(plane: tuple[int, int], below: Layer, shape: tuple[int, ...], other: Layer) -> None:
    """Refuse a layer that does not lie on the pixels of another one, an image or labels."""
    kind = "labels" if isinstance(below, Labels) else "image"
    if shape != plane:
        raise NanosegError(
            f"The layer '{other.name}' has {_by(shape)} pixels but the {kind} '{below.name}' "
            f"{_by(plane)}; choose a layer made for this image."
        )
    shift = apart(below, other)
    if shift > 0.5:
        raise NanosegError(
            f"The layer '{other.name}' lies {shift:.0f} pixels beside the {kind} '{below.name}'; choose a layer "
            "made for this image, or give both the same translation."
        )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)


def file_stem(name: str) -> str:
    """A layer's name as the name of a file."""
    return re.sub(r'[\\/:*?"<>|\x00-\x1f]+', "_", name).strip(" .") or "image"
