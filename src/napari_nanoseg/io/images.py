"""Images and label images, in and out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.arguments import as_calibration, as_image, as_labels, as_path
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.greyness import refuse_grey
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.atomic import atomic_path
from napari_nanoseg.io.outputs import labels_in, pictures_in
from napari_nanoseg.io.pixel_size import tiff_calibration
from napari_nanoseg.io.vendor import VENDOR_SUFFIXES, read_vendor
from napari_nanoseg.reading import need_file
from napari_nanoseg.samples import Image

TIFF_SUFFIXES = (".tif", ".tiff")
LARGEST_CLASSIC_TIFF_BYTES = 2**31
"""Larger arrays become BigTIFF: compressed noise can be a little larger than the array, and offsets end at 2**32."""

IMAGE_SUFFIXES = (*TIFF_SUFFIXES, ".png", ".jpg", ".jpeg", ".bmp", ".npy", *VENDOR_SUFFIXES)
"""What :func:`list_images` takes for an image; reading goes by the content of the file."""


def read_image(path: str | Path, *, flat: bool = False) -> Image:
    """Read a micrograph, a stack or a time series with its pixel size.

    Parameters
    ----------
    path : str or Path
        TIFF (ImageJ, OME, plain, BigTIFF), PNG, JPEG, BMP, NPY, or with ``napari-nanoseg[microscopy]`` DM3, DM4, EMD,
        SER, HSPY.
    flat : bool
        Take an image whose pixels are all the same, too.

    Returns
    -------
    Image
        In the file's own dtype. Grey values stored as colours have one channel; an alpha channel that is the same
        everywhere is dropped.

    Raises
    ------
    NanosegError
        When the file is missing, empty, damaged, of another kind, or its pixels are not finite or all the same.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> image = ns.read_image(ns.sample_data() / "particles.tif")
    >>> image
    Image(768 x 1024 px, uint8, YX, 2.5 nm/px, 'particles.tif')
    >>> image.calibration.nm_per_pixel
    2.5
    """
    path = as_path(path, "read_image: 'path'")
    image = _read(path, labels=False)
    if image.data.dtype.kind == "f" and not np.isfinite(image.data).all():
        count = int(np.count_nonzero(~np.isfinite(image.data)))
        raise NanosegError(f"{path} has {count} pixels that are NaN or infinite; replace them and save it again.")
    if not flat and image.data.min() == image.data.max():
        raise NanosegError(f"{path} has the same value {image.data.flat[0]} everywhere; choose an image with content.")
    return image


def read_label_array(path: str | Path) -> NDArray[Any]:
    """Read the numbers of a label image, one per object, 0 for background.

    Returns
    -------
    integer array, shape (Y, X) or (Z, Y, X)
        In the file's own integer dtype; whole-number floats become int64; palette images give their indices.

    Raises
    ------
    NanosegError
        When the file cannot be read, holds colours or fractions, or is a grey image.
    """
    path = Path(path)
    image = _read(path, labels=True)
    if image.axes.endswith("C"):
        raise NanosegError(f"{path} holds colours, not labels; save the labels as one number per object (16-bit).")
    data = image.data
    if data.dtype.kind == "b":
        return data.astype(np.uint8)
    if data.dtype.kind == "f":
        if not (np.isfinite(data).all() and (data == np.round(data)).all() and np.abs(data).max() < 2**53):
            raise NanosegError(f"{path} holds fractions, not labels; save the labels as whole numbers.")
        data = data.astype(np.int64)
    refuse_grey(data, str(path))
    return data


def read_calibration(path: str | Path) -> Calibration:
    """Read the pixel size in a file's tags without its pixels; not known for files that are not TIFF.

    Raises
    ------
    NanosegError
        When the file is missing, empty or damaged.
    """
    import tifffile

    path = Path(path)
    check_file(path)
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return Calibration()
    try:
        with tifffile.TiffFile(path) as tif:
            return tiff_calibration(tif, "YX")
    except (tifffile.TiffFileError, IndexError) as error:  # it has no first page
        raise NanosegError(f"{path} is damaged or not a TIFF file; save or copy it again.") from error


def write_image(path: str | Path, image: Image | NDArray[Any]) -> None:
    """Write an image atomically, as TIFF with its pixel size or as PNG.

    Parameters
    ----------
    path : str or Path
        Ends in ``.tif`` or ``.tiff`` (OME metadata, zlib compression; any dtype) or ``.png`` (8 and 16 bits, YX or
        YXC; no pixel size). Boolean images become 0 and 255.
    image : Image or array, shape (Y, X) or (Z, Y, X)
        What to write; an array has no pixel size.

    Raises
    ------
    NanosegError
        When the file cannot be written or the format cannot hold the image.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> image = ns.Image(np.zeros((48, 64), np.uint8), calibration=ns.Calibration.of(2.5))
    >>> ns.write_image("blank.tif", image)
    >>> ns.read_image("blank.tif", flat=True)
    Image(48 x 64 px, uint8, YX, 2.5 nm/px, 'blank.tif')
    """
    path, image = as_path(path, "write_image: 'path'"), as_image(image, "write_image: 'image'", str(path))
    data = image.data
    if data.dtype == bool:
        data = np.where(data, np.uint8(255), np.uint8(0))
    if path.suffix.lower() in TIFF_SUFFIXES:
        _write_tiff(path, data, image.axes, image.calibration)
    elif path.suffix.lower() == ".png":
        _write_png(path, data)
    else:
        raise NanosegError(f"{path} is neither a .tif nor a .png file; choose one of these suffixes.")


def write_labels(path: str | Path, labels: Instances | NDArray[Any], calibration: Calibration | None = None) -> None:
    """Write a label image atomically, as int32 TIFF or 16-bit PNG.

    Parameters
    ----------
    path : str or Path
        Ends in ``.tif``, ``.tiff`` or ``.png``.
    labels : Instances or integer array, shape (Y, X) or (Z, Y, X)
        Of an array, 0 is background; of overlapping particles, the more probable one is on top.
    calibration : Calibration, optional
        Pixel size, kept in TIFF files.

    Raises
    ------
    NanosegError
        When the file cannot be written or a label does not fit into the format.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> labels = np.zeros((6, 8), int)
    >>> labels[1:4, 1:4] = 1
    >>> labels[3:5, 5:7] = 2
    >>> ns.write_labels("labels.tif", labels, ns.Calibration.of(2.5))
    >>> ns.read_labels("labels.tif")
    Instances(2 particles, 6 x 8 px)
    """
    path = as_path(path, "write_labels: 'path'")
    calibration = as_calibration(calibration, "write_labels: 'calibration'")
    labels = as_labels(labels, "write_labels: 'labels'")
    if labels.dtype.kind not in "biu":
        raise NanosegError(f"{path}: labels must be integers, not {labels.dtype}; number the objects first.")
    dtype = np.uint16 if path.suffix.lower() == ".png" else np.int32
    limits = np.iinfo(dtype)
    if labels.size and not limits.min <= int(labels.min()) <= int(labels.max()) <= limits.max:
        raise NanosegError(f"{path} holds labels up to {limits.max} only; renumber them or write a TIFF file.")
    axes = "ZYX" if labels.ndim == 3 else "YX"
    write_image(path, Image(labels.astype(dtype), axes, calibration or Calibration(), str(path)))


def list_images(folder: str | Path) -> list[Path]:
    """Image files of a folder by name, without hidden files and what systems leave behind (Thumbs.db, .DS_Store).

    Raises
    ------
    NanosegError
        When there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NanosegError(f"There is no folder {folder}; check its name.")
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def micrographs_in(folder: Path) -> list[Path]:
    """Image files of a folder by name, without labels and figures that NanoSeg wrote there.

    Raises
    ------
    NanosegError
        When there is no such folder.
    """
    files = list_images(folder)
    ours = labels_in(folder) | pictures_in(folder)
    return [path for path in files if path.name not in ours]


