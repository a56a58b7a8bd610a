"""Annotated images on disk: a folder with `images/`, `masks/`, and where needed `known/` and `annotations.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from napari_nanoseg.arguments import as_path
from napari_nanoseg.display import Shown, counted
from napari_nanoseg.documents import ANNOTATIONS, read_json
from napari_nanoseg.errors import NanosegError, unsuitable
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.annotations import ANNOTATION_SUFFIXES, CocoImage, read_coco, read_labels
from napari_nanoseg.io.atomic import write_text, writing
from napari_nanoseg.io.images import by_stem, list_images, read_image, read_label_array, write_image, write_labels
from napari_nanoseg.io.tables import write_columns
from napari_nanoseg.samples import Image, Sample

COCO_NAME = "annotations.json"


@dataclass(frozen=True, repr=False)
class Dataset(Shown):
    """Annotated images in a folder, read one by one when asked for.

    Parameters
    ----------
    folder : Path
        The folder.
    names : tuple of str
        Stem of each image, in alphabetical order.
    images : tuple of Path
        The image of each name.
    annotations : mapping of str to Path
        The file in `masks/` per name.
    coco : mapping of str to CocoImage
        COCO annotations per name; they win over the files in `masks/`.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> dataset = ns.open_dataset(ns.sample_data() / "annotated")
    >>> len(dataset), dataset.names
    (1, ('particles',))
    >>> [sample.instances for sample in dataset]
    [Instances(8 particles, 768 x 1024 px)]
    """

    folder: Path
    names: tuple[str, ...]
    images: tuple[Path, ...]
    annotations: Mapping[str, Path]
    coco: Mapping[str, CocoImage]

    def _line(self) -> str:
        return f"{counted(len(self), 'image')}, {str(self.folder)!r}"

    def _rows(self) -> dict[str, Any]:
        return {
            name: "in " + COCO_NAME if name in self.coco else str(self.annotations[name].relative_to(self.folder))
            for name in self.names
        }

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Sample:
        """Read one sample.

        Raises
        ------
        NanosegError
            When the image or its annotation cannot be read or they differ in shape.
        """
        name, image = self.names[index], read_image(self.images[index])
        if image.axes not in ("YX", "YXC"):
            raise NanosegError(f"{self.images[index]} is a stack; save its slices as images of their own.")
        if name in self.coco:
            instances = self.coco[name].instances(image.plane_shape, f"{self.folder / COCO_NAME}, image {name}")
        else:
            instances = read_labels(self.annotations[name], image.plane_shape)
        known = self.folder / "known" / f"{name}.png"
        return Sample(image, instances, read_label_array(known) > 0 if known.is_file() else None, name)


def open_dataset(folder: str | Path) -> Dataset:
    """Open a folder of annotated images.

    Parameters
    ----------
    folder : str or Path
        Has `images/` and `masks/`; the annotation of ``images/NAME.*`` is ``masks/NAME.*`` (label image, ImageJ
        ``.roi`` or ``.zip``). Optional: ``known/NAME.png`` (nonzero where the annotation can be trusted) and
        ``annotations.json`` (COCO, wins over masks).

    Raises
    ------
    NanosegError
        When there is no image, an image has no annotation, a name occurs twice, or no image has a particle.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> dataset = ns.open_dataset(ns.sample_data() / "network")
    >>> dataset[0]
    Sample('network', 43 particles, 512 x 512 px)
    """
    dataset = find_dataset(as_path(folder, "open_dataset: 'folder'"))
    if not any(len(sample.instances) for sample in dataset):
        raise NanosegError(f"No image in {dataset.folder} has a particle; outline at least one.")
    return dataset


def find_dataset(folder: str | Path) -> Dataset:
    """Find the files of a dataset without reading its images; see :func:`open_dataset`.

    Raises
    ------
    NanosegError
        When there is no image, an image has no annotation, or a name occurs twice.
    """
    folder = Path(folder)
    images = by_stem(need_images(folder))
    coco = read_coco(folder / COCO_NAME) if (folder / COCO_NAME).is_file() else {}
    masks = by_stem(annotation_files(folder / "masks"))
    missing = [name for name in images if name not in masks and name not in coco]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise NanosegError(
            f"{images[missing[0]]} has no annotation{more}; put {folder / 'masks' / missing[0]}.tif there or "
            "remove the image."
        )
    return Dataset(folder, tuple(images), tuple(images.values()), masks, coco)


def need_images(folder: Path) -> list[Path]:
    """Image files of a dataset.

    Raises
    ------
    NanosegError
        When there is none.
    """
    if not (folder / "images").is_dir():
        raise NanosegError(f"{folder} has no folder 'images'; a dataset has the folders 'images' and 'masks'.")
    images = list_images(folder / "images")
    if not images:
        raise NanosegError(f"{folder / 'images'} has no image; put TIFF or PNG files there.")
    return images


def annotation_files(folder: Path) -> list[Path]:
    """Files of a folder that may annotate an image, by name; none when there is no such folder."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in files if path.suffix.lower() in ANNOTATION_SUFFIXES and not path.name.startswith(".")]


