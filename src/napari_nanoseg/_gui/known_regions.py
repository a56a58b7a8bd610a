"""Where a labels layer is complete when only some of its particles are outlined."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray

from napari_nanoseg._gui.layers import KNOWN_REGION, marked_region, origins_of
from napari_nanoseg._gui.session import Session
from napari_nanoseg.io.images import read_label_array
from napari_nanoseg.io.label_files import known_file

WHOLE = "every particle"
UNMARKED = "some; rest unknown"


@dataclass(frozen=True)
class Known:
    """Where labels are complete, beside their particles.

    Parameters
    ----------
    marked : Labels or Shapes layer, or Path, optional
        What marks the region; a path is that of a label image. None: no more is known than the particles.
    """

    marked: Layer | Path | None = None

    @property
    def name(self) -> str | None:
        """Name of the layer, or path of the file."""
        if self.marked is None:
            return None
        return self.marked.name if isinstance(self.marked, Layer) else str(self.marked)

    @property
    def title(self) -> str:
        """What the user chooses."""
        if isinstance(self.marked, Path):
            return marked_by(f"{self.marked.parent.name}/{self.marked.name}")
        return UNMARKED if self.marked is None else marked_by(self.marked.name)

    def mask(self, labels: Labels, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """The region on the pixels of a labels layer.

        Parameters
        ----------
        labels : Labels layer
        shape : tuple of int
            (Y, X) or (Z, Y, X) of its particles.

        Returns
        -------
        bool array, shape (Y, X)

        Raises
        ------
        NanosegError
            When the region does not lie on the labels, or its file cannot be read.
        """
        if isinstance(self.marked, Path):
            return read_label_array(self.marked) > 0
        if self.marked is None:
            return np.zeros(shape[-2:], dtype=bool)
        return marked_region(self.marked, labels, shape)


def marked_by(name: str) -> str:
    """What the user chooses for a region by its name."""
    return f"some; known: {name}"


def known_of(truth: Labels, session: Session) -> Known | None:
    """Find what is known about a truth from the names of the layers, the choice in Annotate, and the truth's data set.

    Returns
    -------
    Known or None
        None: every particle is outlined.
    """
    layers = regions_beside(session, truth)
    for layer in layers:
        if layer.name.endswith(KNOWN_REGION) and truth.name.startswith(layer.name.removesuffix(KNOWN_REGION)):
            return Known(layer)
    if truth is session.particles and not session.whole:
        return Known(next((layer for layer in layers if layer is session.region), None))
    file = file_beside(truth)
    return None if file is None else Known(file)


def file_beside(truth: Labels) -> Path | None:
    """The label image in ``known/`` of the data set whose mask a layer came from."""
    return next(filter(None, map(known_file, origins_of(truth))), None)


def regions_beside(session: Session, labels: Layer | None) -> list[Labels | Shapes]:
    """Layers that may mark where labels are complete, the newest first; not those that show a comparison."""
    layers = [layer for layer in session.viewer.layers if isinstance(layer, Labels | Shapes)]
    return [
        layer
        for layer in reversed(layers)
        if layer is not labels and "comparison" not in layer.metadata.get("nanoseg_roles", ())
    ]