def expand(paths: Iterable[Path]) -> list[Path]:
    """Images named directly or lying in named folders, for a job that writes one file for each.

    Labels and figures that NanoSeg wrote into such a folder are no images.

    Raises
    ------
    NanosegError
        When a path does not exist, a folder has no image, or two images of one stem would write the same file.
    """
    images: list[Path] = []
    for path in paths:
        if not path.exists():
            raise NanosegError(f"There is no image {path}; check the path.")
        found = micrographs_in(path) if path.is_dir() else [path]
        if not found:
            raise NanosegError(f"There is no image in {path}; choose another folder.")
        images.extend(found)
    stems: dict[str, Path] = {}
    for path in images:
        other = stems.setdefault(path.stem, path)
        if other != path:
            raise NanosegError(
                f"{other} and {path} would write the same file; rename one, or give them different folders."
            )
    return list(stems.values())


def by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """Files by stem.

    Raises
    ------
    NanosegError
        When two have the same.
    """
    found: dict[str, Path] = {}
    for file in files:
        if file.stem in found:
            raise NanosegError(f"{found[file.stem]} and {file} have the same name; rename one of them.")
        found[file.stem] = file
    return found


def check_file(path: Path) -> None:
    """Say what is wrong with a path that should be a file with content.

    Raises
    ------
    NanosegError
        When it is missing, a folder, a device, empty or not readable.
    """
    if need_file(path) == 0:
        raise NanosegError(f"{path} is empty (0 bytes); save or copy it again.")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise NanosegError(f"{path} cannot be opened ({error.strerror}); check its permissions.") from error


