"""Synthetic images made in a thread while a form is edited; only the latest question is answered."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QPointF, QTimer, Signal
from qtpy.QtGui import QPainterPath, QPolygonF

from napari_nanoseg._gui.latest import Latest
from napari_nanoseg.config.generate import CutPasteConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Waiting
from napari_nanoseg.samples import Sample

if TYPE_CHECKING:
    from napari_nanoseg.generators.preparation import Preparation

SETTLED_MS = 150
"""A question is asked when no other came for so long."""
LARGEST = 4096 * 4096
"""Pixels; a background of more would keep the next question waiting for many seconds."""


@dataclass(frozen=True, eq=False)
class Question:
    """Which image to make.

    Parameters
    ----------
    source : Sample or Path
        An annotated image, or the folder of a dataset.
    config : CutPasteConfig
    index : int
        Number of the image.
    """

    source: Sample | Path
    config: CutPasteConfig
    index: int


@dataclass(frozen=True, eq=False)
class Preview:
    """A synthetic image, ready to be painted.

    Parameters
    ----------
    sample : Sample
        The image as it would be written.
    grey : uint8 array, shape (Y, X)
    outlines : QPainterPath
        Of all particles; x and y in pixels of the image.
    notices : tuple of str
        What the user should know about the source.
    """

    sample: Sample
    grey: NDArray[np.uint8]
    outlines: QPainterPath
    notices: tuple[str, ...]


class Previews(QObject):
    """Answers questions for previews.

    What is made of the source is kept for the next question (:class:`Preparation`). A question that comes while another
    is being answered takes its place: the older answer is dropped.
    """

    ready = Signal(object)
    """The :class:`Preview` for the latest question."""
    failed = Signal(str)
    """The sentence that says why there is none."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._maker = PreviewMaker()
        self._question: Question | None = None
        self._latest = Latest("Making a preview", self)
        self._latest.done.connect(self._answer)
        self._latest.failed.connect(self._refuse)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._settled.timeout.connect(self._begin)

    @property
    def busy(self) -> bool:
        """Whether an answer is to come."""
        return self._question is not None

    def ask(self, question: Question) -> None:
        """Ask for an image, soon; takes back what was asked before."""
        self._latest.stop()
        self._question = question
        self._settled.start()

    def drop(self) -> None:
        """Take back what was asked."""
        self._latest.stop()
        self._question = None
        self._settled.stop()

    def _begin(self) -> None:
        assert self._question is not None, "the timer runs while there is a question"
        self._latest.ask(partial(self._maker.steps, self._question))

    def _answer(self, preview: Preview) -> None:
        self._question = None
        self.ready.emit(preview)

    def _refuse(self, sentence: str) -> None:
        self._question = None
        self.failed.emit(sentence)


class PreviewMaker:
    """Makes one preview after the other, in whatever thread; remembers the source."""

    def __init__(self) -> None:
        self._source: Sample | Path | None = None
        self._prepared: Preparation | None = None

    def steps(self, question: Question) -> Generator[Waiting, None, Preview]:
        """Make a preview; yields where it may be left.

        Raises
        ------
        NanosegError
            When the source or the config cannot be used, or the image is too large for a preview.
        """
        from napari_nanoseg.generators.cutpaste import CutPaste
        from napari_nanoseg.generators.preparation import Preparation

        config = question.config
        if config.height * config.width > LARGEST:
            raise NanosegError(
                f"There is no preview of {config.height} × {config.width} px; it would take too long, but such images "
                "can be written."
            )
        if self._prepared is None or self._source is not question.source:
            self._prepared = None
            self._prepared = Preparation(_read(question.source))
            self._source = question.source
        yield Waiting()
        generator = CutPaste(config, self._prepared)
        yield Waiting()
        sample = generator.sample(question.index)
        yield Waiting()
        return Preview(sample, _grey(sample.image.data), _outlines(sample), tuple(generator.notices))


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
    for polygon in sample.instances.to_polygons():
        path.addPolygon(QPolygonF([QPointF(x, y) for y, x in (polygon + 0.5).tolist()]))
        path.closeSubpath()
    return path
