"""What the manifest (napari.yaml) offers to napari: sample data, and readers, called with `path=`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from napari.layers import Layer

from napari_nanoseg._gui.layers import (
    ANNOTATED,
    LayerData,
    class_map_layer,
    image_layer,
    labels_layer,
    sample_layers,
    volume_layer,
)
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.unet import STANDARD_CLASSES
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.annotations import read_coco
from napari_nanoseg.io.datasets import open_dataset
from napari_nanoseg.io.images import TIFF_SUFFIXES, read_image, read_label_array
from napari_nanoseg.io.sample_data import sample_data

Paths = str | list[str]
Reader = Callable[[Paths], list[LayerData]]

MOST_IMAGES = 20
LARGE = 2**30
"""Bytes of a file from which on a stack is read slice by slice as it is shown."""


def image_reader(path: Paths) -> Reader | None:
    """Reader of micrographs; pixel sizes in the files become the layers' scale. Large stacks stay on the disk."""
    return _reader(lambda file: _large_stack(file) or [image_layer(read_image(file), file.stem)])


def volume_reader(path: Paths) -> Reader | None:
    """Reader of volumes, of which only what is shown is read; None for what is no volume."""
    try:
        layers = [volume_layer(one) for one in _each(path)]
    except NanosegError:
        return None
    return lambda paths: layers


def dataset_reader(path: Paths) -> Reader | None:
    """Reader of dataset folders (`images/` and `masks/`); None for other folders."""
    return _reader(_dataset_layers) if all((folder / "images").is_dir() for folder in _each(path)) else None


def coco_reader(path: Paths) -> Reader | None:
    """Reader of COCO files; None for other JSON files."""
    try:
        for file in _each(path):
            read_coco(file)
    except NanosegError:
        return None
    return _reader(_coco_layers)


def sample_micrograph() -> list[LayerData]:
    """Micrograph of touching and separate particles."""
    return [image_layer(read_image(sample_data() / "particles.tif"), "particles")]


def sample_annotated() -> list[LayerData]:
    """Return the micrograph with the eight particles that a user would have outlined."""
    return _dataset_layers(sample_data() / "annotated")


def sample_truth() -> list[LayerData]:
    """Return the micrograph with all its particles."""
    image = read_image(sample_data() / "particles.tif")
    truth = read_label_array(sample_data() / "particles_truth.tif")
    return [image_layer(image, "particles"), labels_layer(truth, image.calibration, "ground truth")]


def sample_network() -> list[LayerData]:
    """Return the network of nanowires with the whole mask of every wire."""
    return _dataset_layers(sample_data() / "network")


def sample_cathode() -> list[LayerData]:
    """Return the phantom of a cracked cathode, with its true classes hidden."""
    volume, classes = (sample_data() / "cathode" / name for name in ("cathode.tif", "classes.tif"))
    below = volume_layer(volume)
    layer = Layer.create(*below)
    data, options, kind = class_map_layer(classes, STANDARD_CLASSES, layer, "cathode: true classes")
    return [below, (data, {**options, "visible": False}, kind)]


def _dataset_layers(folder: Path) -> list[LayerData]:
    dataset = open_dataset(folder)
    if len(dataset) > MOST_IMAGES:
        raise NanosegError(
            f"{folder} has {len(dataset)} images, too many layers for one viewer (at most {MOST_IMAGES}); "
            "open single files of its folders."
        )
    return [layer for sample in dataset for layer in sample_layers(sample)]


def _large_stack(path: Path) -> list[LayerData] | None:
    """The layer of a stack that is not read as a whole, or None."""
    if path.suffix.lower() not in (*TIFF_SUFFIXES, ".npy") or not path.is_file() or path.stat().st_size < LARGE:
        return None
    try:
        return [volume_layer(path)]
    except NanosegError:
        return None


def _coco_layers(path: Path) -> list[LayerData]:
    layers = []
    for name, image in read_coco(path).items():
        if image.shape is None:
            raise NanosegError(f"{path} does not give the height and width of {name}; open the dataset folder instead.")
        particles = image.instances(image.shape, str(path))
        layers.append(labels_layer(particles, Calibration(), f"{name}: annotated", colour=ANNOTATED))
    return layers


def _reader(layers_of: Callable[[Path], list[LayerData]]) -> Reader:
    return lambda paths: [layer for path in _each(paths) for layer in layers_of(path)]


def _each(paths: Paths) -> Iterable[Path]:
    return map(Path, [paths] if isinstance(paths, str) else paths)
