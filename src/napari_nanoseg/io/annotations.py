"""Annotations people made elsewhere: label images, ImageJ regions, COCO files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.arguments import as_path
from napari_nanoseg.documents import ANNOTATIONS, read_json
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.images import check_file, read_label_array
from napari_nanoseg.io.zips import opened_zip, read_entry
from napari_nanoseg.outlines import joined
from napari_nanoseg.reading import read_file

if TYPE_CHECKING:
    from roifile import ImagejRoi

ANNOTATION_SUFFIXES = (".tif", ".tiff", ".png", ".bmp", ".npy", ".roi", ".zip")
"""Files in a dataset's `masks/` that annotate one image."""

LARGEST_ROI_BYTES, MOST_ROI_BYTES = 2**24, 2**28
"""Bytes of one region and of all in a zip, unpacked; 20,000 traced outlines of 1000 vertices have 80 MB."""
MOST_PIXELS = 2**32
"""Of an image in a COCO file."""
OVAL_VERTICES = 360


@dataclass(frozen=True)
class CocoImage:
    """What a COCO file says about one image: its (rows, columns), None when not given, and its annotations."""

    shape: tuple[int, int] | None
    annotations: list[Mapping[str, Any]] = field(default_factory=list)

    def instances(self, shape: tuple[int, int] | None, where: str) -> Instances:
        """Objects in an image of this shape; None stands for the shape in the file.

        Raises
        ------
        NanosegError
            When the annotations were made for another shape, no shape is known, or they are damaged.
        """
        shape = shape or self.shape
        if shape is None:
            raise NanosegError(f"{where} does not give the height and width of the image; export it with them.")
        _same_shape(self.shape or shape, shape, where)
        try:
            return Instances.from_coco(self.annotations, shape)
        except NanosegError as error:
            raise NanosegError(f"{where}: {error}") from error


def read_labels(path: str | Path, shape: tuple[int, int] | None = None) -> Instances:
    """Read the particles of one image: its label image, or an annotation made elsewhere.

    Parameters
    ----------
    path : str or Path
        A label image (TIFF, PNG, BMP, NPY), ImageJ regions (``.roi``, or ``.zip`` from the ROI manager:
        polygons, freehand, traced, composite, ovals, rectangles), or a COCO ``.json`` (of one image, or with an image
        of the file's name).
    shape : tuple of int, optional
        (Y, X) of the image; ImageJ regions do not know it, the others do.

    Returns
    -------
    Instances
        Numbers of a label image are the ids; ``np.asarray`` of them gives the label image back.

    Raises
    ------
    NanosegError
        When the file cannot be read, was made for another shape, or does not tell the objects apart.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> ns.read_labels(ns.sample_data() / "particles_truth.tif")
    Instances(80 particles, 768 x 1024 px)
    """
    path = as_path(path, "read_labels: 'path'")
    suffix = path.suffix.lower()
    if suffix in (".roi", ".zip"):
        if shape is None:
            raise NanosegError(f"{path} holds regions of an image of unknown size; convert them to a label image.")
        return _from_rois(path, shape)
    if suffix == ".json":
        images = read_coco(path)
        chosen = next(iter(images.values())) if len(images) == 1 else images.get(path.stem)
        if chosen is None:
            raise NanosegError(f"{path} describes {len(images)} images, none called {path.stem}; export them singly.")
        return chosen.instances(shape, str(path))
    return _from_label_image(path, shape)


def read_coco(path: str | Path) -> dict[str, CocoImage]:
    """Read a COCO file.

    Returns
    -------
    dict of str to CocoImage
        Per stem of the image's file name.

    Raises
    ------
    NanosegError
        When the file is not COCO, or two images have the same stem.
    """
    path = Path(path)
    check_file(path)
    advice = "export the annotations again"
    content = read_json(path, dict, ANNOTATIONS, advice)
    try:
        by_id, by_stem = {}, {}
        for entry in content["images"]:
            shape = _coco_shape(entry, path)
            if not isinstance(entry["file_name"], str):
                raise TypeError("file_name is no text")
            stem = Path(entry["file_name"].replace("\\", "/")).stem
            if stem in by_stem:
                raise NanosegError(f"{path} has two images called {stem}; rename one of them.")
            by_stem[stem] = by_id[entry["id"]] = CocoImage(shape)
        for annotation in content["annotations"]:
            by_id[annotation["image_id"]].annotations.append(annotation)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NanosegError(f"{path} is damaged or not a COCO file; {advice}.") from error
    return by_stem


