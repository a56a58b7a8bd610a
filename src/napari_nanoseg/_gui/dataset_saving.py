"""Saving an annotated image to a dataset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_nanoseg._gui.layers import sample_of
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Stage, tell
from napari_nanoseg.io.datasets import write_sample
from napari_nanoseg.io.images import list_images
from napari_nanoseg.samples import Sample


@dataclass(frozen=True)
class Annotation:
    """The layers of an annotation, as they were chosen."""

    image: ImageLayer
    particles: Labels
    region: Layer | None
    whole: bool

    def sample(self) -> Sample:
        """Take them together; also for a thread, as it only reads."""
        return sample_of(self.image, self.particles, self.region, self.whole)


@dataclass(frozen=True)
class Saved:
    """What was saved where, and how many images there are now."""

    layer: Labels
    sample: Sample
    folder: Path
    images: int

    def __str__(self) -> str:
        count = len(self.sample.instances)
        return (
            f"Saved '{self.sample.name}' with {count} particle{'s' * (count != 1)} to {self.folder}, which has "
            f"{self.images} image{'s' * (self.images != 1)} now."
        )


def save(annotation: Annotation, name: str, folder: Path) -> Saved:
    """Write an annotation to a dataset; for a thread."""
    tell(Stage("write", f"Writing '{name}' to {folder}…"))
    sample = replace(annotation.sample(), name=name)
    write_sample(folder, sample)
    return Saved(annotation.particles, sample, folder, len(list_images(folder / "images")))


def name_in(folder: Path, name: str, parent: QWidget | None) -> str | None:
    """Choose the name to save under: asks when there is an image of that name, unless there is nobody to ask.

    Returns
    -------
    str or None
        None: the user does not want to save after all.

    Raises
    ------
    NanosegError
        When the image to be replaced is of another format and would stay; without a parent, when there is an image of
        that name.
    """
    taken = {path.stem: path for path in list_images(folder / "images")} if (folder / "images").is_dir() else {}
    if name not in taken:
        return name
    other = next(f"{name} {number}" for number in range(2, len(taken) + 3) if f"{name} {number}" not in taken)
    if parent is None:
        raise NanosegError(
            f"The dataset {folder} has an image '{name}' already; rename the layer, or choose another folder."
        )
    answer = ask(parent, f"The dataset {folder} has an image '{name}' already. Replace it, or keep both?", other)
    if answer == "both":
        return other
    if answer == "replace" and taken[name].suffix.lower() != ".tif":
        raise NanosegError(f"{taken[name]} is no .tif file and would stay beside the new image; keep both.")
    return name if answer == "replace" else None


def ask(parent: QWidget, question: str, other: str) -> str:
    """Ask what to do with a name that is taken: ``replace``, ``both`` or ``cancel``."""
    box = QMessageBox(parent)
    box.setWindowTitle("Save to dataset")
    box.setText(question)
    replacing = box.addButton("Replace", QMessageBox.ButtonRole.DestructiveRole)
    both = box.addButton(f"Keep both: '{other}'", QMessageBox.ButtonRole.AcceptRole)
    box.addButton(QMessageBox.StandardButton.Cancel)
    box.exec()
    return "both" if box.clickedButton() is both else "replace" if box.clickedButton() is replacing else "cancel"