def _read(path: Path, *, labels: bool) -> Image:
    """Read any supported file; `labels` keeps palette indices."""
    check_file(path)
    with path.open("rb") as file:
        head = file.read(8)
    kind, reader = _reader(path, head)
    try:
        data, axes, calibration = reader(path, labels)
    except (NanosegError, MemoryError):
        raise
    except Exception as error:  # readers fail on damaged files with whatever their parsers happen to raise
        raise NanosegError(f"{path} is damaged, cut off or not a {kind} file; save or copy it again.") from error
    data, axes = one_channel(data, axes) if axes.endswith("C") else (data, axes)
    return Image(np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("=")), axes, calibration, str(path))


_Content = tuple[NDArray[Any], str, Calibration]


def _reader(path: Path, head: bytes) -> tuple[str, Callable[[Path, bool], _Content]]:
    """Name of the file's format and the function that reads it."""
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF", _read_tiff
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"BM")):
        return "PNG, JPEG or BMP", _read_picture
    if head.startswith(b"\x93NUMPY"):
        return "NPY", _read_npy
    suffix = path.suffix.lower()
    if suffix in VENDOR_SUFFIXES:
        return suffix[1:].upper(), lambda file, labels: read_vendor(file)
    if suffix in IMAGE_SUFFIXES:
        raise NanosegError(f"{path} is damaged or not a {suffix[1:].upper()} file; save or copy it again.")
    raise NanosegError(f"{path} is not an image that can be read; save it as TIFF, PNG, JPEG or NPY.")


def _read_tiff(path: Path, labels: bool) -> _Content:
    import tifffile

    with tifffile.TiffFile(path) as tif:
        series = tif.series[0]
        data, axes = _standard_axes(series.asarray(), series.axes, path)
        return data, axes, tiff_calibration(tif, axes.strip("TC"))


def _read_picture(path: Path, labels: bool) -> _Content:
    import warnings

    import imagecodecs
    from PIL import Image as Pillow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
        picture = Pillow.open(path)
    with picture:
        shown: Pillow.Image = picture
        if any("16" in str(tile[3]) for tile in picture.tile) and picture.mode in ("RGB", "RGBA", "LA"):
            data = imagecodecs.png_decode(path.read_bytes())  # Pillow keeps 8 of 16 bits of colours
        else:
            if picture.mode == "P" and not labels:
                shown = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
            elif picture.mode in ("CMYK", "YCbCr", "LAB", "HSV", "PA"):
                shown = picture.convert("RGB")
            data = np.asarray(shown)
    return data, "YXC" if data.ndim == 3 else "YX", Calibration()