def _coco_shape(entry: Mapping[str, Any], path: Path) -> tuple[int, int] | None:
    if "height" not in entry or "width" not in entry:
        return None
    height, width = int(entry["height"]), int(entry["width"])
    if min(height, width) < 1 or height * width > MOST_PIXELS:
        raise NanosegError(
            f"{path}: the image {entry['file_name']!r} has {height} x {width} pixels, which no image has; correct "
            "height and width, or export the annotations again."
        )
    return height, width


def _from_label_image(path: Path, shape: tuple[int, int] | None) -> Instances:
    from scipy.ndimage import label

    labels = read_label_array(path)
    _same_shape(labels.shape, shape or labels.shape, str(path))
    try:
        instances = Instances.from_labels(labels)
    except NanosegError as error:
        raise NanosegError(f"{path}: {error}") from error
    if instances.ids.tolist() == [255] and label(instances.masks[0], np.ones((3,) * labels.ndim))[1] > 1:
        raise NanosegError(f"{path} is black and white, so particles cannot be told apart; number them 1, 2, 3, ...")
    return instances


def _from_rois(path: Path, shape: tuple[int, int]) -> Instances:
    """Regions of ImageJ; each becomes one object."""
    import roifile

    check_file(path)
    outlines = []
    for name, content in _roi_contents(path):
        try:
            outline = _roi_outline(roifile.ImagejRoi.frombytes(content))
        except Exception as error:  # a damaged file fails with whatever roifile's parser happens to raise
            raise NanosegError(f"{path} is damaged or holds no ImageJ regions; save it from ImageJ again.") from error
        if len(outline) < 3:
            raise NanosegError(f"{path}: the region {name} is a line or a point; remove it or outline the particle.")
        outlines.append(outline)
    return Instances.from_polygons(outlines, shape)


def _roi_contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of regions, one after the other, out of a file or a zip of limited size."""
    if path.suffix.lower() != ".zip":
        yield path.stem, read_file(path, LARGEST_ROI_BYTES)
        return
    left = MOST_ROI_BYTES
    with opened_zip(path, path, "save it from ImageJ again") as archive:
        for entry in archive.infolist():
            if entry.filename.lower().endswith(".roi"):
                left -= entry.file_size
                if left < 0:
                    raise NanosegError(
                        f"{path} unpacks to more than {MOST_ROI_BYTES >> 20} MB, which regions never have; save it "
                        "from ImageJ again."
                    )
                yield entry.filename, read_entry(archive, entry, LARGEST_ROI_BYTES, path)


def _roi_outline(roi: ImagejRoi) -> NDArray[np.float64]:
    """(row, column) vertices; ImageJ's origin is the corner of the first pixel, ours its centre."""
    kind = roi.roitype.name
    if kind not in ("POLYGON", "RECT", "OVAL", "FREEHAND", "TRACED"):
        return np.zeros((0, 2))
    if kind == "OVAL":
        angle = np.linspace(0, 2 * np.pi, OVAL_VERTICES, endpoint=False)
        rows = (roi.top + roi.bottom) / 2 + (roi.bottom - roi.top) / 2 * np.sin(angle)
        columns = (roi.left + roi.right) / 2 + (roi.right - roi.left) / 2 * np.cos(angle)
        return np.stack([rows, columns], axis=1) - 0.5
    return joined([np.asarray(ring, dtype=float)[:, ::-1] - 0.5 for ring in roi.coordinates(multi=True)])


def _same_shape(found: tuple[int, ...], shape: tuple[int, ...], where: str) -> None:
    if tuple(found) != tuple(shape):
        raise NanosegError(f"{where} annotates an image of shape {found}, not {shape}; annotate the image itself.")
