"""Images and samples: what travels between reading, generating, training and segmenting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances

AXES = ("YX", "YXC", "ZYX", "ZYXC", "TYX", "TYXC")


@dataclass(frozen=True, eq=False)
class Image:
    """A micrograph, a stack of slices or a time series.

    Parameters
    ----------
    data : array
        Shape as `axes` says; any real dtype; finite. A NumPy array, or a lazy one (dask) that becomes a NumPy array
        when :meth:`plane` or :meth:`loaded` asks for its pixels.
    axes : str
        One of ``YX``, ``ZYX``, ``TYX``, each optionally with ``C`` (colour channels) last.
    calibration : Calibration
        Pixel size per spatial axis of `axes`.
    source : str
        Where it came from (a path, a layer's name), for messages and run records.

    Raises
    ------
    NanosegError
        When the axes do not fit the array, or the array is empty or not numeric.
    """

    data: NDArray[Any]
    axes: str = "YX"
    calibration: Calibration = field(default_factory=Calibration)
    source: str = "image"

    def __post_init__(self) -> None:
        if self.axes not in AXES or self.data.ndim != len(self.axes):
            raise NanosegError(
                f"{self.source}: an array of shape {self.data.shape} does not have the axes {self.axes}; "
                f"give an image (Y, X) or a stack (Z, Y, X)."
            )
        if self.data.size == 0:
            raise NanosegError(f"{self.source}: the image is empty (shape {self.data.shape}); choose another file.")
        if self.data.dtype.kind not in "buif":
            raise NanosegError(
                f"{self.source}: pixels of type {self.data.dtype} are not grey values; convert the image to 16 bits."
            )

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Rows and columns."""
        start = 1 if self.axes[0] in "ZT" else 0
        return self.data.shape[start], self.data.shape[start + 1]

    @property
    def planes(self) -> int:
        """Number of slices or times; 1 for a single image."""
        return int(self.data.shape[0]) if self.axes[0] in "ZT" else 1

    def plane(self, number: int) -> Image:
        """One slice or time of a stack, read now; of a single image, this image.

        Raises
        ------
        NanosegError
            When its pixels cannot be read.
        """
        if self.axes[0] not in "ZT":
            return self.loaded()
        sizes = self.calibration.pixel_size_nm
        calibration = self.calibration if sizes is None else Calibration(sizes[-2:])
        return replace(self, data=self._read(self.data[number]), axes=self.axes[1:], calibration=calibration)

    def loaded(self) -> Image:
        """The same with all pixels in memory.

        Raises
        ------
        NanosegError
            When they cannot be read.
        """
        return self if isinstance(self.data, np.ndarray) else replace(self, data=self._read(self.data))

    def _read(self, data: Any) -> NDArray[Any]:
        try:
            return np.asarray(data)
        except Exception as error:  # whatever the storage of a lazy array raises
            raise NanosegError(
                f"{self.source}: the pixels cannot be read ({error}); check where they are stored."
            ) from error


@dataclass(frozen=True, eq=False)
class Sample:
    """A synthetic or annotated image with its instances.

    Parameters
    ----------
    image : Image
        One micrograph, axes ``YX`` or ``YXC``.
    instances : Instances
        The annotated particles.
    known : bool array, shape (Y, X), optional
        Where the annotation can be trusted: in a partly annotated image, the annotated region or the background that
        was marked as clean, together with the particles. None means that every particle is annotated.
    name : str
        File stem.
    truth : mapping of str to arrays, shape (N,), optional
        Columns of a table with a row for every instance: what a generator knows about its objects.

    Raises
    ------
    NanosegError
        When image, instances and `known` differ in shape, or `truth` has another number of rows than there are
        instances.
    """

    image: Image
    instances: Instances
    known: NDArray[np.bool_] | None = None
    name: str = "sample"
    truth: Mapping[str, NDArray[Any]] | None = None

    def __post_init__(self) -> None:
        shape = self.image.plane_shape
        if self.instances.shape != shape:
            raise NanosegError(
                f"{self.name}: the annotation has the shape {self.instances.shape} but the image {shape}; "
                "annotate the image itself."
            )
        if self.known is not None and self.known.shape != shape:
            raise NanosegError(f"{self.name}: the known region has the shape {self.known.shape} but the image {shape}.")
        if self.truth is not None and any(len(column) != len(self.instances) for column in self.truth.values()):
            raise NanosegError(f"{self.name}: the table of true values needs a row for each of the instances.")
