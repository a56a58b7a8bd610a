"""Images, volumes and samples: what travels between reading, generating, training and segmenting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import CALIBRATION, Calibration
from napari_nanoseg.display import Shown, counted, extent, middle_of, named, outlined, small_grey, step_for
from napari_nanoseg.errors import NanosegError, need, need_array
from napari_nanoseg.instances import Instances
from napari_nanoseg.layer_data import LayerData, add, image_layer, stem_of, volume_layer

AXES = ("YX", "YXC", "ZYX", "ZYXC", "TYX", "TYXC")


@dataclass(frozen=True, eq=False, repr=False)
class Image(Shown):
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

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> ns.Image(np.zeros((48, 64)), calibration=ns.Calibration.of(2.5), source="blank")
    Image(48 x 64 px, float64, YX, 2.5 nm/px, 'blank')
    """

    data: NDArray[Any]
    axes: str = "YX"
    calibration: Calibration = field(default_factory=Calibration)
    source: str = "image"

    def __post_init__(self) -> None:
        need_array(self.data, "Image: 'data'")
        need(self.calibration, Calibration, "Image: 'calibration'", CALIBRATION)
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

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Pixels, for NumPy."""
        return np.array(self.loaded().data, dtype=dtype, copy=copy)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(self.data.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.data.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return self.data.dtype

    def add_to(self, viewer: Any, *, name: str | None = None, **options: Any) -> Any:
        """Add the image to a viewer of napari, with its pixel size.

        Parameters
        ----------
        viewer : napari.Viewer
        name : str, optional
            Name of the layer; by default that of the file.
        **options
            Of napari's image layer, such as ``colormap="viridis"``.

        Returns
        -------
        napari.layers.Image

        Raises
        ------
        NanosegError
            When `viewer` is no viewer, or napari has no such option.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> from napari.components import ViewerModel
        >>> viewer = ViewerModel()  # in a window: napari.Viewer()
        >>> image = ns.Image(np.zeros((32, 32), np.uint8), calibration=ns.Calibration.of(2.0))
        >>> image.add_to(viewer, name="micrograph").scale
        array([2., 2.])
        """
        return add(viewer, self._layer_data(name), options)

    def _layer_data(self, name: str | None) -> LayerData:
        return image_layer(self, stem_of(self.source) if name is None else name)

    def _line(self) -> str:
        parts = [extent(self.shape), str(self.dtype), self.axes, self.calibration.text, named(self.source)]
        return ", ".join(part for part in parts if part)

    def _rows(self) -> dict[str, Any]:
        return {"axes": self.axes, "pixel size": self.calibration.text or "not known", "source": self.source}

    def _picture(self) -> NDArray[np.uint8] | None:
        window = (...,) if isinstance(self.data, np.ndarray) else tuple(map(middle_of, self.plane_shape))
        return small_grey(self.data[self.planes // 2, *window] if self.axes[0] in "ZT" else self.data[window])

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

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> stack = ns.Image(np.arange(24).reshape(2, 3, 4), "ZYX")
        >>> np.asarray(stack.plane(1))
        array([[12, 13, 14, 15],
               [16, 17, 18, 19],
               [20, 21, 22, 23]])
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

        Examples
        --------
        >>> import dask.array as da
        >>> import napari_nanoseg as ns
        >>> lazy = ns.Image(da.zeros((48, 64)))
        >>> type(lazy.loaded().data)
        <class 'numpy.ndarray'>
        """
        return self if isinstance(self.data, np.ndarray) else replace(self, data=self._read(self.data))

    def _read(self, data: Any) -> NDArray[Any]:
        try:
            return np.asarray(data)
        except Exception as error:  # whatever the storage of a lazy array raises
            raise NanosegError(
                f"{self.source}: the pixels cannot be read ({error}); check where they are stored."
            ) from error