class DatasetWriter:
    """Write samples one by one; on leaving the `with` block also the COCO file, when masks overlap or have classes.

    Parameters
    ----------
    folder : str or Path
        Made when missing; samples of the same names are replaced.
    classes : sequence of str
        Names of the classes, by their number; for the COCO file.
    """

    def __init__(self, folder: str | Path, classes: Sequence[str] = ()) -> None:
        self.folder, self.classes = Path(folder), classes
        self._coco: dict[str, CocoImage] = {}  # as text: masks of a thousand images of wires would take gigabytes
        self._needed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the COCO file, also when the block was left early: the samples already written are complete."""
        path = self.folder / COCO_NAME
        if self._needed or (self._coco and path.is_file()):
            _write_coco(path, self._coco, self.classes)

    def add(self, sample: Sample) -> None:
        """Write ``images/NAME.tif``, ``masks/NAME.tif`` and, where it has them, ``known/NAME.png``, ``truth/NAME.csv``.

        Raises
        ------
        NanosegError
            When the folder or the disk does not take them.
        """
        name, instances = sample.name, sample.instances
        if Path(name).name != name or name[:1] in ("", "."):
            raise NanosegError(f"The sample name '{name}' is not a file name; leave out slashes and a dot in front.")
        known, truth = self.folder / "known" / f"{name}.png", self.folder / "truth" / f"{name}.csv"
        if sample.truth is not None:
            write_columns(truth, sample.truth)
        if sample.known is not None:
            write_image(known, Image(sample.known))
        for path in [path for path, given in ((known, sample.known), (truth, sample.truth)) if given is None]:
            with writing(path):
                path.unlink(missing_ok=True)
        write_image(self.folder / "images" / f"{name}.tif", sample.image)
        # last: an image with a mask is whole
        write_labels(self.folder / "masks" / f"{name}.tif", instances.to_labels(), sample.image.calibration)
        self._coco[name] = _coco_image(instances)
        self._needed = self._needed or instances.overlapping or bool(instances.classes.any())


def write_sample(folder: str | Path, sample: Sample) -> None:
    """Add one sample to a dataset folder (for many, :class:`DatasetWriter` writes the COCO file only once).

    Raises
    ------
    NanosegError
        When the folder or the disk does not take it.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> image = ns.read_image(ns.sample_data() / "particles.tif")
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> ns.write_sample("annotated", ns.Sample(image, truth, name="particles"))
    >>> ns.open_dataset("annotated")
    Dataset(1 image, 'annotated')
    """
    if not isinstance(sample, Sample):
        raise unsuitable("write_sample: 'sample'", sample, "a Sample; Sample(image, instances) makes one")
    with DatasetWriter(as_path(folder, "write_sample: 'folder'")) as writer:
        writer.add(sample)


def write_coco(path: str | Path, samples: Mapping[str, Instances]) -> None:
    """Write a COCO file atomically; one that is there keeps what it says about other images.

    Parameters
    ----------
    path : str or Path
        The ``.json`` file.
    samples : mapping of str to Instances
        Per stem of the image's file name.

    Raises
    ------
    NanosegError
        When another kind of file is there, or it cannot be written.
    """
    _write_coco(Path(path), {name: _coco_image(instances) for name, instances in samples.items()}, ())


def _coco_image(instances: Instances) -> CocoImage:
    height, width = instances.shape
    return CocoImage((height, width), list(instances.to_coco()))


def _write_coco(path: Path, samples: Mapping[str, CocoImage], classes: Sequence[str]) -> None:
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    if path.is_file():
        read_coco(path)  # refuses a file that is not COCO before anything of it is lost
        content |= read_json(path, dict, ANNOTATIONS)
    images = [entry for entry in content["images"] if Path(entry["file_name"]).stem not in samples]
    kept = {entry["id"] for entry in images}
    annotations = [entry for entry in content["annotations"] if entry["image_id"] in kept]
    first_image = max((entry["id"] for entry in images), default=0) + 1
    next_id = max((entry["id"] for entry in annotations), default=0) + 1
    for image_id, (name, image) in enumerate(samples.items(), start=first_image):
        height, width = image.shape or (0, 0)
        images.append({"id": image_id, "file_name": f"{name}.tif", "height": height, "width": width})
        annotations += [
            {**entry, "id": number, "image_id": image_id} for number, entry in enumerate(image.annotations, next_id)
        ]
        next_id += len(image.annotations)
    categories = {entry["id"]: entry for entry in content["categories"]}
    names = dict(enumerate(classes))
    for number in sorted({int(entry["category_id"]) for entry in annotations}):
        name = names.get(number, f"class {number}" if number else "particle")
        categories.setdefault(number, {"id": number, "name": name})
    content |= {"images": images, "annotations": annotations, "categories": list(categories.values())}
    write_text(path, json.dumps(content))