def _read_npy(path: Path, labels: bool) -> _Content:
    try:
        data = np.load(path, allow_pickle=False)
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise NanosegError(
            f"{path} holds Python objects (as Cellpose's _seg.npy does), which could run any code; "
            "export the masks as TIFF or PNG."
        ) from error
    names = {2: "YX", 3: "YXS" if data.shape[-1:] in ((3,), (4,)) and not labels else "ZYX", 4: "ZYXS"}
    if data.ndim not in names:
        raise NanosegError(f"{path} is an array of shape {data.shape}; give an image (Y, X) or a stack (Z, Y, X).")
    return *_standard_axes(data, names[data.ndim], path), Calibration()


def _standard_axes(data: NDArray[Any], axes: str, path: Path) -> tuple[NDArray[Any], str]:
    """Bring an array with tifffile's axes to a stack axis, rows, columns and channels."""
    keep = [index for index, axis in enumerate(axes) if axis in "YX" or data.shape[index] != 1]
    data, axes = data.reshape([data.shape[index] for index in keep]), "".join(axes[index] for index in keep)
    channels = [axis for axis in axes if axis in "SC"]
    stack = [axis for axis in axes if axis not in "SCYX"]
    if "Y" not in axes or "X" not in axes or len(channels) > 1 or len(stack) > 1:
        raise NanosegError(
            f"{path} has {data.ndim} dimensions ({axes}); save one stack, one time series or one position of it."
        )
    order = "".join([*stack, "Y", "X", *channels])
    data = np.transpose(data, [axes.index(axis) for axis in order])
    return data, ("T" if stack == ["T"] else "Z" * len(stack)) + "YX" + "C" * len(channels)


def one_channel(data: NDArray[Any], axes: str) -> tuple[NDArray[Any], str]:
    """Drop an alpha channel that says nothing; collapse grey values stored as colours."""
    if data.shape[-1] in (2, 4) and data[..., -1].size and (data[..., -1] == data[..., -1].flat[0]).all():
        data = data[..., :-1]
    if data.shape[-1] and all(np.array_equal(data[..., 0], data[..., index]) for index in range(1, data.shape[-1])):
        return data[..., 0], axes[:-1]
    return data, axes


def tiff_metadata(axes: str, calibration: Calibration) -> tuple[dict[str, Any], dict[str, Any]]:
    """What OME says of an image with these axes of tifffile's, and the resolution tags beside it."""
    metadata: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {}
    if calibration.pixel_size_nm is not None:
        for axis, size in zip("XYZ", reversed(calibration.pixel_size_nm), strict=False):
            metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "nm"}
        row, column = calibration.pixel_size_nm[-2:]
        # for programs that do not read OME
        options = {"resolution": (1e7 / column, 1e7 / row), "resolutionunit": "CENTIMETER"}
    return metadata, options


def _write_tiff(path: Path, data: NDArray[Any], axes: str, calibration: Calibration) -> None:
    import tifffile

    if data.dtype == np.float16:
        data = data.astype(np.float32)
    elif data.dtype.kind in "iu" and data.dtype.itemsize == 8:
        data = data.astype(np.float64)
    rgb = axes.endswith("C") and data.shape[-1] in (3, 4)
    if axes.endswith("C") and not rgb:
        data, axes = np.moveaxis(data, -1, -3), axes[:-3] + "CYX"
    # the same pixels give the same file, so that hashes of inputs can be compared
    identity = uuid5(NAMESPACE_OID, hashlib.sha256(np.ascontiguousarray(data).data).hexdigest())
    metadata, options = tiff_metadata(axes.replace("YXC", "YXS"), calibration)
    with atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary,
            data,
            ome=True,
            metadata=metadata | {"UUID": f"urn:uuid:{identity}"},
            photometric="rgb" if rgb else "minisblack",
            compression="zlib",
            compressionargs={"level": 1},  # half the time of the default level 6 and the same size on micrographs
            bigtiff=data.nbytes > LARGEST_CLASSIC_TIFF_BYTES,
            **options,
        )


def _write_png(path: Path, data: NDArray[Any]) -> None:
    import imagecodecs

    if data.dtype not in (np.uint8, np.uint16) or not (data.ndim == 2 or (data.ndim == 3 and data.shape[-1] in (3, 4))):
        raise NanosegError(
            f"{path}: a PNG file holds one 8-bit or 16-bit image, not {data.dtype} of shape {data.shape}; write a TIFF."
        )
    with atomic_path(path) as temporary:
        temporary.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(data)))