class Sliceable(Protocol):
    """An array that may lie on a disk: NumPy, h5py, zarr, dask and memory maps are such.

    Slicing three axes, ``data[z0:z1, y0:y1, x0:x1]``, gives what ``np.asarray`` makes the pixels of.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""

    def __getitem__(self, key: Any, /) -> Any:
        """The pixels of slices of the three axes."""


@dataclass(frozen=True, eq=False, repr=False)
class Volume(Shown):
    """A tomogram, which need not fit into memory.

    Parameters
    ----------
    data : Sliceable, shape (Z, Y, X)
        Grey values of any real dtype; Z is the depth. Nothing of it is read here.
    calibration : Calibration
        Nanometres per voxel along Z, Y and X, which may differ, or not known.
    source : str
        Where it came from (a path, a layer's name), for messages and run records.

    Raises
    ------
    NanosegError
        When the array does not have three axes, is empty or not numeric, or the calibration is not for three axes.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> voxels = np.zeros((8, 32, 32), np.uint16)
    >>> ns.Volume(voxels, ns.Calibration((50, 20, 20)))
    Volume(8 x 32 x 32 px, uint16, ZYX, 50 x 20 x 20 nm/px, 'volume')
    """

    data: Sliceable
    calibration: Calibration = field(default_factory=Calibration)
    source: str = "volume"

    def __post_init__(self) -> None:
        need_array(self.data, "Volume: 'data'")
        need(self.calibration, Calibration, "Volume: 'calibration'", CALIBRATION)
        shape = tuple(self.data.shape)
        if len(shape) != 3:
            raise NanosegError(
                f"{self.source}: an array of shape {shape} is not a volume; give a stack of grey slices (Z, Y, X)."
            )
        if 0 in shape:
            raise NanosegError(f"{self.source}: the volume is empty (shape {shape}); choose another file.")
        if self.data.dtype.kind not in "buif":
            raise NanosegError(
                f"{self.source}: voxels of type {self.data.dtype} are not grey values; convert the volume to 16 bits."
            )
        sizes = self.calibration.pixel_size_nm
        if sizes is not None and len(sizes) != 3:
            raise NanosegError(
                f"{self.source}: a voxel size along {len(sizes)} axes is not enough for a volume; give it for Z, Y, X."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        depth, rows, columns = self.data.shape
        return int(depth), int(rows), int(columns)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All voxels, for NumPy: the whole volume is read into memory."""
        return np.array(self.read(0, self.shape[0]), dtype=dtype, copy=copy)

    @property
    def ndim(self) -> int:
        """Number of axes, 3."""
        return 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voxels."""
        return self.data.dtype

    def add_to(self, viewer: Any, *, name: str | None = None, **options: Any) -> Any:
        """Add the volume to a viewer of napari, with its voxel size; only what is shown is read.

        Parameters
        ----------
        viewer : napari.Viewer
        name : str, optional
            Name of the layer; by default that of the file.
        **options
            Of napari's image layer, such as ``colormap="viridis"``.

        Returns
        -------
        napari.layers.Image

        Raises
        ------
        NanosegError
            When `viewer` is no viewer, or napari has no such option.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> from napari.components import ViewerModel
        >>> viewer = ViewerModel()  # in a window: napari.Viewer()
        >>> ns.Volume(np.zeros((4, 32, 32), np.uint8)).add_to(viewer, name="tomogram").name
        'tomogram'
        """
        return add(viewer, self._layer_data(name), options)

    def _layer_data(self, name: str | None) -> LayerData:
        return volume_layer(self, stem_of(self.source) if name is None else name)

    def _line(self) -> str:
        parts = [extent(self.shape), str(self.dtype), "ZYX", self.calibration.text, named(self.source)]
        return ", ".join(part for part in parts if part)

    def _rows(self) -> dict[str, Any]:
        return {"voxel size": self.calibration.text or "not known", "source": self.source}

    def _picture(self) -> NDArray[np.uint8] | None:
        """Draw the middle slice, or the middle of it where it is huge: nothing else is read."""
        depth, rows, columns = self.shape
        return small_grey(self.read(depth // 2, depth // 2 + 1, middle_of(rows), middle_of(columns))[0])

    def read(self, z0: int, z1: int, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[Any]:
        """Read the slices `z0` to `z1` (not included), or a window of them, into memory.

        Returns
        -------
        array, shape (z1 - z0, rows, columns)
            In the volume's own dtype.

        Raises
        ------
        NanosegError
            When they cannot be read, or some are NaN or infinite.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> volume = ns.open_volume(ns.sample_data() / "cathode" / "cathode.tif")
        >>> volume.read(4, 6).shape
        (2, 144, 144)
        >>> volume.read(4, 6, rows=slice(0, 50)).shape
        (2, 50, 144)
        """
        try:
            pixels = np.asarray(self.data[z0:z1, rows, columns])
        except NanosegError:
            raise
        except Exception as error:  # whatever the storage of a lazy array raises
            raise NanosegError(
                f"{self.source}: the slices {z0} to {z1 - 1} cannot be read ({error}); check where they are stored."
            ) from error
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            raise NanosegError(
                f"{self.source}: the slices {z0} to {z1 - 1} have voxels that are NaN or infinite; replace them and "
                "save the volume again."
            )
        return pixels


@dataclass(frozen=True, eq=False, repr=False)
class Sample(Shown):
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

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> image = ns.read_image(ns.sample_data() / "particles.tif")
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> ns.Sample(image, truth, name="particles")
    Sample('particles', 80 particles, 768 x 1024 px)
    """

    image: Image
    instances: Instances
    known: NDArray[np.bool_] | None = None
    name: str = "sample"
    truth: Mapping[str, NDArray[Any]] | None = None

    def __post_init__(self) -> None:
        need(self.image, Image, "Sample: 'image'", "an Image; Image(array) makes one")
        need(self.instances, Instances, "Sample: 'instances'", "Instances; Instances.from_labels(array) makes some")
        if self.known is not None:
            need_array(self.known, "Sample: 'known'")
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

    def _line(self) -> str:
        known = "" if self.known is None else f", {self.known.mean():.0%} known"
        return f"{self.name!r}, {counted(len(self.instances), 'particle')}, {extent(self.image.shape)}{known}"

    def _rows(self) -> dict[str, Any]:
        return self.image._rows() | self.instances._rows()

    def _picture(self) -> NDArray[np.uint8] | None:
        return outlined(small_grey(self.image.data), self.instances.small_labels())


UNLABELLED = -1
"""In a map of classes: nobody has said what this pixel is."""


@dataclass(frozen=True, eq=False, repr=False)
class ClassSample(Shown):
    """An image whose pixels have classes: what a network that gives every pixel a class learns from.

    Parameters
    ----------
    image : Image
        Axes ``YX`` or ``ZYX``, each optionally with ``C``.
    classes : int8 array, shape (Y, X) or (Z, Y, X)
        0 is background, class `i` is `i` + 1, and `UNLABELLED` where nothing is known.
    name : str
        File stem.

    Raises
    ------
    NanosegError
        When image and classes differ in shape.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> classes = np.zeros((48, 64), np.int8)
    >>> classes[20:22] = 1
    >>> ns.ClassSample(ns.Image(np.zeros((48, 64))), classes, "slice")
    ClassSample('slice', 48 x 64 px)
    """

    image: Image
    classes: NDArray[np.int8]
    name: str = "sample"

    def __post_init__(self) -> None:
        need(self.image, Image, "ClassSample: 'image'", "an Image; Image(array) makes one")
        need_array(self.classes, "ClassSample: 'classes'")
        shape = self.image.data.shape[: len(self.image.axes.removesuffix("C"))]
        if self.classes.shape != shape:
            raise NanosegError(
                f"{self.name}: the mask has the shape {self.classes.shape} but the image {shape}; label the image."
            )

    def _line(self) -> str:
        return f"{self.name!r}, {extent(self.image.shape)}"

    def _rows(self) -> dict[str, Any]:
        shares = np.bincount(self.classes.ravel() + 1) / self.classes.size  # from UNLABELLED on
        names = ["unlabelled", "background", *(f"class {number}" for number in range(1, len(shares) - 1))]
        return {name: f"{share:.2%}" for name, share in zip(names, shares.tolist(), strict=False) if share}

    def _picture(self) -> NDArray[np.uint8] | None:
        classes = self.classes[len(self.classes) // 2] if self.classes.ndim == 3 else self.classes
        step = step_for(classes.shape)
        picture = self.image._picture()
        return None if picture is None else outlined(picture, classes[::step, ::step])
