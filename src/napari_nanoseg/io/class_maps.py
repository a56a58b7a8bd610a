"""Datasets seen as classes of pixels, for networks that know no particles: masks say what a pixel is, not whose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.arguments import as_path
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.display import Shown
from napari_nanoseg.errors import NanosegError, unsuitable
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.annotations import read_labels
from napari_nanoseg.io.datasets import COCO_NAME, Dataset, find_dataset
from napari_nanoseg.io.images import read_image, read_label_array, write_image, write_labels
from napari_nanoseg.samples import UNLABELLED, ClassSample, Image

REGIONS = (".roi", ".zip")
"""Masks that are outlines, not numbers of pixels."""


@dataclass(frozen=True, repr=False)
class ClassMaps(Shown):
    """A dataset whose masks are read as classes, image by image when asked for; stacks have stacks as masks.

    Parameters
    ----------
    dataset : Dataset
        The files.
    network : UNetConfig
        Its `classes` and `labels` tell what the values in masks mean, its `dimensions` which images it takes.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> ns.write_image("cracks/images/a.tif", np.random.default_rng(0).random((32, 32)))
    >>> ns.write_labels("cracks/masks/a.tif", np.eye(32, dtype=int))
    >>> maps = ns.open_class_maps("cracks", ns.UNetConfig(classes=("crack",)))
    >>> [int(sample.classes.sum()) for sample in maps]
    [32]
    """

    dataset: Dataset
    network: UNetConfig

    def _line(self) -> str:
        return f"{self.network.labels}, classes {', '.join(self.network.classes)}; {self.dataset._line()}"

    def _rows(self) -> dict[str, Any]:
        return self.dataset._rows()

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[ClassSample]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> ClassSample:
        """Read one image and its mask.

        Raises
        ------
        NanosegError
            When they cannot be read, differ in shape, or do not suit the network.
        """
        dataset, name = self.dataset, self.dataset.names[index]
        path, image = dataset.images[index], read_image(dataset.images[index])
        if image.axes[0] == "T" and self.network.dimensions != "2d":
            raise NanosegError(f"{path} is a time series, not a volume; train a network of the dimensions 2d on it.")
        if image.planes == 1 and self.network.dimensions != "2d":
            raise NanosegError(
                f"{path} is a 2-D image, but a network of the dimensions {self.network.dimensions} needs stacks "
                "(Z, Y, X); train one of the dimensions 2d."
            )
        shape, classes = spatial(image), self._classes(index, image)
        known = dataset.folder / "known" / f"{name}.png"
        if known.is_file():
            trusted = read_label_array(known) > 0
            if trusted.shape != shape:
                raise NanosegError(
                    f"{known} has the shape {trusted.shape} but the image {shape}; mark the image itself."
                )
            classes[(classes == 0) & ~trusted] = UNLABELLED
        return ClassSample(image, classes, name)

    def _classes(self, index: int, image: Image) -> NDArray[np.int8]:
        """Read the mask of an image as classes."""
        dataset, network, name = self.dataset, self.network, self.dataset.names[index]
        path, where = dataset.annotations.get(name), f"{dataset.folder / COCO_NAME}, image {name}"
        outlines = name in dataset.coco and network.labels == "dense"
        if path is None and not outlines:
            raise NanosegError(
                f"{image.source} has no scribbles; put {dataset.folder / 'masks' / name}.tif there, or choose dense "
                "labels."
            )
        if outlines or (path is not None and path.suffix.lower() in REGIONS):
            if image.planes > 1:
                raise NanosegError(
                    f"{image.source} is a stack, which outlines cannot label; put a stack of the same shape in masks."
                )
            if outlines or path is None:
                return class_map(_painted(dataset.coco[name].instances(image.plane_shape, where)), network, where)
            return class_map(_painted(read_labels(path, image.plane_shape)), network, str(path))
        assert path is not None
        values, shape = read_label_array(path), spatial(image)
        if values.shape != shape:
            raise NanosegError(f"{path} labels an image of shape {values.shape}, not {shape}; label the image itself.")
        return class_map(values, network, str(path))


def open_class_maps(folder: str | Path, network: UNetConfig) -> ClassMaps:
    """Open a folder of images whose masks say which class every pixel is of.

    Parameters
    ----------
    folder : str or Path
        A dataset as of :func:`~napari_nanoseg.io.datasets.open_dataset`; images may be stacks (Z, Y, X) with masks of
        the same shape. In dense masks 0 is background and class `i` is `i` + 1; with a single class every value above 0
        is that class (so 0/255 masks will do). In sparse ones 0 is unlabelled, 1 background, and class `i` is `i` + 2.
        ``annotations.json`` wins over dense masks, with the class of each object; ``known/NAME.png`` takes the
        background where it is 0 for unlabelled.
    network : UNetConfig

    Returns
    -------
    ClassMaps

    Raises
    ------
    NanosegError
        When files are missing, or no mask has a pixel of a class, or of sparse masks of the background.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> ns.write_image("cracks/images/a.tif", np.random.default_rng(0).random((32, 32)))
    >>> ns.write_labels("cracks/masks/a.tif", np.eye(32, dtype=int))
    >>> ns.open_class_maps("cracks", ns.UNetConfig())
    ClassMaps(dense, classes crack; 1 image, 'cracks')
    """
    if not isinstance(network, UNetConfig):
        raise unsuitable("open_class_maps: 'network'", network, "a UNetConfig")
    dataset = ClassMaps(find_dataset(as_path(folder, "open_class_maps: 'folder'")), network)
    missing = set(range(network.labels == "dense", len(network.classes) + 1))
    for sample in dataset:
        missing -= set(np.unique(sample.classes).tolist())
        if not missing:
            break
    if missing:
        first, sparse = min(missing), network.labels == "sparse"
        what = f"has the class '{network.classes[first - 1]}'" if first else "has any background"
        value = f"{first + sparse} or more" if len(network.classes) == 1 and not sparse else first + sparse
        raise NanosegError(
            f"No mask in {dataset.dataset.folder} {what} (value {value}); label some of it, or choose another dataset."
        )
    return dataset


def class_map(values: NDArray[Any], network: UNetConfig, where: str) -> NDArray[np.int8]:
    """Turn the values of a mask into classes.

    Parameters
    ----------
    values : integer array
        As in the file.
    network : UNetConfig
    where : str
        The mask, for messages.

    Raises
    ------
    NanosegError
        When a value means nothing.
    """
    count, sparse = len(network.classes), network.labels == "sparse"
    low, high = int(values.min()), int(values.max())
    single = count == 1 and not sparse
    if low < 0 or (high > count + sparse and not single):
        wrong = low if low < 0 else high
        meant = "0 (unlabelled), 1 (background)" if sparse else "0 (background)"
        names = ", ".join(f"{number} ({name})" for number, name in enumerate(network.classes, 1 + sparse))
        raise NanosegError(f"{where} has the value {wrong}, but {network.labels} labels are {meant}, {names}; mend it.")
    return np.asarray((values > 0) if single else values.astype(np.int16) - sparse, np.int8)


def write_class_map(folder: str | Path, image: Image, values: NDArray[Any], name: str) -> None:
    """Add an image and its mask of classes, or scribbles, to a dataset folder.

    Parameters
    ----------
    folder : str or Path
    image : Image
        Axes ``YX`` or ``ZYX``, each optionally with ``C``.
    values : integer array, shape of the image
        As :func:`open_class_maps` reads them.
    name : str
        File stem.

    Raises
    ------
    NanosegError
        When the folder or the disk does not take them.
    """
    write_image(Path(folder) / "images" / f"{name}.tif", image)
    write_labels(Path(folder) / "masks" / f"{name}.tif", values, image.calibration)


def spatial(image: Image) -> tuple[int, ...]:
    """Shape of an image without its colours."""
    return image.data.shape[: len(image.axes.removesuffix("C"))]


def _painted(instances: Instances) -> NDArray[np.int32]:
    """The class of the object at each pixel, from 1; later objects lie on top."""
    painted = np.zeros(instances.shape, np.int32)
    for box, mask, number in zip(instances.boxes, instances.masks, instances.classes, strict=True):
        painted[box[0] : box[2], box[1] : box[3]][mask] = number + 1
    return painted
