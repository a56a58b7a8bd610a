"""Scribbles of classes: labels that say what a pixel is, for networks that know no particles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_nanoseg._gui.layers import class_values_of, image_of, in_colours, labels_layer
from napari_nanoseg._gui.session import Session
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.events import Stage, tell
from napari_nanoseg.io.class_maps import write_class_map
from napari_nanoseg.io.images import list_images
from napari_nanoseg.samples import Image

HINT = (
    "Paint label 1 on background, also on what looks like a crack and is none, 2 on cracks, and 3 and on for further "
    "classes. What is not painted is ignored: a few strokes, and in a stack a few slices, are enough. Train a U-Net "
    "with sparse labels on them."
)
COLOURS = ("#56B4E9", "#D55E00", "#F0E442", "#009E73", "#CC79A7", "#E69F00")
"""Of Okabe and Ito, from label 1 on: background blue, cracks vermilion."""
OPACITY = 0.5
BRUSH = 3
"""Diameter, px: cracks are a few pixels wide."""


@dataclass(frozen=True)
class Scribbles:
    """An image and the values painted on it, as they were when they were looked at."""

    image: Image
    values: NDArray[np.int32]
    layer: Labels
    name: str

    def __str__(self) -> str:
        """How many pixels of what there are."""
        counts = np.bincount(self.values.reshape(-1))
        parts = [
            f"{'background' if value == 1 else f'class {value - 1}'} ({value}): {counts[value]:,} px"
            for value in np.flatnonzero(counts).tolist()
            if value
        ]
        return ", ".join(parts) or "Nothing is painted yet."

    @property
    def usable(self) -> bool:
        """Whether background and a class are painted."""
        return bool((self.values == 1).any() and (self.values > 1).any())


@dataclass(frozen=True)
class SavedScribbles:
    """What was saved where, and how many images there are now."""

    scribbles: Scribbles
    folder: Path
    images: int

    def __str__(self) -> str:
        return (
            f"Saved '{self.scribbles.name}' ({self.scribbles}) to {self.folder}, which has {self.images} "
            f"image{'s' * (self.images != 1)} now."
        )


def scribbles_of(image: ImageLayer, labels: Labels, name: str) -> Scribbles:
    """Take two layers together; also for a thread, as it only reads.

    Raises
    ------
    NanosegError
        When a layer is of the wrong kind, they do not belong together, or labels are negative.
    """
    return Scribbles(*class_values_of(image, labels), labels, name)


def look_at(image: ImageLayer, labels: Labels) -> Scribbles:
    """The same, in a thread."""
    return scribbles_of(image, labels, image.name)


def make_scribbles(session: Session) -> None:
    """Add an empty layer over the whole image or stack, choose it and take the brush.

    Raises
    ------
    NanosegError
        When the image cannot be used.
    """
    image = session.image
    if image is None:
        return
    seen = image_of(image)
    empty = np.zeros(seen.data.shape[: len(seen.axes.removesuffix("C"))], np.int32)
    made = labels_layer(empty, image, f"{image.name}: scribbles", role="particles")
    layer = session.viewer.add_layer(Layer.create(*made))
    assert isinstance(layer, Labels)
    layer.colormap = in_colours(*COLOURS)
    layer.opacity = OPACITY
    layer.brush_size = BRUSH
    layer.selected_label = 2
    layer.mode = "paint"
    session.put("particles", layer)
    session.viewer.layers.selection.active = layer


def save_scribbles(scribbles: Scribbles, folder: Path) -> SavedScribbles:
    """Write scribbles to a dataset; for a thread."""
    tell(Stage("write", f"Writing '{scribbles.name}' to {folder}…"))
    write_class_map(folder, scribbles.image, scribbles.values, scribbles.name)
    return SavedScribbles(scribbles, folder, len(list_images(folder / "images")))


def taken_for(network: UNetConfig) -> str:
    """Say what the labels of a layer are taken for by a training."""
    if network.labels == "dense" and len(network.classes) == 1:
        return (
            f"Every label is taken for the class '{network.classes[0]}' and all else for background; choose sparse "
            "labels to train on scribbles."
        )
    sparse = network.labels == "sparse"
    names = ["background", *network.classes] if sparse else list(network.classes)
    parts = ", ".join(f"{number} is '{name}'" for number, name in enumerate(names, 1))
    return f"Of the labels, {parts}; what has none is {'ignored' if sparse else 'background'}."
