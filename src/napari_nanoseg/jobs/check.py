"""Check a dataset before something is learned from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from napari_nanoseg.config.check import CheckJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult, Notice, Progress, Stage, tell
from napari_nanoseg.io.annotations import CocoImage, read_coco
from napari_nanoseg.io.class_maps import ClassMaps
from napari_nanoseg.io.datasets import COCO_NAME, Dataset, annotation_files, need_images
from napari_nanoseg.io.images import list_images
from napari_nanoseg.io.leftovers import LEFT_BY_SYSTEMS
from napari_nanoseg.measurement.annotation import ENOUGH, Finding, Severity, check_annotation
from napari_nanoseg.measurement.class_annotation import check_all_classes, check_classes, pixels_of

Found = tuple[str | None, Finding]
"""A finding and the name of the image it is about."""


def check_job(job: CheckJob) -> JobResult:
    """Look at every image of a dataset and its annotation; one that cannot be read does not hide the others.

    Every finding is a :class:`~napari_nanoseg.events.Notice`. The figures are the number of ``images``,
    ``particles`` (or ``pixels``, of the background and of each class by name), ``problems`` and ``warnings``, and
    ``findings``: for each a mapping with ``image`` (its name, or None), ``severity``, ``sentence``, ``label``,
    ``position`` (row, column) and ``kind``.

    Raises
    ------
    NanosegError
        When the folder is no dataset at all.
    """
    need_images(job.dataset)
    tell(Stage("check", f"Checking {job.dataset}"))
    dataset, found = _survey(job.dataset)
    _tell(found)
    look = _ParticleLook(dataset) if job.network is None else _ClassLook(ClassMaps(dataset, job.network))
    for done, name in enumerate(dataset.names, start=1):
        try:
            here: list[Found] = [(name, finding) for finding in look.at(done - 1)]
        except NanosegError as error:
            here = [_file("problem", str(error), name)]
        _tell(here)
        found += here
        tell(Progress(done, len(dataset), "images"))
    last: list[Found] = [(None, finding) for finding in look.at_all()]
    _tell(last)
    found += last
    severities = [finding.severity for _, finding in found]
    return JobResult(
        {
            "images": len(dataset),
            **look.figures(),
            "problems": severities.count("problem"),
            "warnings": severities.count("warning"),
            "findings": [{"image": name, **asdict(finding)} for name, finding in found],
        }
    )


def _survey(folder: Path) -> tuple[Dataset, list[Found]]:
    """The images that have an annotation, and what is wrong with the other files."""
    places = folder / "images", folder / "masks", folder / "known"
    images, found = _one_per_name(list_images(places[0]))
    masks, doubles = _one_per_name(annotation_files(places[1]))
    coco: dict[str, CocoImage] = {}
    try:
        coco = read_coco(folder / COCO_NAME) if (folder / COCO_NAME).is_file() else {}
    except NanosegError as error:
        found.append(_file("problem", str(error)))
    annotated = masks.keys() | coco.keys()
    found += doubles
    for name, path in images.items():
        if name not in annotated:
            found.append(_file("problem", f"{path} has no annotation; put {places[1] / name}.tif there.", name))
    for path in [*masks.values(), *annotation_files(places[2])]:
        if path.stem not in images:
            found.append(_file("warning", f"{path} belongs to no image; put {path.stem}.tif into {places[0]}."))
    for name in sorted(coco.keys() - images.keys()):
        found.append(_file("warning", f"{folder / COCO_NAME} describes {name}, but {places[0]} has no such image."))
    for place, used in zip(places, (list_images, annotation_files, annotation_files), strict=True):
        for path in _unused(place, used(place) if place.is_dir() else ()):
            found.append(_file("warning", f"{path} is not used: it is no file that belongs in {place}."))
    names = tuple(name for name in images if name in annotated)
    return Dataset(folder, names, tuple(images[name] for name in names), masks, coco), found


def _one_per_name(files: Iterable[Path]) -> tuple[dict[str, Path], list[Found]]:
    """Files by stem, and a problem for each further file of a stem."""
    by_name: dict[str, Path] = {}
    found = []
    for path in files:
        if by_name.setdefault(path.stem, path) is not path:
            found.append(_file("problem", f"{by_name[path.stem]} and {path} have the same name; rename one of them."))
    return by_name, found


def _unused(folder: Path, used: Iterable[Path]) -> Iterator[Path]:
    """What lies in a folder although nobody reads it."""
    known = set(used)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path not in known and not path.name.startswith(".") and path.name.lower() not in LEFT_BY_SYSTEMS:
            yield path


class _ParticleLook:
    """Looks at images with particles, one after the other."""

    def __init__(self, dataset: Dataset):
        self._dataset, self._particles = dataset, 0
        self._calibrated = set[bool]()

    def at(self, index: int) -> Iterator[Finding]:
        """Findings in one image of several: few particles in one of them do not matter."""
        sample = self._dataset[index]
        self._particles += len(sample.instances)
        self._calibrated.add(sample.image.calibration.known)
        for finding in check_annotation(sample):
            if finding.kind == "none":
                yield Finding("information", "No particle is outlined; all of it is taught as background.", kind="none")
            elif finding.kind != "few":
                yield finding

    def at_all(self) -> Iterator[Finding]:
        """What is wrong with the images that could be read, as a whole."""
        count = self._particles
        if self._calibrated and count < ENOUGH:
            how_many = f"Only {count} particle{'s are' if count != 1 else ' is'}" if count else "No particle is"
            severity: Severity = "warning" if count else "problem"
            yield Finding(severity, f"{how_many} outlined in the whole dataset; outline at least {ENOUGH}.", kind="few")
        if len(self._calibrated) > 1:
            yield Finding(
                "problem",
                "The pixel size of some images is known and that of others is not; save them all with it or all "
                "without.",
                kind="image",
            )

    def figures(self) -> dict[str, Any]:
        """What was counted."""
        return {"particles": self._particles}


class _ClassLook:
    """Looks at images whose pixels have classes, one after the other."""

    def __init__(self, maps: ClassMaps):
        self._maps = maps
        self._counts, self._read = np.zeros(len(maps.network.classes) + 1, np.int64), 0

    def at(self, index: int) -> Iterator[Finding]:
        """Findings in one image."""
        sample, network = self._maps[index], self._maps.network
        self._counts += pixels_of(sample, len(network.classes))
        self._read += 1
        return check_classes(sample, network.classes, sparse=network.labels == "sparse")

    def at_all(self) -> Iterator[Finding]:
        """What is missing in the images that could be read, as a whole."""
        return check_all_classes(self._counts, self._maps.network.classes) if self._read else iter(())

    def figures(self) -> dict[str, Any]:
        """What was counted."""
        names = ("background", *self._maps.network.classes)
        return {"pixels": dict(zip(names, self._counts.tolist(), strict=True))}


def _file(severity: Severity, sentence: str, name: str | None = None) -> Found:
    return name, Finding(severity, sentence, kind="file")


def _tell(several: Iterable[Found]) -> None:
    for name, finding in several:
        tell(Notice(f"{finding.severity.capitalize()}{'' if name is None else f' in {name}'}: {finding.sentence}"))
