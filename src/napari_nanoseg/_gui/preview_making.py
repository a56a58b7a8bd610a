"""One synthetic image as a generator would write it, and what a preview shows of it; nothing here touches widgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF
from qtpy.QtGui import QPainterPath, QPolygonF

from napari_nanoseg._gui.pauses import shapes_drawable
from napari_nanoseg.config.cathode import CathodeConfig
from napari_nanoseg.config.generate import CutPasteConfig
from napari_nanoseg.config.nanowires import Look, NanowireConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import checkpoint
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Sample

if TYPE_CHECKING:
    from napari_nanoseg.generators.cathode.generator import Cathode
    from napari_nanoseg.generators.cathode.phantom import Phantom
    from napari_nanoseg.generators.nanowires.generator import Nanowires
    from napari_nanoseg.generators.preparation import Preparation

LARGEST = 4096 * 4096
"""Pixels, of nanowires rays; a background of more would keep the next question waiting for many seconds."""
MOST_VOXELS = 2**23
"""A phantom of more voxels would keep the next question waiting for ten seconds."""
CLASS_GREYS = np.array([0, 255, 0, 60, 130], np.uint8)
"""Of crack, void, carbon/binder and particle, by value: cracks are white."""
COMPARED: tuple[Look, ...] = ("od", "sem")
"""Looks in which the objects of every nanowire preview are seen, side by side."""
TITLES: dict[Look, str] = {
    look: look.upper() if len(look) <= len("stxm") else look.capitalize() for look in get_args(Look)
}
"""What pictures in these looks are called."""


@dataclass(frozen=True, eq=False)
class Question:
    """Which image to make.

    Parameters
    ----------
    source : Sample, Path or None
        An annotated image, or the folder of a dataset; only cutting and pasting has one.
    config : CutPasteConfig, NanowireConfig or CathodeConfig
    index : int
        Number of the image.
    """

    source: Sample | Path | None
    config: CutPasteConfig | NanowireConfig | CathodeConfig
    index: int


@dataclass(frozen=True, eq=False)
class Picture:
    """Grey values for the screen.

    Parameters
    ----------
    grey : uint8 array, shape (Y, X)
    title : str
        What tells it from the other pictures of the same objects; empty where there is only one.
    """

    grey: NDArray[np.uint8]
    title: str = ""


@dataclass(frozen=True, eq=False)
class Preview:
    """A synthetic image, ready to be painted.

    Parameters
    ----------
    sample : Sample
        The image as it would be written; of a phantom its middle slice, with its particles.
    pictures : tuple of Picture
        One or more of the same objects, all of the same shape.
    outlines : QPainterPath
        Of all particles; x and y in pixels of the image.
    notices : tuple of str
        What the user should know about the source.
    phantom : Phantom, optional
        What the slice is of.
    """

    sample: Sample
    pictures: tuple[Picture, ...]
    outlines: QPainterPath
    notices: tuple[str, ...]
    phantom: Phantom | None = None


class PreviewMaker:
    """Makes one preview after the other, in whatever thread; remembers what it made of the source."""

    def __init__(self) -> None:
        self._source: Sample | Path | None = None
        self._prepared: Preparation | None = None
        self._wires: Nanowires | None = None
        self._cathode: Cathode | None = None

    def make(self, question: Question) -> Preview:
        """Make a preview.

        Raises
        ------
        NanosegError
            When the source or the config cannot be used, or the image is too large for a preview.
        """
        config = question.config
        if isinstance(config, CathodeConfig):
            return self._of_cathode(config, question.index)
        rays = config.rays**2 if isinstance(config, NanowireConfig) else 1
        if config.height * config.width * rays > LARGEST:
            raise NanosegError(
                f"There is no preview of {config.height} × {config.width} px"
                f"{f' with {rays} rays each' if rays > 1 else ''}; it would take too long, but such images can be "
                "written."
            )
        if isinstance(config, NanowireConfig):
            return self._of_wires(config, question.index)
        assert question.source is not None, "cutting and pasting needs a source"
        return self._of_particles(config, question.source, question.index)

    def _of_particles(self, config: CutPasteConfig, source: Sample | Path, index: int) -> Preview:
        from napari_nanoseg.generators.cutpaste import CutPaste
        from napari_nanoseg.generators.preparation import Preparation

        if self._prepared is None or self._source is not source:
            self._prepared = None
            self._prepared = Preparation(_read(source))
            self._source = source
        checkpoint()
        generator = CutPaste(config, self._prepared)
        checkpoint()
        sample = generator.sample(index)
        checkpoint()
        return Preview(sample, (Picture(_grey(sample.image.data)),), _outlines(sample), tuple(generator.notices))

    def _of_wires(self, config: NanowireConfig, index: int) -> Preview:
        from napari_nanoseg.generators.nanowires.generator import Nanowires
        from napari_nanoseg.generators.nanowires.looks.view import stored

        if self._wires is None or self._wires.config != config:
            self._wires = None
            self._wires = Nanowires(config)
        generator = self._wires
        checkpoint()
        sample = generator.sample(index)
        pictures = []
        for look in COMPARED if config.look in COMPARED else (config.look, *COMPARED):
            checkpoint()
            seen = sample if look == config.look else generator.seen_by(look).sample(index)
            pixels = seen.image.data
            if pixels.dtype.kind == "f":
                shown = config.model_copy(update={"look": look, "dtype": "uint8", "tone": ()})  # toned already
                pixels = stored(pixels, shown)
            pictures.append(Picture(_grey(pixels), TITLES[look]))
        checkpoint()
        if sample.instances.overlapping:
            shapes_drawable()
        checkpoint()
        return Preview(sample, tuple(pictures), _outlines(sample), tuple(generator.notices))

    def _of_cathode(self, config: CathodeConfig, index: int) -> Preview:
        from napari_nanoseg.generators.cathode.generator import Cathode
        from napari_nanoseg.generators.cathode.phantom import slice_name

        if config.depth * config.height * config.width > MOST_VOXELS:
            raise NanosegError(
                f"There is no preview of {config.depth} × {config.height} × {config.width} voxels; it would take too "
                "long, but such phantoms can be written."
            )
        if self._cathode is None or self._cathode.config != config:
            self._cathode = None
            self._cathode = Cathode(config)
        generator = self._cathode
        checkpoint()
        phantom = generator.phantom(index)
        checkpoint()
        z = config.depth // 2
        particles = Instances.from_labels(phantom.particles[z])
        sample = Sample(phantom.image.plane(z), particles, name=slice_name(phantom.name, z))
        pictures = Picture(_grey(sample.image.data), f"Slice {z}"), Picture(CLASS_GREYS[phantom.classes[z]], "Classes")
        return Preview(sample, pictures, _outlines(sample), tuple(generator.notices), phantom)


def _read(source: Sample | Path) -> Sequence[Sample]:
    """What the job reads: an annotation of the layers takes the way through files, so that the images are the same."""
    from napari_nanoseg.io.datasets import open_dataset, write_sample

    if isinstance(source, Path):
        return list(open_dataset(source))
    if not len(source.instances):
        raise NanosegError(f"{source.name}: no particle is outlined; outline a few particles first.")
    with TemporaryDirectory() as folder:
        write_sample(folder, source)
        return list(open_dataset(folder))


def _grey(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Eight bits for the screen."""
    if pixels.dtype == np.uint8:
        return pixels
    white = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    return np.ascontiguousarray(np.clip(pixels * (255 / white), 0, 255), np.uint8)


def _outlines(sample: Sample) -> QPainterPath:
    path = QPainterPath()
    for polygon in chain.from_iterable(sample.instances.to_rings()):
        path.addPolygon(QPolygonF([QPointF(x, y) for y, x in (polygon + 0.5).tolist()]))
        path.closeSubpath()
    return path
