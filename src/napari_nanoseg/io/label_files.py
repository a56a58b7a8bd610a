"""Label images, and COCO images, by their stem: what measuring and comparing start from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.annotations import CocoImage, read_coco, read_labels
from napari_nanoseg.io.datasets import COCO_NAME
from napari_nanoseg.io.images import (
    by_stem,
    check_file,
    list_images,
    micrographs_in,
    read_calibration,
    read_label_array,
)
from napari_nanoseg.io.outputs import labels_in, pictures_in

Found = TypeVar("Found")


@dataclass(frozen=True)
class LabelFile:
    """The labels of one image: a label image, or the image of a COCO file."""

    name: str
    path: Path
    coco: CocoImage | None = None
    known_path: Path | None = None

    def read(self, shape: tuple[int, ...] | None = None) -> Instances:
        """Read the objects.

        Parameters
        ----------
        shape : tuple of int, optional
            (Y, X) of the image, for a COCO file that does not give it.

        Raises
        ------
        NanosegError
            When the file cannot be read or does not tell the objects apart.
        """
        if self.coco is None:
            return read_labels(self.path)
        known = self.coco.shape or (None if shape is None or len(shape) != 2 else (shape[0], shape[1]))
        return self.coco.instances(known, f"{self.path}, image {self.name}")

    def known(self) -> NDArray[np.bool_] | None:
        """Read where the labels are complete, from ``known/`` of their data set.

        Returns
        -------
        bool array, shape (Y, X), or None
            None: everywhere.
        """
        return None if self.known_path is None else read_label_array(self.known_path) > 0

    @property
    def calibration(self) -> Calibration:
        """The pixel size in the tags of the label image, when there is one."""
        return Calibration() if self.coco is not None else read_calibration(self.path)


def find_labels(path: Path) -> dict[str, LabelFile]:
    """Label files by stem.

    Parameters
    ----------
    path : Path
        A label image, a COCO file (``.json``), a folder of label images, or a data set (its ``annotations.json`` wins
        over its ``masks/``).

    Raises
    ------
    NanosegError
        When nothing is there, or two files have the same stem.
    """
    if path.suffix.lower() == ".json":
        return _with_known(_from_coco(path), path.parent)
    if not path.is_dir():
        check_file(path)
        return _with_known({path.stem: LabelFile(path.stem, path)}, path.parent)
    folder = path / "masks" if (path / "masks").is_dir() else path
    found = {name: LabelFile(name, file) for name, file in by_stem(_label_images(folder)).items()}
    if (path / COCO_NAME).is_file():
        found |= _from_coco(path / COCO_NAME)
    if not found:
        raise NanosegError(f"{path} has no label images; choose the folder that holds them.")
    return _with_known(dict(sorted(found.items())), path)


def find_images(paths: Iterable[Path]) -> dict[str, Path]:
    """Micrographs by stem, from files, folders of images and data sets (their ``images/``).

    Raises
    ------
    NanosegError
        When nothing is there, or two files have the same stem.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += micrographs_in(path / "images" if (path / "images").is_dir() else path)
        else:
            check_file(path)
            files.append(path)
    return by_stem(files)


def _label_images(folder: Path) -> list[Path]:
    """Image files of a folder, without figures that NanoSeg wrote there and the micrographs of labels that it wrote."""
    pictures, written = pictures_in(folder), labels_in(folder)
    files = [path for path in list_images(folder) if path.name not in pictures]
    labels = {path.stem: path for path in files if path.name in written}
    return [path for path in files if labels.get(path.stem, path) == path]


def partners(names: Collection[str], found: Mapping[str, Found]) -> dict[str, Found]:
    """What belongs to the names: that of the same stem; a single one belongs to a single name whatever it is called."""
    return dict(zip(names, found.values(), strict=True)) if len(names) == len(found) == 1 else dict(found)


def known_file(labels: Path) -> Path | None:
    """Find the label image that says where a label image of a data set is complete; None where there is none."""
    return _known_path(labels.parent, labels.stem)


def _known_path(folder: Path, name: str) -> Path | None:
    """Path in ``known/`` of a data set for the name of an image; `folder` is the data set or its ``masks/``."""
    path = (folder.parent if folder.name == "masks" else folder) / "known" / f"{name}.png"
    return path if path.is_file() else None


def _with_known(files: dict[str, LabelFile], folder: Path) -> dict[str, LabelFile]:
    """Add the known regions of a data set to its labels."""
    return {name: replace(file, known_path=_known_path(folder, name)) for name, file in files.items()}


def _from_coco(path: Path) -> dict[str, LabelFile]:
    found = {name: LabelFile(name, path, coco) for name, coco in read_coco(path).items()}
    if not found:
        raise NanosegError(f"{path} describes no image; export the annotations again.")
    return found
