"""Annotations people made elsewhere: label images, ImageJ regions, COCO files."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.arguments import as_path
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.images import check_file, read_label_array
from napari_nanoseg.outlines import joined

if TYPE_CHECKING:
    from roifile import ImagejRoi

ANNOTATION_SUFFIXES = (".tif", ".tiff", ".png", ".bmp", ".npy", ".roi", ".zip")
"""Files in a dataset's `masks/` that annotate one image."""

LARGEST_ROI_BYTES = 2**24
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
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        by_id, by_stem = {}, {}
        for entry in content["images"]:
            shape = (int(entry["height"]), int(entry["width"])) if "height" in entry and "width" in entry else None
            stem = Path(str(entry["file_name"]).replace("\\", "/")).stem
            if stem in by_stem:
                raise NanosegError(f"{path} has two images called {stem}; rename one of them.")
            by_stem[stem] = by_id[entry["id"]] = CocoImage(shape)
        for annotation in content["annotations"]:
            by_id[annotation["image_id"]].annotations.append(annotation)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NanosegError(f"{path} is damaged or not a COCO file; export the annotations again.") from error
    return by_stem


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
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.lower().endswith(".roi")]
                contents = []
                for name in names:
                    with archive.open(name) as file:
                        contents.append(file.read(LARGEST_ROI_BYTES))
        else:
            names, contents = [path.stem], [path.read_bytes()[:LARGEST_ROI_BYTES]]
        regions = [roifile.ImagejRoi.frombytes(content) for content in contents]
        outlines = [_roi_outline(roi) for roi in regions]
    except Exception as error:  # a damaged file fails with whatever zipfile's or roifile's parsers happen to raise
        raise NanosegError(f"{path} is damaged or holds no ImageJ regions; save it from ImageJ again.") from error
    for name, outline in zip(names, outlines, strict=True):
        if len(outline) < 3:
            raise NanosegError(f"{path}: the region {name} is a line or a point; remove it or outline the particle.")
    return Instances.from_polygons(outlines, shape)


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
